package alert_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/alert"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// wire is a node's way to a database that several share, and can be cut: then nothing comes back.
type wire struct {
	*sqlite.Store
	mu  sync.Mutex
	cut chan struct{} // closed when it is mended; nil while it is whole
}

func (w *wire) Info() store.Info {
	i := w.Store.Info()
	i.Shared = true
	return i
}

// sever cuts the wire, and returns what mends it.
func (w *wire) sever() (mend func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	cut := make(chan struct{})
	w.cut = cut
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.cut = nil
		close(cut)
	}
}

// pass returns at once while the wire is whole, and otherwise with an error, as late as the caller bears it.
func (w *wire) pass(ctx context.Context) error {
	w.mu.Lock()
	cut := w.cut
	w.mu.Unlock()
	if cut == nil {
		return nil
	}
	select {
	case <-cut:
		return store.ErrUnavailable
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *wire) Beat(ctx context.Context, b store.Beat) (store.Standing, error) {
	if err := w.pass(ctx); err != nil {
		return store.Standing{}, err
	}
	return w.Store.Beat(ctx, b)
}

func (w *wire) Commit(ctx context.Context, tx store.Transaction) (store.Receipt, error) {
	if err := w.pass(ctx); err != nil {
		return store.Receipt{}, err
	}
	return w.Store.Commit(ctx, tx)
}

func (w *wire) Watch(ctx context.Context, from resource.Revision) (store.Stream, error) {
	s, err := w.Store.Watch(ctx, from)
	return &held{s, w}, err
}

// held is a feed whose news come when the wire is whole.
type held struct {
	store.Stream
	wire *wire
}

func (h *held) Next(ctx context.Context) (store.Batch, error) {
	b, err := h.Stream.Next(ctx)
	for err == nil && h.wire.pass(ctx) != nil && ctx.Err() == nil {
	}
	return b, errors.Join(err, ctx.Err())
}

type lampSpec struct {
	Broken bool `json:"broken,omitempty"`
}

var lamps = setpoint.MustDefine(setpoint.KindOptions[lampSpec, struct{}]{Group: "edge.example", Version: "v1", Kind: "Lamp"})

var errBroken = errors.New("the lamp is broken")

// teller is a node that tells.
type teller struct {
	plane        *setpoint.Plane
	wire         *wire
	chat, pager  *receiver
	stop         func()
	watch, tells chan error
}

// node runs a node on a database, and its notifier as a server does.
func node(t *testing.T, st *sqlite.Store, name string) *teller {
	t.Helper()
	n := &teller{wire: &wire{Store: st}, chat: &receiver{}, pager: &receiver{}, watch: make(chan error, 1), tells: make(chan error, 1)}
	p, err := setpoint.New(t.Context(), setpoint.Config{
		Store: n.wire, Name: name, Kinds: []*setpoint.Definition{lamps.Definition},
		Controllers: []setpoint.Controller{lamps.Driver("lamp", func(_ *setpoint.Turn, l *setpoint.Resource[lampSpec, struct{}]) setpoint.Outcome {
			if l.Spec.Broken && !l.Deleting() {
				return setpoint.Fail(setpoint.Terminal(errBroken))
			}
			return setpoint.Done()
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	n.plane = p
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	notifier := alert.New(alert.Options{
		Senders: []*alert.Sender{webhook(t, n.chat, nil), alertmanager(t, n.pager)},
		Silent:  func() bool { now, _ := p.InCharge(); return !now },
	})
	go func() { ran <- p.Run(ctx) }()
	go func() { n.watch <- notifier.Watch(ctx, p) }()
	go func() { n.tells <- notifier.Run(ctx) }()
	n.stop = func() {
		cancel()
		if err := errors.Join(<-ran, <-n.watch, <-n.tells); err != nil {
			t.Errorf("node %s ended with: %v", name, err)
		}
	}
	synctest.Wait()
	return n
}

func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// broken is a lamp in trouble.
func broken(t *testing.T) *setpoint.Object {
	t.Helper()
	o, err := lamps.New("default", "l1", lampSpec{Broken: true}, resource.Birth{Now: time.Now(), UID: func() resource.UID { return "l1" }})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// after counts the requests that the receivers of a node got after a moment.
func (n *teller) after(at time.Time) (count int) {
	for _, r := range append(n.chat.requests(), n.pager.requests()...) {
		if r.at.After(at) {
			count++
		}
	}
	return count
}

// TestANodeThatIsCutOffTellsNobody: it ceases by its own clock when its trust ends, before another can begin; the other goes on, and tells also what the first cannot know. When the wire is mended
// the first stays silent, as it has lost the charge.
func TestANodeThatIsCutOffTellsNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "setpoint.db")
	synctest.Test(t, func(t *testing.T) {
		st, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		first := node(t, st, "first")
		wait(time.Minute)
		second := node(t, st, "second")
		wait(time.Minute)
		if now, _ := first.plane.InCharge(); !now {
			t.Fatal("the first node is not in charge")
		}
		if _, err := first.plane.Create(t.Context(), "api:test", broken(t), false); err != nil {
			t.Fatal(err)
		}
		wait(time.Minute)
		if first.after(time.Time{}) == 0 || second.after(time.Time{}) != 0 {
			t.Fatalf("%d requests by the first, %d by the second", first.after(time.Time{}), second.after(time.Time{}))
		}

		mend := first.wire.sever()
		cut := time.Now()
		wait(9 * time.Second) // the trust of a time to live of ten
		if now, _ := first.plane.InCharge(); now {
			t.Error("the first node is in charge though its trust has ended")
		}
		end := time.Now()
		wait(5 * time.Minute)
		if n := first.after(end); n != 0 {
			t.Errorf("the first node, which is cut off, made %d requests", n)
		}
		if n := second.after(cut.Add(20 * time.Second)); n == 0 {
			t.Error("the second node does not go on")
		}
		if _, _, err := second.plane.Delete(t.Context(), "api:test", lamps.Key("default", "l1"), setpoint.Preconditions{}, false); err != nil {
			t.Fatal(err)
		}
		wait(time.Minute)
		wantEvents(t, second.chat, "raised Error 1", "cleared Error 0")
		mend()
		wait(10 * time.Minute)
		if n := first.after(end); n != 0 {
			t.Errorf("the first node made %d requests when it was back: %q", n, strings.Join(events(t, first.chat.requests()), ", "))
		}
		first.stop()
		second.stop()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
}
