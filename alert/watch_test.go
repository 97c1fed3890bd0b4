package alert_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/alert"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/view"
)

// database is a store of which only the feed is asked.
type database interface{ store.Store }

// plane is a plane whose feed is in the hands of the test.
type plane struct {
	database
	registry    resource.Registry
	view        *view.View
	mu          sync.Mutex
	incarnation uint64
	opened      []resource.Revision // from where the feed was opened
	refuse      error               // of the next opening
	feed        chan any            // store.Batch or error
}

func newPlane(t *testing.T) *plane {
	t.Helper()
	p := &plane{view: view.New(), incarnation: 1, feed: make(chan any)}
	if err := p.registry.Register(&resource.Definition{Group: "edge.example", Version: "v1", Kind: "Device", Plural: "devices", Singular: "device", Lifecycle: life}); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *plane) Registry() *resource.Registry { return &p.registry }
func (p *plane) View() *view.View             { return p.view }
func (p *plane) Store() store.Store           { return p }

func (p *plane) Info() store.Info {
	p.mu.Lock()
	defer p.mu.Unlock()
	return store.Info{Incarnation: p.incarnation}
}

func (p *plane) Watch(_ context.Context, from resource.Revision) (store.Stream, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = append(p.opened, from)
	err := p.refuse
	p.refuse = nil
	return stream{p}, err
}

type stream struct{ *plane }

func (s stream) Next(ctx context.Context) (store.Batch, error) {
	select {
	case next := <-s.feed:
		if err, is := next.(error); is {
			return store.Batch{}, err
		}
		return next.(store.Batch), nil
	case <-ctx.Done():
		return store.Batch{}, ctx.Err()
	}
}

func (s stream) Close() error { return nil }

