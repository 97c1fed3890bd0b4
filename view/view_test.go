package view_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/view"
)

func object(name, uid string, r resource.Revision) *resource.Object {
	o := &resource.Object{}
	o.Key, o.UID, o.Revision = key(name), resource.UID(uid), r
	return o
}

func put(o *resource.Object) store.ObjectChange { return store.ObjectChange{Object: o} }

func TestApplyRefuses(t *testing.T) {
	tests := []struct {
		name   string
		reason string
		batch  store.Batch
		want   error
		says   string
	}{
		{"a gap", "the commit between would never be seen", store.Batch{Revision: 3}, view.ErrOrder, "apply commit 3: not the next revision: the view is at 1 and wants 2; scan again"},
		{"a repeat", "what it changed has been observed already", store.Batch{Revision: 1}, view.ErrOrder, "the view is at 1 and wants 2"},
		{"no object", "there is nothing to store", store.Batch{Revision: 2, Objects: []store.ObjectChange{{}}}, view.ErrMalformed, "object change 0 has no object"},
		{"no UID", "it could not be told from its namesakes", store.Batch{Revision: 2, Objects: []store.ObjectChange{put(object("b", "2", 2)), put(object("a", "", 2))}}, view.ErrMalformed, "(Gateway.edge.example/blue/a) has no key or no UID"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := loaded(t)
			apply(t, v, store.Batch{Revision: 1, Objects: []store.ObjectChange{put(object("a", "1", 1))}})
			_, err := v.Apply(test.batch)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: got %v, want %v saying %q", test.reason, err, test.want, test.says)
			}
			if st := v.Stats(); st.Revision != 1 || st.Objects != 1 {
				t.Errorf("the refused batch has changed the view: %+v", st)
			}
		})
	}
	if _, err := view.New().Apply(store.Batch{Revision: 1}); !errors.Is(err, view.ErrNotLoaded) {
		t.Errorf("a batch before the first load: %v", err)
	}
}

func TestFailedLoadChangesNothing(t *testing.T) {
	lost := errors.New("connection lost")
	tests := []struct {
		name   string
		reason string
		scan   view.Scanner
		want   error
	}{
		{"half a scan", "what was not delivered is not gone", func(_ context.Context, visit func(store.Batch) error) (resource.Revision, error) {
			return 0, errors.Join(visit(store.Batch{Revision: 9, Objects: []store.ObjectChange{put(object("new", "9", 9))}}), lost)
		}, lost},
		{"two revisions", "the batches are not of one moment", func(_ context.Context, visit func(store.Batch) error) (resource.Revision, error) {
			return 9, errors.Join(visit(store.Batch{Revision: 8}), visit(store.Batch{Revision: 9}))
		}, view.ErrMalformed},
		{"another end", "the revision reported is not the one delivered", func(_ context.Context, visit func(store.Batch) error) (resource.Revision, error) {
			return 9, visit(store.Batch{Revision: 8})
		}, view.ErrMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := loaded(t)
			apply(t, v, store.Batch{Revision: 1, Objects: []store.ObjectChange{put(object("a", "1", 1))}})
			err := v.Load(t.Context(), test.scan, func(a view.Applied) { t.Errorf("observed %+v", a) })
			if !errors.Is(err, test.want) {
				t.Errorf("%s: got %v, want %v", test.reason, err, test.want)
			}
			if st := v.Stats(); st.Revision != 1 || st.Objects != 1 {
				t.Errorf("the failed load has changed the view: %+v", st)
			}
			apply(t, v, store.Batch{Revision: 2})
		})
	}
}

func TestRemovalTakesWhatBelongedToTheObject(t *testing.T) {
	v := loaded(t)
	old, new := object("a", "old", 1), object("a", "new", 2)
	slot := command.Slot{Owner: "old", Adapter: "dns", Key: "x"}
	apply(t, v, store.Batch{
		Revision: 1, Objects: []store.ObjectChange{put(old)},
		Commands: []store.CommandChange{{Command: command.Command{Slot: slot, Phase: command.Done, Request: []byte("{}"), Token: "t"}}},
		Raised:   []store.Signal{{ID: 1, Object: old.Key, UID: "old", Name: "Go"}},
		Timers:   []store.Timer{{Controller: "main", Object: old.Key, UID: "old", Due: time.Unix(1, 0)}},
	})
	if got := v.Expected("dns", ""); len(got) != 1 || got[0].Token != "t" {
		t.Errorf("expected %+v", got)
	}
	// One batch, as a rescan or a careless store would say it: the namesake comes, and nothing is said of the old one.
	a := apply(t, v, store.Batch{Revision: 2, Objects: []store.ObjectChange{{Object: new, Created: true}}})
	if len(a.Objects) != 2 || a.Objects[0].Old != old || a.Objects[0].Gone == nil || a.Objects[1].Old != nil || a.Objects[1].New != new {
		t.Errorf("delete and recreate is observed as %+v", a.Objects)
	}
	if len(a.Commands) != 1 || a.Commands[0].New != nil || len(a.Consumed) != 1 || len(a.Timers) != 1 {
		t.Errorf("what the old one owned is observed as %+v", a)
	}
	s := v.Snapshot()
	defer s.Close()
	if _, ok := s.Timer("main", old.Key); ok || len(s.Commands("old"))+len(s.Signals("old")) > 0 {
		t.Error("something of the old object is left")
	}
	// Late news about the old one do not touch the new one.
	apply(t, v, store.Batch{
		Revision: 3, Objects: []store.ObjectChange{{Object: object("a", "old", 3), Removed: true}},
		Timers: []store.Timer{{Controller: "main", Object: old.Key, UID: "new", Due: time.Unix(1, 0)}},
	})
	a = apply(t, v, store.Batch{Revision: 4, Timers: []store.Timer{{Controller: "main", Object: old.Key, UID: "old"}}})
	if o, ok := v.Get(old.Key); !ok || o != new || len(a.Timers) != 0 {
		t.Error("news about the old object have hit its namesake")
	}
}

