package subsystem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/command"
)

// inventoryPage bounds a page of the inventory, and lossPage the losses of one answer.
const inventoryPage, lossPage = 1000, 1000

// Handler serves the protocol. Mount it at the root, or use [Server.Serve].
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/apply", s.serveApply)
	mux.HandleFunc("GET /v1/tokens/{token}", s.serveToken)
	mux.HandleFunc("GET /v1/changes", s.serveChanges)
	mux.HandleFunc("GET /v1/inventory", s.serveInventory)
	mux.HandleFunc("POST /v1/restore", s.serveRestore)
	mux.HandleFunc("POST /v1/faults", s.serveFaults)
	mux.HandleFunc("GET /v1/ledger", s.serveLedger)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(Header, protocolVersion)
		mux.ServeHTTP(w, r)
	})
}

// Serve answers on listener until ctx ends, then closes the server. It takes over the listener.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	return ServeHTTP(ctx, listener, s.Handler(), s.Close)
}

// ServeHTTP runs handler on listener until ctx ends. It then calls closing, which must make pending calls end, waits up
// to five seconds for their answers to be sent, and returns.
func ServeHTTP(ctx context.Context, listener net.Listener, handler http.Handler, closing func() error) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
	}
	unused := &unused{connections: map[net.Conn]bool{}}
	server.ConnState = unused.note
	server.RegisterOnShutdown(unused.close)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-ended:
		ended <- err
	}
	closed := closing()
	grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	shut := server.Shutdown(grace)
	if shut != nil {
		shut = errors.Join(shut, server.Close())
	}
	if err = <-ended; errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, closed, shut)
}

// unused are the connections on which nothing was asked yet: clients make some in advance. A server that stops would wait for each of them, for five seconds.
type unused struct {
	mu          sync.Mutex
	connections map[net.Conn]bool
	closed      bool
}

// note is told what becomes of connections.
func (u *unused) note(c net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.connections, c)
	switch {
	case state != http.StateNew:
	case u.closed:
		closeUnused(c)
	default:
		u.connections[c] = true
	}
}

// close closes them, and those that come still.
func (u *unused) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for c := range u.connections {
		closeUnused(c)
	}
}

// closeUnused closes a connection of which nobody expects anything; its failure changes nothing, as the server closes all that is left.
func closeUnused(c net.Conn) {
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		slog.Debug("close a connection that was not used", "error", err)
	}
}

// readBody decodes a bounded body; when it cannot, it has answered.
func readBody(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		http.Error(w, fmt.Sprintf("the body is larger than %d bytes", MaxBody), http.StatusRequestEntityTooLarge)
		return false
	case err != nil:
		http.Error(w, "the body ended early: "+err.Error(), http.StatusBadRequest)
		return false
	}
	if err := decode("the body is not what this path takes", body, into); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

func (s *Server) writeJSON(w http.ResponseWriter, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		s.options.Log.Error("cannot encode an answer", "error", err)
		http.Error(w, "cannot encode the answer: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(text); err != nil {
		s.options.Log.Debug("the caller did not take the answer", "error", err)
	}
}

func (s *Server) serveApply(w http.ResponseWriter, r *http.Request) {
	var request ApplyRequest
	if !readBody(w, r, &request) {
		return
	}
	answer, err := s.Apply(request)
	if err != nil {
		s.options.Log.Debug("no answer", "key", request.Key, "token", request.Token, "error", err)
		panic(http.ErrAbortHandler) // cuts the connection, as a crash would
	}
	s.writeJSON(w, answer)
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	s.writeJSON(w, s.LookUp(command.Token(r.PathValue("token"))))
}

func (s *Server) serveChanges(w http.ResponseWriter, r *http.Request) {
	since, err := wholeNumber(r, "since")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	hold, err := wholeNumber(r, "hold")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	longest := s.options.Hold
	if asked := time.Duration(min(hold, 1<<32)) * time.Millisecond; hold > 0 {
		longest = min(longest, asked)
	}
	ctx, cancel := context.WithTimeout(r.Context(), longest)
	defer cancel()
	changes, err := s.Changes(ctx, r.FormValue("memory"), since)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	s.writeJSON(w, changes)
}

// Changes is GET /v1/changes without the network: it returns when there is something newer than since, when the memory is
// another one, or when ctx ends, which is no error.
func (s *Server) Changes(ctx context.Context, memory string, since uint64) (Changes, error) {
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return Changes{}, ErrClosed
		}
		if memory != s.memory.id {
			since = 0
		}
		c := Changes{Memory: s.memory.id, Sequence: s.memory.sequence, Blank: s.memory.blank}
		c.Lost, c.Truncated = s.memory.since(since)
		changed := s.changed
		s.mu.Unlock()
		if len(c.Lost) > lossPage {
			c.Lost = c.Lost[:lossPage]
			c.Sequence = c.Lost[lossPage-1].Sequence
		}
		if memory != c.Memory || c.Sequence > since {
			return c, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return c, nil
		case <-s.ctx.Done():
			return Changes{}, ErrClosed
		}
	}
}

func (s *Server) serveInventory(w http.ResponseWriter, r *http.Request) {
	s.writeJSON(w, s.Inventory(r.FormValue("after")))
}

// Inventory is a page of what stands, from the first key after the given one.
func (s *Server) Inventory(after string) Inventory {
	s.mu.Lock()
	defer s.mu.Unlock()
	page, size := Inventory{Memory: s.memory.id, Items: []InventoryItem{}}, 0
	for _, e := range s.memory.standing(after) {
		if n := len(page.Items); n == inventoryPage || size > pageBytes {
			page.Next = page.Items[n-1].Key
			break
		}
		size += len(e.Key) + len(e.Token) + len(e.Lost) + 64
		page.Items = append(page.Items, InventoryItem{Key: e.Key, Token: e.Token, Lost: e.Lost})
	}
	return page
}

func (s *Server) serveRestore(w http.ResponseWriter, r *http.Request) {
	var request RestoreRequest
	if !readBody(w, r, &request) {
		return
	}
	answer, err := s.Restore(request)
	switch {
	case errors.Is(err, ErrMemory):
		http.Error(w, err.Error(), http.StatusConflict)
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		s.writeJSON(w, answer)
	}
}

func (s *Server) serveFaults(w http.ResponseWriter, r *http.Request) {
	var faults Faults
	if !readBody(w, r, &faults) {
		return
	}
	if err := s.SetFaults(faults); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.writeJSON(w, faults)
}

func (s *Server) serveLedger(w http.ResponseWriter, r *http.Request) {
	after, err := wholeNumber(r, "after")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	if err := copyLedger(filepath.Join(s.options.Dir, LedgerFile), after, w); err != nil {
		s.options.Log.Warn("the ledger could not be sent", "error", err)
		panic(http.ErrAbortHandler) // a cut answer must not look like a whole one
	}
}

func wholeNumber(r *http.Request, name string) (uint64, error) {
	text := r.FormValue(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s=%q: want a whole number from 0", name, text)
	}
	return n, nil
}
