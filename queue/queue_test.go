package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// harness is a queue in virtual time whose failures are easy to read.
type harness struct {
	*Queue[string]
	t     *testing.T
	start time.Time
}

func inVirtualTime(t *testing.T, o Options[string], test func(h *harness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Name, o.Tenant = "test", tenantOf
		h := &harness{New(o), t, time.Now()}
		defer h.Close()
		test(h)
	})
}

func (h *harness) in(seconds int) time.Time {
	return time.Now().Add(time.Duration(seconds) * time.Second)
}

// take hands out whatever comes within a virtual day, and says when: "a1@5s".
func (h *harness) take() string {
	ctx, cancel := context.WithTimeout(h.t.Context(), 24*time.Hour)
	defer cancel()
	item, ok := h.Next(ctx)
	if !ok {
		return "nothing"
	}
	return fmt.Sprintf("%s@%v", item.Key, time.Since(h.start))
}

func (h *harness) want(what, got, want string) {
	h.t.Helper()
	if got != want {
		h.t.Errorf("%s: got %s, want %s", what, got, want)
	}
}

// failing brings the key a1 into a backoff that ends at 60s.
func (h *harness) failing() {
	h.Add("a1", Wake{})
	h.want("first turn", h.take(), "a1@0s")
	h.Done("a1", Verdict{End: Failed, Due: h.in(60)})
}

func TestWhatRunsWhen(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		do           func(h *harness)
		want         string
	}{
		{"earliest wins", "one entry per key: the earlier due time replaces the later", func(h *harness) {
			h.Add("a1", Wake{Due: h.in(9)})
			h.Add("a1", Wake{Due: h.in(3)})
			h.Add("a1", Wake{Due: h.in(5)})
		}, "a1@3s"},
		{"past is now", "a due time in the past cannot overtake by its age", func(h *harness) {
			h.Add("a1", Wake{})
			h.Add("a2", Wake{Due: h.in(-100)})
		}, "a1@0s"},
		{"look again", "a verdict's due time is the key's next turn", func(h *harness) {
			h.TryAcquire("a1")
			h.Done("a1", Verdict{End: Succeeded, Due: h.in(7)})
		}, "a1@7s"},
		{"look again replaced", "a verdict without a due time cancels the one before", func(h *harness) {
			h.TryAcquire("a1")
			h.Done("a1", Verdict{End: Waiting, Due: h.in(7)})
			h.TryAcquire("a1")
			h.Done("a1", Verdict{End: Waiting})
		}, "nothing"},
		{"changed during work", "what came after the hand-out is not answered by it", func(h *harness) {
			h.TryAcquire("a1")
			h.Add("a1", Wake{})
			h.Done("a1", Verdict{End: Succeeded})
		}, "a1@0s"},
		{"later during work", "a wake for later waits for its time", func(h *harness) {
			h.TryAcquire("a1")
			h.Add("a1", Wake{Due: h.in(4)})
			h.Done("a1", Verdict{End: Succeeded, Due: h.in(8)})
		}, "a1@4s"},
		{"acquired early", "a later due time asked for by Add survives TryAcquire and its verdict", func(h *harness) {
			h.Add("a1", Wake{Due: h.in(4)})
			h.TryAcquire("a1")
			h.Done("a1", Verdict{End: Succeeded})
		}, "a1@4s"},
		{"acquired when due", "TryAcquire absorbs what was due by now", func(h *harness) {
			h.Add("a1", Wake{})
			h.TryAcquire("a1")
			h.Done("a1", Verdict{End: Succeeded})
		}, "nothing"},
		{"bookkeeping in backoff", "a status echo must not shorten a backoff", func(h *harness) {
			h.failing()
			h.Add("a1", Wake{})
			h.Add("a1", Wake{Due: h.in(5), Priority: Administrator})
		}, "a1@1m0s"},
		{"bookkeeping before failure", "an echo that came during the failed turn waits too", func(h *harness) {
			h.TryAcquire("a1")
			h.Add("a1", Wake{})
			h.Done("a1", Verdict{End: Failed, Due: h.in(60)})
		}, "a1@1m0s"},
		{"change in backoff", "the change may be the repair", func(h *harness) {
			h.failing()
			h.Add("a1", Wake{Change: true, Due: h.in(5)})
		}, "a1@5s"},
		{"change before failure", "the failed turn had not seen the change", func(h *harness) {
			h.TryAcquire("a1")
			h.Add("a1", Wake{Change: true})
			h.Done("a1", Verdict{End: Failed, Due: h.in(60)})
		}, "a1@0s"},
		{"throttled", "nothing but a change runs it before its time", func(h *harness) {
			h.TryAcquire("a1")
			h.Done("a1", Verdict{End: Throttled, Due: h.in(60)})
			h.Add("a1", Wake{})
		}, "a1@1m0s"},
		{"throttled for no time", "without a due time nothing is held back", func(h *harness) {
			h.TryAcquire("a1")
			h.Done("a1", Verdict{End: Throttled})
			h.Add("a1", Wake{})
		}, "a1@0s"},
		{"removed", "an object that is gone has no timers", func(h *harness) {
			h.failing()
			h.Add("a1", Wake{Due: h.in(5), Change: true})
			h.Remove("a1")
		}, "nothing"},
		{"removed during work", "the verdict is about an object that is gone", func(h *harness) {
			h.TryAcquire("a1")
			h.Add("a1", Wake{})
			h.Remove("a1")
			h.Done("a1", Verdict{End: Failed, Due: h.in(5)})
		}, "nothing"},
		{"namesake during work", "a namesake is scheduled by what was added for it alone", func(h *harness) {
			h.TryAcquire("a1")
			h.Remove("a1")
			h.Add("a1", Wake{Due: h.in(2)})
			h.Done("a1", Verdict{End: Failed, Due: h.in(50)})
		}, "a1@2s"},
		{"far future", "a due time beyond what can be counted is never reached, and harms nothing", func(h *harness) {
			h.Add("a1", Wake{Due: time.Unix(1<<55, 0)})
			h.Add("a2", Wake{Due: h.in(2)})
		}, "a2@2s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inVirtualTime(t, Options[string]{}, func(h *harness) {
				c.do(h)
				h.want(c.reason, h.take(), c.want)
			})
		})
	}
}

