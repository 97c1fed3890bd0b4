package view_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/view"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plant is a view that follows a feed in virtual time.
type plant struct {
	*testing.T
	feed    *feed
	view    *view.View
	applied []view.Applied
	stop    context.CancelFunc
	ended   chan error
}

func follow(t *testing.T, f *feed) *plant {
	ctx, cancel := context.WithCancel(t.Context())
	p := &plant{T: t, feed: f, view: view.New(), stop: cancel, ended: make(chan error, 1)}
	go func() { p.ended <- p.view.Run(ctx, f, func(a view.Applied) { p.applied = append(p.applied, a) }) }()
	synctest.Wait()
	return p
}

// pass lets virtual time go by, and everything happen that it brings about.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// end stops the view and checks that it lets go of everything.
func (p *plant) end() {
	p.stop()
	if err := <-p.ended; err != nil {
		p.Errorf("Run ended with %v", err)
	}
	if p.feed.streams != 0 {
		p.Errorf("%d streams were left open", p.feed.streams)
	}
}

// agrees checks that the view shows the feed's objects and revision.
func (p *plant) agrees() {
	p.Helper()
	var have []string
	for o := range p.view.List("Gateway.edge.example", "") {
		have = append(have, string(o.Name))
	}
	if want := p.feed.names(); !slices.Equal(have, want) {
		p.Errorf("the view shows %v, the database has %v", have, want)
	}
	if got, want := p.view.Revision(), resource.Revision(len(p.feed.commits)); got != want {
		p.Errorf("the view is at revision %d, the database at %d", got, want)
	}
}

// tell lists the changes that were observed since n, as "+name/uid", "=name/uid" or "-name/uid".
func (p *plant) tell(n int) (changes []string) {
	for _, a := range p.applied[n:] {
		for _, c := range a.Objects {
			sign := "="
			switch {
			case c.Old == nil:
				sign = "+"
			case c.New == nil:
				sign = "-"
			}
			changes = append(changes, fmt.Sprintf("%s%s/%s", sign, c.Object().Name, c.Object().UID))
		}
	}
	return changes
}

func TestRunLoadsThenFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		f.put("a", "1")
		f.put("b", "2")
		p := follow(t, f)
		defer p.end()
		p.agrees()
		if len(p.applied) != 1 || p.applied[0].Origin != view.Initial || !p.applied[0].Objects[0].Initial {
			t.Errorf("the first load was observed as %+v", p.applied)
		}
		f.put("b", "2")
		f.remove("a")
		synctest.Wait()
		p.agrees()
		if got, want := p.tell(1), []string{"=b/2", "-a/1"}; !slices.Equal(got, want) {
			t.Errorf("observed %v, want %v", got, want)
		}
		if h := p.view.Health(); !h.Following || !h.Ready || h.Err != nil || h.Revision != 4 {
			t.Errorf("health is %+v", h)
		}
	})
}

func TestRunScansAgainAndTellsTheDifference(t *testing.T) {
	tests := []struct {
		name   string
		reason string
		lose   func(f *feed)
	}{
		{"compacted", "the reader fell behind what is retained", func(f *feed) { f.compacted = resource.Revision(len(f.commits)); f.broken = store.ErrCompacted }},
		{"unavailable, then compacted", "the database was away for so long that its feed is gone when it is back", func(f *feed) {
			f.compacted = resource.Revision(len(f.commits))
			f.broken = store.ErrUnavailable
		}},
		{"a gap", "a feed that leaves a commit out is not to be believed from there on", func(f *feed) { f.skip = true }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFeed()
				for _, n := range []string{"same", "gone", "changed", "reborn"} {
					f.put(n, n+"-1")
				}
				p := follow(t, f)
				defer p.end()
				before := p.view.Snapshot()
				defer before.Close()
				seen := len(p.applied)
				// All of this happens, and the feed is lost, before the view looks again.
				f.missed(func() {
					f.put("changed", "changed-1")
					f.put("new", "new-1")
					f.remove("gone")
					f.remove("reborn")
					f.put("reborn", "reborn-2")
				}, test.lose)
				pass(time.Minute)
				p.agrees()
				got := p.tell(seen)
				slices.Sort(got)
				if want := []string{"+new/new-1", "+reborn/reborn-2", "-gone/gone-1", "-reborn/reborn-1", "=changed/changed-1"}; !slices.Equal(got, want) {
					t.Errorf("%s: observed %v, want %v", test.reason, got, want)
				}
				if o, ok := before.ByUID("gone-1"); !ok || o.Revision != 2 {
					t.Errorf("the snapshot from before has lost an object")
				}
				if _, ok := p.view.Snapshot().ByUID("reborn-1"); ok {
					t.Errorf("an object is found under the UID of its deleted namesake")
				}
				if h := p.view.Health(); !h.Following || h.Rescans != 1 {
					t.Errorf("health is %+v", h)
				}
			})
		})
	}
}

// missed makes commits and breaks the feed before any stream sees one of them.
func (f *feed) missed(commits func(), lose func(*feed)) {
	old := f.changed
	f.mu.Lock()
	f.changed = make(chan struct{}) // nobody listens to this one
	f.mu.Unlock()
	commits()
	f.mu.Lock()
	defer f.mu.Unlock()
	lose(f)
	close(old)
}

