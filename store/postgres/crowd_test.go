package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/storetest"
)

// soak asks for the numbers of a soak instead of those of every day.
func soak() bool { return os.Getenv("SETPOINT_SOAK") != "" }

// seeded makes a test's random choices repeatable.
func seeded(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("SETPOINT_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("SETPOINT_SEED=%q: %v", text, err)
		}
	}
	t.Logf("seed %d: repeat with SETPOINT_SEED=%d", seed, seed)
	return seed
}

// deed is what one commit of a crowd was to do.
type deed struct {
	// counter is the index of the counter that it increments, -1 for others.
	counter int
	// fresh says that nobody else can have made it fail: its object, or its signal, is its own.
	fresh bool
	// rev and err are what Commit returned.
	rev resource.Revision
	err error
}

// crowd are writers, who each write down what was acknowledged. Every commit has a cause of its own, by which it is found in the feed.
type crowd struct {
	engine   *Store
	counters []resource.Key
	stop     chan struct{}
	writers  sync.WaitGroup

	mu      sync.Mutex
	journal map[string]deed
	acked   atomic.Int64
	// unread counts the counters that could not be read.
	unread atomic.Int64
}

var crowdEpoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func crowdObject(name string) *resource.Object {
	return &resource.Object{
		Meta: resource.Meta{Key: resource.Key{Kind: "test/Counter", Namespace: "crowd", Name: resource.Name(name)}, UID: resource.UID("uid-" + name), Generation: 1, Created: crowdEpoch},
		Spec: []byte(`{"n":0}`),
	}
}