func TestBackoffGrowsToTheCapAndOnlySuccessResetsIt(t *testing.T) {
	o := Options[string]{Base: time.Second, Cap: 20 * time.Second, Random: rand.New(rand.NewPCG(1, 2))}
	inVirtualTime(t, o, func(h *harness) {
		top := time.Second
		var sum, bound time.Duration
		for attempt := 1; attempt <= 200; attempt++ {
			h.TryAcquire("a1")
			if attempt%3 == 0 { // a turn that neither fails nor succeeds, and bookkeeping, keep the attempts
				h.Done("a1", Verdict{End: Waiting})
				h.Add("a1", Wake{})
				h.take()
			}
			h.Done("a1", Verdict{End: Failed})
			h.Add("a1", Wake{})
			e, _ := h.Inspect("a1")
			delay := time.Until(e.Due)
			if e.Attempts != attempt || delay < 0 || delay > top {
				h.t.Fatalf("attempt %d: %+v, delay %v, want at most %v", attempt, e, delay, top)
			}
			sum, bound = sum+delay, bound+top
			top = min(2*top, o.Cap)
		}
		if sum < bound*2/5 || sum > bound*3/5 {
			h.t.Errorf("delays are %v of %v: not drawn evenly from zero to the bound", sum, bound)
		}
		h.TryAcquire("a1")
		h.Done("a1", Verdict{End: Succeeded})
		if e, ok := h.Inspect("a1"); ok {
			h.t.Errorf("after success the key is still known: %+v", e)
		}
	})
}

func TestAgeing(t *testing.T) {
	inVirtualTime(t, Options[string]{Ageing: time.Second}, func(h *harness) {
		for _, key := range []string{"a1", "b1", "c1"} {
			h.Add(key, Wake{Priority: Background})
		}
		h.Add("a2", Wake{Priority: Background, Due: h.in(11)})
		time.Sleep(11 * time.Second) // worth 11 steps: the old ones now go before Normal, but the youngest does not
		for i := range 9 {
			h.Add(fmt.Sprint("d", i), Wake{})
		}
		var order []string
		for range 13 {
			key, _, _ := strings.Cut(h.take(), "@")
			order = append(order, key)
		}
		want := "a1 d0 d1 d2 b1 d3 d4 d5 c1 d6 d7 d8 a2"
		h.want("the aged go first, one hand-out in four", strings.Join(order, " "), want)
	})
}

func TestTenantsTakeTurns(t *testing.T) {
	inVirtualTime(t, Options[string]{}, func(h *harness) {
		var noisy []Request[string]
		for i := range 1000 {
			noisy = append(noisy, Request[string]{Key: fmt.Sprint("n", i)})
		}
		h.AddMany(noisy)
		for _, key := range []string{"q1", "q2", "r1"} {
			h.Add(key, Wake{})
		}
		h.Add("q3", Wake{Priority: Administrator})
		var order []string
		for range 7 {
			key, _, _ := strings.Cut(h.take(), "@")
			order = append(order, key)
		}
		h.want("priority, then tenants in turn, then age", strings.Join(order, " "), "q3 n0 q1 r1 n1 q2 n2")
	})
}