func TestRunRestoredDatabase(t *testing.T) {
	tests := []struct {
		name   string
		reason string
		after  int // commits after the restore, before the view looks
	}{
		{"shorter", "the view's revision is in the future: ErrFuture", 0},
		{"longer", "the view's revision exists again, and means another commit: only the incarnation tells", 6},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFeed()
				f.put("kept", "1")
				f.put("lost", "2")
				f.put("kept", "1")
				p := follow(t, f)
				defer p.end()
				waits := make(chan error, 1)
				go func() { waits <- p.view.WaitFor(t.Context(), 100) }()
				synctest.Wait()
				f.change(func() {
					f.incarnation, f.commits, f.broken = 2, f.commits[:1], store.ErrUnavailable
					f.objects = map[resource.Key]*resource.Object{key("kept"): f.commits[0].Objects[0].Object}
					for i := range test.after {
						o := &resource.Object{}
						o.Key, o.UID, o.Revision = key("kept"), "1", resource.Revision(i+2)
						f.objects[o.Key] = o
						f.commits = append(f.commits, store.Batch{Revision: o.Revision, Objects: []store.ObjectChange{{Object: o}}})
					}
				})
				pass(time.Minute)
				p.agrees()
				if o, _ := p.view.Get(key("kept")); o != f.objects[key("kept")] {
					t.Errorf("%s: the view shows an object of the history that is gone", test.reason)
				}
				if err := <-waits; !errors.Is(err, view.ErrRestored) {
					t.Errorf("who waited for a revision of the lost history was told %v", err)
				}
			})
		})
	}
}

func TestRunRetriesWithGrowingDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		f.put("a", "1")
		f.fault = store.ErrUnavailable
		p := follow(t, f)
		defer p.end()
		pass(10 * time.Minute) // fault 43, the database is away
		if f.failures < 100 || f.failures > 1300 {
			t.Errorf("%d calls in ten minutes: want between one in six seconds and two per second", f.failures)
		}
		h := p.view.Health()
		if h.Ready || h.Following || !errors.Is(h.Err, store.ErrUnavailable) || h.Failures != f.failures || time.Since(h.Since) < 9*time.Minute {
			t.Errorf("health is %+v", h)
		}
		f.change(func() { f.fault = nil })
		<-p.view.Loaded()
		synctest.Wait()
		p.agrees()
		if h := p.view.Health(); !h.Following || h.Err != nil || h.Failures != 0 {
			t.Errorf("health is %+v", h)
		}
		f.put("a", "1")
		synctest.Wait()
		f.change(func() { f.broken = store.ErrUnavailable })
		pass(20 * time.Millisecond)
		if f.watches != 2 || !p.view.Health().Following {
			t.Errorf("after a commit that was applied, the next failure is a first one: it is retried at once")
		}
	})
}

func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		p := follow(t, f)
		waits := make(chan error, 1)
		go func() { waits <- p.view.WaitFor(t.Context(), 7) }()
		synctest.Wait()
		f.change(func() { f.fault = store.ErrClosed })
		if err := <-p.ended; !errors.Is(err, store.ErrClosed) {
			t.Errorf("Run ended with %v", err)
		}
		if err := <-waits; !errors.Is(err, view.ErrStopped) {
			t.Errorf("the waiter was told %v", err)
		}
		if err := p.view.WaitFor(t.Context(), 7); !errors.Is(err, view.ErrStopped) {
			t.Errorf("a later waiter was told %v", err)
		}
		if h := p.view.Health(); h.Following || !errors.Is(h.Err, store.ErrClosed) {
			t.Errorf("health is %+v", h)
		}
		if f.streams != 0 {
			t.Errorf("%d streams were left open", f.streams)
		}
		p.stop()
	})
}

func TestHealthShowsASilentFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		f.put("a", "1")
		p := follow(t, f)
		defer p.end()
		p.view.Announce(1)
		if h := p.view.Health(); h.Behind != 0 || h.Head != 1 {
			t.Errorf("an announcement of what is known: %+v", h)
		}
		p.view.Announce(2)
		pass(time.Minute)
		p.view.Announce(3)
		pass(time.Minute)
		if h := p.view.Health(); h.Behind != 2*time.Minute || h.Head != 3 {
			t.Errorf("two minutes after the first commit that did not come: %+v", h)
		}
		f.put("a", "1")
		synctest.Wait()
		if h := p.view.Health(); h.Behind != time.Minute {
			t.Errorf("a minute after the second one, the first having come: %+v", h)
		}
		f.put("a", "1")
		synctest.Wait()
		if h := p.view.Health(); h.Behind != 0 || h.Head != 3 {
			t.Errorf("everything having come: %+v", h)
		}
	})
}

func TestSweeperFreesWhatALargeSnapshotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		for i := range 1000 {
			f.put(fmt.Sprint(i), fmt.Sprint(i))
		}
		p := follow(t, f)
		defer p.end()
		s := p.view.Snapshot()
		for i := range 1000 {
			f.put(fmt.Sprint(i), fmt.Sprint(i))
		}
		pass(time.Hour)
		if st := p.view.Stats(); st.Versions != 1000 || st.Cuts != 1 || st.Oldest != 1000 || st.OldestAge != time.Hour {
			t.Errorf("a snapshot held for an hour shows as %+v", st)
		}
		s.Close()
		synctest.Wait()
		if st := p.view.Stats(); st.Versions != 0 || st.Cuts != 0 {
			t.Errorf("after it was closed, with the feed quiet: %+v", st)
		}
	})
}