// gather starts so many writers, and stops them when the test ends, if it has not done so itself.
func gather(t *testing.T, engine *Store, writers int, seed uint64) *crowd {
	t.Helper()
	c := &crowd{engine: engine, stop: make(chan struct{}), journal: map[string]deed{}}
	for i := range 5 {
		o := crowdObject(fmt.Sprint("counter-", i))
		if _, err := engine.Commit(t.Context(), store.Transaction{Cause: store.Cause{Text: "begin"}, Objects: []store.ObjectWrite{{Object: o}}}); err != nil {
			t.Fatal(err)
		}
		c.counters = append(c.counters, o.Key)
	}
	for i := range writers {
		c.writers.Go(func() { c.write(t.Context(), i, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	t.Cleanup(c.disperse)
	return c
}

// disperse stops the writers, and returns when they have ended.
func (c *crowd) disperse() {
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	c.writers.Wait()
}

func (c *crowd) write(ctx context.Context, writer int, rng *rand.Rand) {
	for n := 0; ; n++ {
		select {
		case <-c.stop:
			return
		default:
		}
		cause := fmt.Sprintf("%d/%d", writer, n)
		switch rng.IntN(4) {
		case 0:
			o := crowdObject("made-" + cause)
			c.commit(ctx, cause, deed{counter: -1, fresh: true}, store.Transaction{Objects: []store.ObjectWrite{{Object: o}}})
		case 1:
			key := c.counters[rng.IntN(len(c.counters))]
			c.commit(ctx, cause, deed{counter: -1, fresh: true}, store.Transaction{Raise: []store.Signal{{Object: key, UID: "uid-" + resource.UID(key.Name), Name: "Poke", By: cause}}})
		default:
			c.increment(ctx, cause, rng.IntN(len(c.counters)))
		}
	}
}

func (c *crowd) increment(ctx context.Context, cause string, counter int) {
	o, err := c.engine.Object(ctx, c.counters[counter])
	if err != nil {
		c.unread.Add(1)
		return
	}
	next := &resource.Object{Meta: o.Meta, Spec: fmt.Appendf(nil, `{"n":%d}`, countOf(o)+1), Status: o.Status}
	c.commit(ctx, cause, deed{counter: counter}, store.Transaction{Objects: []store.ObjectWrite{{Object: next, Expect: o.Revision}}})
}

func countOf(o *resource.Object) int {
	var spec struct {
		N int `json:"n"`
	}
	if err := json.Unmarshal(o.Spec, &spec); err != nil {
		panic(err) // the test wrote it
	}
	return spec.N
}

func (c *crowd) commit(ctx context.Context, cause string, d deed, tx store.Transaction) {
	tx.Writer.Name, tx.Cause.Text = "crowd", cause
	r, err := c.engine.Commit(ctx, tx)
	d.rev, d.err = r.Revision, err
	c.mu.Lock()
	c.journal[cause] = d
	c.mu.Unlock()
	if err == nil {
		c.acked.Add(1)
	}
}

// moreAcknowledged waits until so many commits more than now were acknowledged.
func (c *crowd) moreAcknowledged(t *testing.T, n int64) {
	t.Helper()
	want := c.acked.Load() + n
	testkit.Wait(t, fmt.Sprintf("%d commits are acknowledged", want), func() bool { return c.acked.Load() >= want })
}

// tally is what a journal came to.
type tally struct {
	acknowledged, conflicts int
	// unavailable commits were told that nothing was written; of the unknown ones, committed is how many are there.
	unavailable, unknown, committed int
	other                           []error
}

func (x tally) String() string {
	return fmt.Sprintf("%d acknowledged, %d conflicts, %d unavailable, %d unknown (of which %d had committed)", x.acknowledged, x.conflicts, x.unavailable, x.unknown, x.committed)
}

// audit compares the journal with a database: what was acknowledged is there exactly once, at its revision, what was refused is not there, and the counters are at
// the number of their increments. The writers have ended.
func (c *crowd) audit(t *testing.T, s *Store) tally {
	t.Helper()
	state, err := storetest.ScanState(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	found := causes(t, s, state)
	var sum tally
	increments := make([]int, len(c.counters))
	for cause, d := range c.journal {
		at := found[cause]
		c.judge(t, cause, d, at, &sum)
		if d.counter >= 0 && len(at) > 0 {
			increments[d.counter]++
		}
	}
	for i, key := range c.counters {
		if n := countOf(state.Objects[key]); n != increments[i] {
			t.Errorf("%s is at %d; the feed has %d increments of it", key, n, increments[i])
		}
	}
	t.Logf("%s; %d counters could not be read; the database is at revision %d", sum, c.unread.Load(), state.Revision)
	return sum
}

func (c *crowd) judge(t *testing.T, cause string, d deed, at []resource.Revision, sum *tally) {
	switch {
	case d.err == nil:
		sum.acknowledged++
		if !slices.Equal(at, []resource.Revision{d.rev}) {
			t.Errorf("commit %s was acknowledged at revision %d, the feed has it at %d", cause, d.rev, at)
		}
		return
	case errors.Is(d.err, store.ErrUnknown):
		sum.unknown++
		sum.committed += len(at)
		if len(at) > 1 {
			t.Errorf("commit %s is in the feed more than once, at %d", cause, at)
		}
		return
	case errors.Is(d.err, store.ErrUnavailable):
		sum.unavailable++
	case errors.Is(d.err, store.ErrConflict):
		sum.conflicts++
		if d.fresh {
			t.Errorf("commit %s, which nobody can be in the way of, failed: %v", cause, d.err)
		}
	default:
		sum.other = append(sum.other, d.err)
		t.Errorf("commit %s: %v", cause, d.err)
	}
	if len(at) != 0 {
		t.Errorf("commit %s was refused (%v), and the feed has it at %d", cause, d.err, at)
	}
}

// causes reads the feed from its beginning, checks that it leads to a state, and returns where each cause is.
func causes(t *testing.T, s *Store, want *storetest.State) map[string][]resource.Revision {
	t.Helper()
	stream, err := s.Watch(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stream.Close(); err != nil {
			t.Error(err)
		}
	}()
	found, state := map[string][]resource.Revision{}, storetest.NewState()
	for state.Revision < want.Revision {
		b, err := stream.Next(t.Context())
		if err == nil {
			err = state.Apply(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		found[b.Cause.Text] = append(found[b.Cause.Text], b.Revision)
	}
	if state.String() != want.String() {
		t.Errorf("the feed up to revision %d leads to another state than the one stored", want.Revision)
	}
	return found
}

// watcher follows a store as a view does: it scans, and applies every commit.
type watcher struct {
	store *Store
	ended chan struct{}
	mu    sync.Mutex
	state *storetest.State
	// rescans counts how often it was told to scan again.
	rescans int
	err     error
}

// watch starts a watcher, which ends with the test.
func watch(t *testing.T, s *Store) *watcher {
	w := &watcher{store: s, ended: make(chan struct{}), state: storetest.NewState()}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(w.ended)
		err := w.follow(ctx)
		w.mu.Lock()
		defer w.mu.Unlock()
		if ctx.Err() == nil {
			w.err = err
		}
	}()
	t.Cleanup(func() { cancel(); <-w.ended })
	return w
}

func (w *watcher) follow(ctx context.Context) error {
	for ctx.Err() == nil {
		err := w.stream(ctx)
		switch {
		case errors.Is(err, store.ErrFuture), errors.Is(err, store.ErrCompacted):
			state, err := storetest.ScanState(ctx, w.store)
			if errors.Is(err, store.ErrUnavailable) {
				continue // the scan waits for the database itself
			}
			if err != nil {
				return err
			}
			w.mu.Lock()
			w.state = state
			w.rescans++
			w.mu.Unlock()
		case errors.Is(err, store.ErrUnavailable): // it was reading the table
		default:
			return err
		}
	}
	return ctx.Err()
}

func (w *watcher) stream(ctx context.Context) (err error) {
	stream, err := w.store.Watch(ctx, w.at())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	for {
		b, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		w.mu.Lock()
		err = w.state.Apply(b)
		w.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

func (w *watcher) at() resource.Revision {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.Revision
}

// arrives waits until the watcher is where a database is, and compares what it knows with what is stored. Nobody writes meanwhile.
func (w *watcher) arrives(t *testing.T, name string, s *Store) {
	t.Helper()
	want, err := storetest.ScanState(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, fmt.Sprintf("%s has seen revision %d (it was at %d)", name, want.Revision, w.at()), func() bool {
		select {
		case <-w.ended:
			return true
		default:
			return w.at() == want.Revision
		}
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		t.Fatalf("%s: %v", name, w.err)
	}
	if w.state.String() != want.String() {
		t.Errorf("%s knows another state at revision %d than the one stored", name, want.Revision)
	}
	t.Logf("%s followed to revision %d, scanning again %d times", name, want.Revision, w.rescans)
}

// outcomes counts what the engine's log says of lost answers.
type outcomes struct {
	slog.Handler
	lost, groups, committed, again *atomic.Int64
}

func newOutcomes(t *testing.T) *outcomes {
	return &outcomes{testLog(t).Handler(), new(atomic.Int64), new(atomic.Int64), new(atomic.Int64), new(atomic.Int64)}
}

// Handle counts, and writes into the test's log.
func (h *outcomes) Handle(ctx context.Context, r slog.Record) error {
	switch r.Message {
	case "the connection ended before a group was answered; its outcome is looked up":
		h.lost.Add(1)
	case "the outcome of a group is known":
		h.groups.Add(1)
		r.Attrs(func(a slog.Attr) bool {
			switch a.Key {
			case "committed":
				h.committed.Add(a.Value.Int64())
			case "sent again":
				h.again.Add(a.Value.Int64())
			}
			return true
		})
	}
	return h.Handler.Handle(ctx, r)
}