func TestCausesAreBoundedAndMergeNothing(t *testing.T) {
	inVirtualTime(t, Options[string]{MaxCauses: 4}, func(h *harness) {
		for i := range 10 {
			h.Add("a1", Wake{Cause: Cause{Revision: resource.Revision(i + 1), Writer: "w"}})
		}
		h.Add("a1", Wake{Due: h.in(50)})
		item, _ := h.TryAcquire("a1")
		var revisions []resource.Revision
		for _, c := range item.Causes {
			revisions = append(revisions, c.Revision)
		}
		if !slices.Equal(revisions, []resource.Revision{1, 2, 9, 10}) || item.Woken != 11 {
			h.t.Errorf("causes %v of %d wakes, want the oldest and the newest of 11", revisions, item.Woken)
		}
		h.Done("a1", Verdict{End: Succeeded})
		h.want("all wakes were one turn", h.take(), "nothing")
	})
}

func TestAtRestNothingHappens(t *testing.T) {
	inVirtualTime(t, Options[string]{}, func(h *harness) {
		var turns sync.WaitGroup
		for range 8 {
			turns.Go(func() {
				for item, ok := h.Next(h.t.Context()); ok; item, ok = h.Next(h.t.Context()) {
					h.Done(item.Key, Verdict{End: Succeeded})
				}
			})
		}
		for i := range 1000 {
			h.Add(fmt.Sprint(i), Wake{Due: h.in(i % 7)})
		}
		time.Sleep(time.Minute)
		before := h.Stats()
		before.Rounds++ // the next call of Stats
		time.Sleep(365 * 24 * time.Hour)
		if after := h.Stats(); after != before || after.Entries != 0 || after.Handed != 1000 {
			h.t.Errorf("a year at rest: from %+v to %+v, want no difference and nothing kept", before, after)
		}
		h.Close()
		turns.Wait()
	})
}

func TestInProgress(t *testing.T) {
	inVirtualTime(t, Options[string]{}, func(h *harness) {
		for _, key := range []string{"a2", "a1", "a3"} {
			h.TryAcquire(key)
			time.Sleep(time.Second)
		}
		h.Done("a1", Verdict{})
		list := h.InProgress()
		if len(list) != 2 || list[0].Key != "a2" || list[1].Key != "a3" || !list[0].Since.Equal(h.start) {
			h.t.Errorf("in progress %+v, want a2 since the start, then a3", list)
		}
		if s := h.Stats(); s.Longest != 3*time.Second {
			h.t.Errorf("longest %v, want 3s", s.Longest)
		}
		if _, ok := h.TryAcquire("a2"); ok {
			h.t.Error("a key in progress was handed out again")
		}
	})
}

func TestDoneTwicePanics(t *testing.T) {
	q := New(Options[string]{Name: "dns"})
	defer q.Close()
	q.TryAcquire("a")
	q.Done("a", Verdict{})
	defer func() {
		const want = "queue dns: Done(a) without Next or TryAcquire before it; call Done once per hand-out"
		if got := recover(); got != want {
			t.Errorf("panic %v, want %s", got, want)
		}
		q.Add("b", Wake{}) // the queue is still usable
		if item, ok := q.Next(t.Context()); !ok || item.Key != "b" {
			t.Errorf("Next = %v, %v after the panic, want b", item, ok)
		}
	}()
	q.Done("a", Verdict{})
}

func TestTenantThatPanicsHarmsNothing(t *testing.T) {
	q := New(Options[string]{Tenant: func(k string) resource.Namespace {
		if k == "bad" {
			panic("no tenant")
		}
		return ""
	}})
	defer q.Close()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not reach the caller")
			}
		}()
		q.Add("bad", Wake{})
	}()
	q.Add("good", Wake{})
	if item, ok := q.Next(t.Context()); !ok || item.Key != "good" {
		t.Errorf("Next = %v, %v, want good", item, ok)
	}
}

func TestClosed(t *testing.T) {
	q := New(Options[string]{})
	q.Add("left", Wake{})
	q.TryAcquire("held")
	q.Close()
	q.Close()
	if item, ok := q.Next(t.Context()); ok {
		t.Errorf("Next handed out %v", item)
	}
	if _, ok := q.TryAcquire("other"); ok {
		t.Error("TryAcquire handed out a key")
	}
	q.Add("late", Wake{})
	q.AddMany([]Request[string]{{Key: "later"}})
	if s := q.Stats(); s.Entries != 2 || s.Working != 1 {
		t.Errorf("%+v, want what was there before Close", s)
	}
	q.Done("held", Verdict{End: Failed})
	q.Remove("held")
	if list := q.InProgress(); len(list) != 0 {
		t.Errorf("in progress %v after Done", list)
	}
}