func TestLargeStepIsSeenWholeOrNotAtAll(t *testing.T) {
	const objects, steps = 3000, 20
	v := loaded(t)
	batch := func(r resource.Revision) store.Batch {
		b := store.Batch{Revision: r}
		for i := range objects {
			b.Objects = append(b.Objects, put(object(fmt.Sprintf("%04d", i), fmt.Sprint(i), r)))
		}
		return b
	}
	apply(t, v, batch(1))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for n := range 3 {
		readers.Go(func() {
			for looks := 0; ; looks++ {
				select {
				case <-done:
					return
				default:
				}
				check(t, v, objects, n == 0)
			}
		})
	}
	for r := resource.Revision(2); r <= steps; r++ {
		apply(t, v, batch(r))
	}
	close(done)
	readers.Wait()
	v.Trim()
	if st := v.Stats(); st.Versions != 0 || st.Cuts != 0 {
		t.Errorf("left behind: %+v", st)
	}
}

// check reads everything once and wants it to be of one revision.
func check(t *testing.T, v *view.View, objects int, latest bool) {
	s := v.Snapshot()
	defer s.Close()
	list := s.List("Gateway.edge.example", "")
	if latest {
		list = v.List("Gateway.edge.example", "blue")
	}
	n, r := 0, resource.Revision(0)
	for o := range list {
		if n++; n == 1 {
			r = o.Revision
		}
		if o.Revision != r || !latest && o.Revision != s.Revision() {
			t.Errorf("%s is of revision %d in a list of %d", o.Key, o.Revision, r)
			return
		}
	}
	if n != objects {
		t.Errorf("%d objects listed, want %d", n, objects)
	}
}

func TestReadersAndSnapshotsUnderWrites(t *testing.T) {
	v := loaded(t)
	const families, commits = 20, 2000
	uid := func(i int) string { return fmt.Sprintf("uid-%d", i) }
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				s := v.Snapshot()
				r := s.Revision()
				for _, c := range s.Children(resource.UID(uid(i % families))) {
					if c.Revision > r {
						t.Errorf("a child of revision %d in a snapshot of %d", c.Revision, r)
					}
				}
				if o, ok := s.Get(key(fmt.Sprint(i % families))); ok {
					if again, ok := s.ByUID(o.UID); !ok || again != o {
						t.Errorf("%s is another object by UID", o.Key)
					}
				}
				for range s.OpenCommands() {
					break
				}
				s.Close()
				s.Close()
			}
		})
	}
	for i := range commits {
		r := resource.Revision(i + 1)
		o := object(fmt.Sprint(i%families), uid(i%families), r)
		o.Owners = []resource.Owner{{UID: resource.UID(uid(i / 3 % families)), Child: "c"}}
		b := store.Batch{Revision: r, Objects: []store.ObjectChange{{Object: o, Removed: i/families%3 == 2}}}
		if i%2 == 0 {
			b.Commands = []store.CommandChange{{Command: command.Command{Slot: command.Slot{Owner: o.UID, Adapter: "dns", Key: "k"}, Phase: command.Pending}}}
		}
		apply(t, v, b)
	}
	close(done)
	readers.Wait()
	v.Trim()
	if st := v.Stats(); st.Versions != 0 || st.Cuts != 0 {
		t.Errorf("left behind: %+v", st)
	}
}

func TestSnapshotAfterClosePanics(t *testing.T) {
	v := loaded(t)
	apply(t, v, store.Batch{Revision: 1, Objects: []store.ObjectChange{put(object("a", "1", 1)), put(object("b", "2", 1))}})
	tests := []struct {
		name   string
		reason string
		use    func(*view.Snapshot)
	}{
		{"Get", "the version it would find may be gone", func(s *view.Snapshot) { s.Close(); s.Get(key("a")) }},
		{"List", "an iteration does not outlive its snapshot", func(s *view.Snapshot) {
			for range s.List("Gateway.edge.example", "") {
				s.Close()
			}
		}},
		{"List, later", "an iterator is used when it is used, not when it is made", func(s *view.Snapshot) {
			list := s.List("Gateway.edge.example", "")
			s.Close()
			for range list {
				t.Error("a value was yielded")
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Errorf("no panic, though %s", test.reason)
				}
			}()
			test.use(v.Snapshot())
		})
	}
}

func TestListAfterGoesOnWhereAPageEnded(t *testing.T) {
	v := loaded(t)
	b := store.Batch{Revision: 1}
	for i := range 100 {
		o := object(fmt.Sprintf("%02d", i), fmt.Sprint(i), 1)
		o.Namespace = resource.Namespace(fmt.Sprintf("ns%d", i%3))
		b.Objects = append(b.Objects, put(o))
	}
	apply(t, v, b)
	s := v.Snapshot()
	defer s.Close()
	for _, ns := range []resource.Namespace{"", "ns1"} {
		whole := slices.Collect(s.List("Gateway.edge.example", ns))
		var paged []*resource.Object
		after := resource.Key{Kind: "Gateway.edge.example", Namespace: ns}
		for range 100 {
			for o := range s.ListAfter(after, ns) {
				paged = append(paged, o)
				if after = o.Key; len(paged)%7 == 0 {
					break
				}
			}
		}
		if !slices.Equal(whole, paged) || len(whole) < 30 {
			t.Errorf("namespace %q: %d objects in pages, %d at once", ns, len(paged), len(whole))
		}
	}
}