// load makes the view show exactly these objects at a revision.
func (p *plane) load(t *testing.T, at resource.Revision, objects ...*resource.Object) {
	t.Helper()
	err := p.view.Load(t.Context(), func(_ context.Context, visit func(store.Batch) error) (resource.Revision, error) {
		b := store.Batch{Revision: at}
		for _, o := range objects {
			b.Objects = append(b.Objects, store.ObjectChange{Object: o, Created: true})
		}
		return at, visit(b)
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// sick is a device that is late for want of an address, well one that is not.
func sick(i int) *resource.Object {
	return numbered(i, object("Provisioning", func(o *resource.Object) {
		condition(o, resource.Late, resource.True, "BudgetExceeded", "too long")
		condition(o, resource.Ready, resource.False, "NoAddress", "the pool is empty")
	}))
}

func well(i int) *resource.Object { return numbered(i, object("Available", nil)) }

func numbered(i int, o *resource.Object) *resource.Object {
	o.Key, o.UID = device(i), resource.UID(device(i).Name)
	return o
}

func changed(at resource.Revision, o *resource.Object) store.Batch {
	return store.Batch{Revision: at, Objects: []store.ObjectChange{{Object: o}}}
}

func removed(at resource.Revision, o *resource.Object) store.Batch {
	return store.Batch{Revision: at, Objects: []store.ObjectChange{{Object: o, Removed: true}}}
}

func TestWatch(t *testing.T) {
	foreign := sick(9)
	foreign.Kind = "Other.edge.example"
	timeless := numbered(8, object("Provisioning", func(o *resource.Object) {
		o.Waits = []resource.Wait{{Controller: "devices", Code: "NoCapacity", Class: "Terminal"}}
	}))
	lost := errors.New("the connection broke")
	for _, c := range []struct {
		reason string
		at     resource.Revision
		exists []*resource.Object
		happen func(t *testing.T, p *plane)
		want   []resource.Key
		opened []resource.Revision
	}{
		{"who is in trouble already is seen", 7, []*resource.Object{sick(1), well(2)}, func(*testing.T, *plane) {},
			[]resource.Key{device(1)}, []resource.Revision{7}},
		{"a change for the worse, one for the better, and a removal", 7, []*resource.Object{sick(1), sick(2), well(3)}, func(_ *testing.T, p *plane) {
			p.feed <- changed(8, sick(3))
			p.feed <- changed(9, well(1))
			p.feed <- removed(10, sick(2))
		}, []resource.Key{device(3)}, []resource.Revision{7}},
		{"a kind that is not registered has no states to judge by", 7, nil, func(_ *testing.T, p *plane) { p.feed <- changed(8, foreign) }, nil, []resource.Revision{7}},
		{"a trouble that is malformed stops nobody", 7, nil, func(_ *testing.T, p *plane) {
			p.feed <- changed(8, timeless)
			p.feed <- changed(9, sick(1))
		}, []resource.Key{device(1)}, []resource.Revision{7}},
		{"a feed that breaks goes on where it was", 7, []*resource.Object{sick(1)}, func(_ *testing.T, p *plane) {
			p.feed <- changed(8, sick(2))
			p.feed <- lost
			p.feed <- changed(9, well(1))
		}, []resource.Key{device(2)}, []resource.Revision{7, 8}},
		{"commits that are not to be had any more: everything is looked at again, and who is gone is forgotten", 7, []*resource.Object{sick(1), sick(2)}, func(t *testing.T, p *plane) {
			p.load(t, 20, sick(1), sick(3))
			p.feed <- store.ErrCompacted
			p.feed <- changed(21, sick(4))
		}, []resource.Key{device(1), device(3), device(4)}, []resource.Revision{7, 20}},
		{"another incarnation: the same revision may be another commit", 7, []*resource.Object{sick(1)}, func(t *testing.T, p *plane) {
			p.load(t, 9, sick(2))
			p.mu.Lock()
			p.incarnation = 2
			p.mu.Unlock()
			p.feed <- lost
			p.feed <- changed(10, sick(3))
		}, []resource.Key{device(2), device(3)}, []resource.Revision{7, 9}},
		{"a feed that cannot be opened is tried again", 7, []*resource.Object{sick(1)}, func(_ *testing.T, p *plane) {
			p.mu.Lock()
			p.refuse = store.ErrUnavailable
			p.mu.Unlock()
			p.feed <- lost
			p.feed <- changed(8, sick(2))
		}, []resource.Key{device(1), device(2)}, []resource.Revision{7, 7, 7}},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, n := newPlane(t), alert.New(alert.Options{})
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- n.Watch(ctx, p) }()
			p.load(t, c.at, c.exists...)
			synctest.Wait()
			c.happen(t, p)
			synctest.Wait()
			got := n.Objects()
			slices.SortFunc(got, resource.Key.Compare)
			if !slices.Equal(got, c.want) || !slices.Equal(p.opened, c.opened) {
				t.Errorf("%s: in trouble are %v, want %v; the feed was opened at %v, want %v", c.reason, got, c.want, p.opened, c.opened)
			}
			stop()
			if err := <-ended; err != nil {
				t.Errorf("%s: Watch ended with %v", c.reason, err)
			}
		})
	}
}

func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alert.New(alert.Options{})
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		if err := n.Watch(ctx, newPlane(t)); err != nil {
			t.Errorf("a view that is never loaded: %v", err)
		}
		p := newPlane(t)
		p.load(t, 1)
		go func() { p.feed <- store.ErrClosed }()
		if err := n.Watch(t.Context(), p); !errors.Is(err, store.ErrClosed) {
			t.Errorf("a closed store: %v", err)
		}
	})
}

func TestFiringCountsGroupsBySeverity(t *testing.T) {
	n := alert.New(alert.Options{})
	fill(t, n.Set, 0, 3)
	worse := noAddress(4)
	worse.Cause, worse.Severity = "Broken", alert.Critical
	if err := n.Set(worse); err != nil {
		t.Fatal(err)
	}
	n.Forget(device(0))
	if f := n.Firing(); f[alert.Warning] != 1 || f[alert.Critical] != 1 || f[alert.Info] != 0 || len(f) != 3 {
		t.Errorf("firing: %v", f)
	}
	n.Forget(device(4))
	if f := n.Firing(); f[alert.Critical] != 0 || len(n.Objects()) != 2 {
		t.Errorf("firing: %v, in trouble %v", f, n.Objects())
	}
}
