package subsystem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// TestMain is also the program of a subsystem that a test can kill.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := runShelf(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// shelf is a handler that keeps one thing per key and counts what it did.
type shelf struct {
	mu      sync.Mutex
	things  map[string]string // key -> token of the thing
	made    map[command.Token]int
	fragile map[string]bool // keys that cannot be restored
	lose    LoseFunc
	full    bool
	during  func(Change) // called within Apply, without the lock
}

func newShelf() *shelf {
	return &shelf{things: map[string]string{}, made: map[command.Token]int{}, fragile: map[string]bool{}}
}

func (h *shelf) Start(remembered []Entry, lose LoseFunc) error {
	h.lose = lose
	for _, e := range remembered {
		h.things[e.Key] = string(e.Token)
	}
	return nil
}

func (h *shelf) Apply(_ context.Context, c Change) Answer {
	if h.during != nil {
		h.during(c)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.full {
		return Refuse(command.Throttled, "the shelf is full")
	}
	_, there := h.things[c.Key]
	if c.Request == nil {
		if !there {
			return Done(nil, NoEffect, "")
		}
		delete(h.things, c.Key)
		h.made[c.Token]++
		return Done(nil, Delete, "")
	}
	unfinished := c.Standing != nil && c.Standing.Token == c.Token
	if !unfinished {
		h.made[c.Token]++
		h.things[c.Key] = string(c.Token)
	}
	if c.StopHalfway {
		return Fail([]byte(`{"half":true}`), "told to stop half-way", "")
	}
	effect := Create
	if there && !unfinished {
		effect = Update
	}
	return Done([]byte(fmt.Sprintf(`{"thing":%q}`, c.Token)), effect, "")
}

func (h *shelf) Restore(_ context.Context, item RestoreItem) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fragile[item.Key] {
		return errors.New("it broke")
	}
	h.things[item.Key] = string(item.Token)
	return nil
}

func (h *shelf) Forget(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.things)
	return nil
}

func (h *shelf) count(token command.Token) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.made[token]
}

// open starts a server that is closed with the test.
func open(t *testing.T, o Options) *Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.Log = quiet
	s, err := Open(o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// teach ends blankness.
func teach(t *testing.T, s *Server, items ...RestoreItem) RestoreAnswer {
	t.Helper()
	answer, err := s.Restore(RestoreRequest{Memory: s.Memory(), Items: items})
	if err != nil {
		t.Fatalf("restore: %v", err)
	}
	return answer
}

// serve puts the server behind HTTP and returns a client of it.
func serve(t *testing.T, s *Server) *Client {
	t.Helper()
	web := httptest.NewUnstartedServer(s.Handler())
	web.Config.ErrorLog = slog.NewLogLogger(quiet.Handler(), slog.LevelDebug)
	web.Start()
	t.Cleanup(web.Close)
	t.Cleanup(func() { // pollers end before the listener waits for them
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return clientOf(t, web.URL)
}

func clientOf(t *testing.T, url string) *Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return NewClient(ClientOptions{
		URL: url, HTTP: &http.Client{Transport: transport}, Base: time.Millisecond, Cap: 20 * time.Millisecond, Log: quiet,
	})
}

func call(key string, epoch, intent uint64, token string, request string) command.Call {
	c := command.Call{
		Token: command.Token(token), Epoch: resource.Epoch{Incarnation: 1, Counter: epoch}, Intent: intent, Key: key,
		Object: resource.Key{Kind: "Thing.test", Namespace: "a", Name: resource.Name(key)},
	}
	if request != "" {
		c.Request = []byte(request)
	}
	return c
}

func apply(key string, epoch, intent uint64, token string, request string) ApplyRequest {
	c := call(key, epoch, intent, token, request)
	return ApplyRequest{Token: c.Token, Epoch: c.Epoch, Intent: c.Intent, Key: c.Key, Request: c.Request}
}

// must applies and fails the test when there is no answer.
func must(t *testing.T, s *Server, r ApplyRequest) ApplyAnswer {
	t.Helper()
	a, err := s.Apply(r)
	if err != nil {
		t.Fatalf("apply %+v: %v", r, err)
	}
	return a
}

// desk is a command.Desk with a list of expectations and a record of reports.
type desk struct {
	command.Desk // what these tests do not ask for

	mu       sync.Mutex
	expected map[string]command.Expectation
	reports  []command.Loss
	epoch    resource.Epoch
}

func newDesk() *desk { return &desk{expected: map[string]command.Expectation{}} }

func (d *desk) acknowledge(c command.Call, r command.Result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expected[c.Key] = command.Expectation{
		Key: c.Key, Destination: c.Destination, Token: c.Token, Intent: c.Intent, Request: c.Request, Result: r.Body, Object: c.Object,
	}
}

func (d *desk) Epoch() resource.Epoch { return d.epoch }

// wish replaces what was acknowledged for a key: it is not expected any more, as of the moment at which the plane stores the new wish.
func (d *desk) wish(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.expected, key)
}

func (d *desk) Expected(string) (all []command.Expectation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.expected {
		all = append(all, e)
	}
	return all
}

func (d *desk) Lost(_ context.Context, losses []command.Loss) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reports = append(d.reports, losses...)
	for _, l := range losses {
		if d.expected[l.Key].Token == l.Token {
			delete(d.expected, l.Key) // it is Lost now, and not expected
		}
	}
	return nil
}

func (d *desk) reported() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	counts := map[string]int{}
	for _, l := range d.reports {
		counts[l.Key]++
	}
	return counts
}

func lines(t *testing.T, s *Server) []LedgerLine {
	t.Helper()
	all, err := s.Ledger()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func slogLogger() *log.Logger { return slog.NewLogLogger(quiet.Handler(), slog.LevelDebug) }
