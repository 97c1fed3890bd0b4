package subsystem

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

const (
	// JournalFile and LedgerFile are the files that a server keeps in its folder.
	JournalFile = "journal.jsonl"
	LedgerFile  = "ledger.jsonl"
)

// ErrClosed is returned by calls on a server that is shut down.
var ErrClosed = errors.New("subsystem: the server is shut down")

// ErrMemory is returned by [Server.Restore] for a memory that the server does not have (any more).
var ErrMemory = errors.New("subsystem: restore is for another memory")

// Server wraps a [Handler] as the package's documentation describes. Use [Open].
type Server struct {
	options Options
	faults  FaultPlan
	lanes   lanes
	slots   chan struct{}

	ctx  context.Context
	stop context.CancelFunc

	// gate is held by every call, and wholly by what changes the memory as a whole.
	gate sync.RWMutex

	mu      sync.Mutex
	closed  bool
	calls   sync.WaitGroup
	memory  *memory
	journal *Journal
	ledger  *Ledger
	// records counts the lines of the journal.
	records int
	// broken is set when the journal could not be written: what is in memory may not be on the disk.
	broken error
	// changed is closed and replaced when pollers should look again.
	changed chan struct{}
	// flying counts the calls under way per token, and holds the losses that came before their end.
	flying map[command.Token]*flight
}

type flight struct {
	calls int
	lost  string
}

// Open reads the folder's journal, or starts a blank memory, and starts the handler.
func Open(options Options) (*Server, error) {
	o := options.withDefaults()
	if o.Handler == nil || o.Dir == "" {
		return nil, errors.New("subsystem: Options.Dir and Options.Handler must be set")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("subsystem: %w", err)
	}
	s := &Server{
		options: o,
		lanes:   lanes{lanes: map[string]*lane{}, depth: o.MaxQueue},
		slots:   make(chan struct{}, o.MaxCalls),
		memory:  newMemory(limits{tombstones: o.MaxTombstones, losses: o.MaxLosses}),
		changed: make(chan struct{}),
		flying:  map[command.Token]*flight{},
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("subsystem: %w", err), s.Close())
	}
	if err := o.Handler.Start(s.remembered(), s.Lose); err != nil {
		return nil, errors.Join(fmt.Errorf("subsystem: start the handler: %w", err), s.Close())
	}
	return s, nil
}

func (s *Server) read() (err error) {
	if s.ledger, err = OpenLedger(filepath.Join(s.options.Dir, LedgerFile)); err != nil {
		return err
	}
	s.journal, err = OpenJournal(filepath.Join(s.options.Dir, JournalFile), func(text []byte) error {
		s.records++
		line, err := s.memory.replay(text)
		if err == nil && line != nil {
			err = s.ledger.Append(*line)
		}
		return err
	})
	if err != nil {
		return err
	}
	if s.memory.id == "" {
		return s.commitSync(record{Memory: rand.Text()})
	}
	return nil
}

func (s *Server) remembered() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []Entry
	for _, e := range s.memory.standing("") {
		entries = append(entries, *e)
	}
	return entries
}

// commit appends records to the journal and applies them. The caller holds mu, or is alone.
func (s *Server) commit(records ...record) (position uint64, err error) {
	if s.broken != nil {
		return 0, s.broken
	}
	values := make([]any, len(records))
	for i := range records {
		values[i] = records[i]
	}
	if position, err = s.journal.Append(values...); err != nil {
		s.fail(err)
		return 0, err
	}
	s.records += len(records)
	for _, r := range records {
		s.memory.apply(r)
		if r.Line == nil {
			continue
		}
		if err := s.ledger.Append(*r.Line); err != nil {
			s.fail(err)
			return 0, err
		}
	}
	return position, s.compact()
}

// commitSync is commit, durable on return.
func (s *Server) commitSync(records ...record) error {
	position, err := s.commit(records...)
	if err != nil {
		return err
	}
	return s.journal.Sync(position)
}

// fail stops the server from acting on a memory that it cannot keep.
func (s *Server) fail(err error) {
	if s.broken == nil {
		s.broken = fmt.Errorf("subsystem: the journal cannot be written, restart when the disk is well: %w", err)
		s.options.Log.Error("subsystem stops acting", "dir", s.options.Dir, "error", err)
	}
}

// compact rewrites the journal when three quarters of it are garbage. The ledger is synced first, because the journal's
// copies of its lines are about to go.
func (s *Server) compact() error {
	if live := len(s.memory.places) + len(s.memory.losses); s.records < 1024+4*live {
		return nil
	}
	if err := s.ledger.Sync(); err != nil {
		s.fail(err)
		return err
	}
	written := 0
	err := s.journal.Rewrite(func(emit func(any) error) error {
		return s.memory.snapshot(func(value any) error { written++; return emit(value) })
	})
	if err != nil {
		s.fail(err)
		return err
	}
	s.records = written
	return nil
}

// wake lets pollers look again. The caller holds mu.
func (s *Server) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// line makes the next line of the ledger. The caller holds mu.
func (s *Server) line(e Entry, effect Effect, detail string) *LedgerLine {
	return &LedgerLine{
		At: s.options.Now().UTC(), Seq: s.ledger.Next(), Memory: s.memory.id, Token: e.Token, Scope: e.Scope, Epoch: e.Epoch,
		Intent: e.Intent, Key: e.Key, Effect: effect, Detail: detail,
	}
}

// Memory is the identity of the current memory.
func (s *Server) Memory() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.memory.id
}

// Ledger reads the evidence so far.
func (s *Server) Ledger() ([]LedgerLine, error) {
	return ReadLedger(filepath.Join(s.options.Dir, LedgerFile))
}

// SetFaults tells the server to misbehave from now on.
func (s *Server) SetFaults(f Faults) error {
	if err := s.faults.Set(f); err != nil {
		return err
	}
	if f.ForgetNow {
		return s.Forget()
	}
	return nil
}

// HighestEpoch is the highest epoch that was seen in a scope ("" by default).
func (s *Server) HighestEpoch(scope string) resource.Epoch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.memory.epochs[scope]
}

// begin counts a call, so that Close can wait for it.
func (s *Server) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.calls.Add(1)
	return nil
}

// Close refuses new calls, ends pollers and delays, waits for the calls under way, and closes the files.
func (s *Server) Close() error {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.calls.Wait()
	if already {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.journal != nil {
		errs = append(errs, s.journal.Close())
	}
	if s.ledger != nil {
		errs = append(errs, s.ledger.Close())
	}
	return errors.Join(errs...)
}

// decode is json.Unmarshal with an error that names what was wrong.
func decode(what string, text []byte, into any) error {
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Run opens a server, listens on address, tells ready (when set) the bound address, and serves until ctx ends. It is the
// whole main function of most subsystems. address is "host:port"; port 0 chooses one.
func Run(ctx context.Context, options Options, address string, ready func(net.Addr)) error {
	server, err := Open(options)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return errors.Join(fmt.Errorf("subsystem: %w", err), server.Close())
	}
	if ready != nil {
		ready(listener.Addr())
	}
	return server.Serve(ctx, listener)
}