func TestNextEndsWithItsContext(t *testing.T) {
	inVirtualTime(t, Options[string]{}, func(h *harness) {
		ctx, cancel := context.WithCancel(h.t.Context())
		ended := make(chan bool)
		go func() {
			_, ok := h.Next(ctx)
			ended <- ok
		}()
		synctest.Wait()
		cancel()
		if <-ended {
			h.t.Error("Next handed out a key of an empty queue")
		}
		h.Add("a1", Wake{})
		if _, ok := h.Next(ctx); ok {
			h.t.Error("Next handed out a key to a caller whose context had ended")
		}
		h.want("the key is still there", h.take(), "a1@0s")
	})
}

func TestOneBatchWakesAllTheWorkersItNeeds(t *testing.T) {
	inVirtualTime(t, Options[string]{}, func(h *harness) {
		ctx, cancel := context.WithCancel(h.t.Context())
		release := make(chan struct{})
		var workers sync.WaitGroup
		for range 5 {
			workers.Go(func() {
				for item, ok := h.Next(ctx); ok; item, ok = h.Next(ctx) {
					<-release
					h.Done(item.Key, Verdict{End: Succeeded})
				}
			})
		}
		synctest.Wait() // all are asleep
		h.AddMany([]Request[string]{{Key: "a1"}, {Key: "a2"}, {Key: "b1"}, {Key: "b2", Wake: Wake{Due: h.in(1)}}, {Key: "b3", Wake: Wake{Due: h.in(1)}}})
		synctest.Wait()
		if n := h.Stats().Working; n != 3 {
			h.t.Errorf("%d keys are worked on, want the 3 that are due", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := h.Stats().Working; n != 5 {
			h.t.Errorf("%d keys are worked on after a second, want all 5", n)
		}
		close(release)
		synctest.Wait()
		cancel()
		workers.Wait()
	})
}

func TestAQueueThatNobodyWorksOnHasNoGoroutine(t *testing.T) {
	q := New(Options[string]{}) // goleak fails if it has: it is not closed
	for i := range 3 * backlog {
		q.Add(fmt.Sprint(i), Wake{})
	}
	q.TryAcquire("0")
	q.Done("0", Verdict{End: Succeeded})
	if s := q.Stats(); s.Ready != 3*backlog-1 || s.Working != 0 {
		t.Errorf("%+v, want all but one ready", s)
	}
}

func TestWorkersAreServedInTheOrderTheyCame(t *testing.T) {
	inVirtualTime(t, Options[string]{}, func(h *harness) {
		served := make(chan int, 3)
		impatient, giveUp := context.WithCancel(h.t.Context())
		for i, ctx := range []context.Context{h.t.Context(), impatient, h.t.Context()} {
			go func() {
				if _, ok := h.Next(ctx); ok {
					served <- i
				}
			}()
			synctest.Wait()
		}
		giveUp()
		synctest.Wait()
		h.Add("a1", Wake{})
		h.want("the longest waiting", fmt.Sprint(<-served), "0")
		h.Add("a2", Wake{})
		h.want("the one in between has left", fmt.Sprint(<-served), "2")
	})
}

func TestAClaimGoesBeforeEveryWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Options[string]{Name: "claims"})
		defer q.Close()
		if _, ok := q.TryAcquire("a"); !ok {
			t.Fatal("a key that nobody works on could not be had")
		}
		var order []string
		var both sync.WaitGroup
		both.Go(func() {
			if item, ok := q.Acquire(t.Context(), "a"); ok {
				order = append(order, "claim")
				q.Done(item.Key, Verdict{End: Succeeded})
			}
		})
		synctest.Wait()
		worker, stop := context.WithCancel(t.Context())
		both.Go(func() {
			for item, ok := q.Next(worker); ok; item, ok = q.Next(worker) {
				order = append(order, "worker")
				q.Done(item.Key, Verdict{End: Succeeded})
			}
		})
		synctest.Wait()
		q.Add("a", Wake{Due: time.Now().Add(time.Second)})
		q.Done("a", Verdict{End: Succeeded})
		synctest.Wait()
		time.Sleep(2 * time.Second)
		stop()
		both.Wait()
		if got := strings.Join(order, " "); got != "claim worker" {
			t.Errorf("the key went to %s; want the claim first, and the later turn to the worker", got)
		}
	})
}

func TestAClaimEndsWithItsContextAndWithTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Options[string]{Name: "claims"})
		q.TryAcquire("a")
		limited, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, ok := q.Acquire(limited, "a"); ok {
			t.Error("a key that somebody works on was handed out")
		}
		closed := make(chan bool, 1)
		go func() {
			_, ok := q.Acquire(t.Context(), "a")
			closed <- ok
		}()
		synctest.Wait()
		q.Close()
		if <-closed {
			t.Error("a closed queue handed out a key")
		}
		q.Done("a", Verdict{End: Succeeded})
		if _, ok := q.Acquire(t.Context(), "a"); ok {
			t.Error("a closed queue handed out a key")
		}
	})
}
