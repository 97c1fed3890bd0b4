package upgrade

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
)

// machines are the subsystem. It stands on the kit, in the test's own process, takes a while for each call, and outlives all nodes.
type machines struct {
	t       *testing.T
	dir     string
	address string

	mu    sync.Mutex
	calls map[string][]command.Token // that came, by key
	held  map[string]chan struct{}   // calls of these keys end when it is closed
}

// newMachines starts the subsystem. It ends with the test.
func newMachines(t *testing.T) *machines {
	t.Helper()
	m := &machines{t: t, dir: t.TempDir(), calls: map[string][]command.Token{}, held: map[string]chan struct{}{}}
	server, err := subsystem.Open(subsystem.Options{Dir: m.dir, Handler: work{m}, MaxQueue: 1024})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- subsystem.ServeHTTP(ctx, listener, m.counted(server.Handler()), server.Close) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the machines: %v", err)
		}
	})
	return m
}

// hold has the calls of a key take until they are released.
func (m *machines) hold(key string) (release func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	gate := make(chan struct{})
	m.held[key] = gate
	return sync.OnceFunc(func() { close(gate) })
}

func (m *machines) gate(key string) chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held[key]
}

// called are the tokens of the calls that came for a key.
func (m *machines) called(key string) []command.Token {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls[key])
}

// counted notes which calls come.
func (m *machines) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/apply" {
			body, err := io.ReadAll(io.LimitReader(r.Body, subsystem.MaxBody))
			var call subsystem.ApplyRequest
			if err != nil || json.Unmarshal(body, &call) != nil {
				http.Error(w, "the call cannot be read", http.StatusBadRequest)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			m.mu.Lock()
			m.calls[call.Key] = append(m.calls[call.Key], call.Token)
			m.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

// ledger is what the subsystem says it has done.
func (m *machines) ledger() []subsystem.LedgerLine {
	m.t.Helper()
	lines, err := subsystem.ReadLedger(filepath.Join(m.dir, subsystem.LedgerFile))
	if err != nil {
		m.t.Fatal(err)
	}
	return lines
}

// effects counts what was done, by key.
func (m *machines) effects() map[string]int {
	m.t.Helper()
	count := map[string]int{}
	for _, l := range m.ledger() {
		count[l.Key]++
	}
	return count
}

// once checks that no token had two effects, and returns how many effects there were and how many calls were made again.
func (m *machines) once() (effects, repeated int) {
	m.t.Helper()
	for token, n := range subsystem.EffectsPerToken(m.ledger()) {
		effects += n
		if n > 1 {
			m.t.Errorf("token %s had %d effects", token, n)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, tokens := range m.calls {
		slices.Sort(tokens)
		repeated += len(tokens) - len(slices.Compact(tokens))
	}
	return effects, repeated
}

// work is what machines do: they take their time, and remember.
type work struct{ *machines }

// Start has nothing to take up: the kit remembers.
func (work) Start([]subsystem.Entry, subsystem.LoseFunc) error { return nil }

// Apply takes the time that a call takes, so that some are under way whenever a node stops.
func (w work) Apply(ctx context.Context, change subsystem.Change) subsystem.Answer {
	err := pause(ctx, 30*time.Millisecond)
	if gate := w.gate(change.Key); gate != nil && err == nil {
		select {
		case <-gate:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		return subsystem.Refuse(command.Retry, "the machines are being shut down")
	}
	stands := change.Standing != nil && change.Standing.Request != nil
	switch {
	case change.Request == nil && !stands:
		return subsystem.Done(nil, subsystem.NoEffect, "")
	case change.Request == nil:
		return subsystem.Done(nil, subsystem.Delete, "")
	case stands:
		return subsystem.Done(change.Request, subsystem.Update, "")
	}
	return subsystem.Done(change.Request, subsystem.Create, "")
}

// Restore takes anything up.
func (work) Restore(context.Context, subsystem.RestoreItem) error { return nil }

// Forget has nothing to forget beside the kit's memory.
func (work) Forget(context.Context) error { return nil }

// pause waits, and fails when ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
