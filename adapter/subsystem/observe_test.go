package subsystem

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/resource"
)

// farEnd is a subsystem of one memory in virtual time, without a network. Its inventory is empty unless a test says otherwise.
type farEnd struct {
	mu        sync.Mutex
	polls     int
	audits    int
	impatient bool // answers questions at once instead of holding them
	changes   func(poll int, c *Changes) (status int)
	inventory func(audit int, after string) (page Inventory, status int)
}

const hang = -1 // a status: there will be no answer

func (f *farEnd) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, status := f.answer(r)
	if status == hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(string(body))), Request: r, Header: http.Header{}}, nil
}

func (f *farEnd) answer(r *http.Request) (answer any, status int) {
	query := r.URL.Query()
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.URL.Path == "/v1/inventory" {
		f.audits++
		if f.inventory == nil {
			return Inventory{Memory: "m"}, 200
		}
		return f.inventory(f.audits, query.Get("after"))
	}
	if f.polls++; f.impatient && f.polls > 1000 {
		return nil, hang // or time would stand still for ever
	}
	c, status := Changes{Memory: "m"}, 200
	if f.changes != nil {
		status = f.changes(f.polls, &c)
	}
	known, err := strconv.ParseUint(query.Get("since"), 10, 64)
	if hold, bad := strconv.Atoi(query.Get("hold")); err == nil && bad == nil && status == 200 && query.Get("memory") == c.Memory && known == c.Sequence && !f.impatient {
		f.mu.Unlock()
		held := time.NewTimer(time.Duration(hold) * time.Millisecond)
		defer held.Stop()
		select {
		case <-held.C:
		case <-r.Context().Done():
		}
		f.mu.Lock()
	}
	return c, status
}

func (f *farEnd) counts() (polls, audits int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.polls, f.audits
}

// inVirtualTime observes a far end for some virtual time, and stops.
func inVirtualTime(t *testing.T, f *farEnd, d *desk, o ClientOptions, meanwhile func()) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.HTTP, o.Log = &http.Client{Transport: f}, quiet
		if o.Resolve == nil {
			o.URL = "http://far"
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := NewClient(o).Observe(ctx, d); err != nil {
				t.Errorf("observe: %v", err)
			}
		})
		meanwhile()
		cancel()
		running.Wait()
	})
}

// TestWhatIsLostIsReportedWhateverElseFails: k is acknowledged and not in the inventory.
func TestWhatIsLostIsReportedWhateverElseFails(t *testing.T) {
	panics := 2
	lostK := Changes{Memory: "m", Sequence: 1, Lost: []LossEvent{{Sequence: 1, Key: "k", Token: "t", Reason: "it fell"}}}
	for _, c := range []struct {
		name, reason string
		far          *farEnd
		options      ClientOptions
		within       time.Duration
	}{
		{"hang", "an audit that gets no answer is given up and repeated", &farEnd{inventory: func(audit int, _ string) (Inventory, int) {
			if audit == 1 {
				return Inventory{}, hang
			}
			return Inventory{Memory: "m"}, 200
		}}, ClientOptions{}, 2 * time.Minute},
		{"error", "an audit that fails is repeated after the backoff, not after a question was held for long", &farEnd{inventory: func(audit int, _ string) (Inventory, int) {
			if audit == 1 {
				return Inventory{}, 500
			}
			return Inventory{Memory: "m"}, 200
		}}, ClientOptions{}, 2 * time.Second},
		{"no inventory", "what the subsystem announced needs no audit", &farEnd{
			changes:   func(_ int, c *Changes) int { *c = lostK; return 200 },
			inventory: func(int, string) (Inventory, int) { return Inventory{}, 500 },
		}, ClientOptions{}, time.Minute},
		{"panic", "author code that panics fails one round, not the process", &farEnd{}, ClientOptions{
			Destinations: []string{""},
			Resolve: func(string) (string, error) {
				if panics--; panics >= 0 {
					panic("no address")
				}
				return "http://far", nil
			},
		}, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk()
			d.acknowledge(call("k", 1, 1, "t", `{}`), command.Result{})
			inVirtualTime(t, c.far, d, c.options, func() {
				time.Sleep(c.within)
				if n := d.reported()["k"]; n != 1 {
					t.Errorf("%s: k was reported %d times within %v of virtual time, want once", c.reason, n, c.within)
				}
			})
		})
	}
}

// TestALossThatNobodyOwnsHidesNoOther: the news of an effect that was replaced waits for its acknowledgement, which will not come; the
// effect that replaced it is missing as well.
func TestALossThatNobodyOwnsHidesNoOther(t *testing.T) {
	d := newDesk()
	d.acknowledge(call("k", 1, 2, "t2", `{}`), command.Result{})
	far := &farEnd{changes: func(_ int, c *Changes) int {
		c.Sequence, c.Lost = 1, []LossEvent{{Sequence: 1, Key: "k", Token: "t1", Reason: "it fell"}}
		return 200
	}}
	inVirtualTime(t, far, d, ClientOptions{}, func() {
		time.Sleep(10 * time.Second)
		if n := d.reported()["k"]; n != 1 {
			t.Errorf("k was reported %d times, want once", n)
		}
	})
}

// TestAnInventoryThatGoesInCirclesLosesNothing: what a page would have shown is not lost because there is no such page.
func TestAnInventoryThatGoesInCirclesLosesNothing(t *testing.T) {
	d := newDesk()
	d.acknowledge(call("z", 1, 1, "t", `{}`), command.Result{})
	far := &farEnd{inventory: func(int, string) (Inventory, int) {
		return Inventory{Memory: "m", Items: []InventoryItem{{Key: "a", Token: "ta"}}, Next: "a"}, 200
	}}
	inVirtualTime(t, far, d, ClientOptions{}, func() {
		time.Sleep(time.Minute)
		if got := d.reported(); len(got) != 0 {
			t.Errorf("reported %v, want nothing: the inventory was never read to its end", got)
		}
	})
}

// TestASubsystemThatHoldsNoQuestion is asked at the pace of the backoff, not in a hot loop.
func TestASubsystemThatHoldsNoQuestion(t *testing.T) {
	far := &farEnd{impatient: true}
	inVirtualTime(t, far, newDesk(), ClientOptions{Base: time.Second}, func() {
		for range 50 { // it answers without any delay, so time stands still unless the observer waits
			if polls, _ := far.counts(); polls > 100 {
				t.Fatalf("%d questions without a pause", polls)
			}
			time.Sleep(time.Second)
		}
		if polls, _ := far.counts(); polls < 40 || polls > 60 {
			t.Errorf("%d questions in 50 s of virtual time, want one a second", polls)
		}
	})
}

// TestADestinationThatOnlyAnExpectationNames: another node made the call, so that this one knows of it from the database alone.
func TestADestinationThatOnlyAnExpectationNames(t *testing.T) {
	d := newDesk()
	resolve := func(string) (string, error) { return "http://far", nil }
	inVirtualTime(t, &farEnd{}, d, ClientOptions{Resolve: resolve, Audit: time.Minute}, func() {
		time.Sleep(time.Second)
		c := call("k", 1, 1, "t", `{}`)
		c.Destination = "elsewhere"
		d.acknowledge(c, command.Result{})
		time.Sleep(3 * time.Minute)
		if n := d.reported()["k"]; n != 1 {
			t.Errorf("k was reported %d times, want once", n)
		}
	})
}

// TestAuditsAtRest counts what a memory costs that does not change: the audits after it appeared, then the regular ones.
func TestAuditsAtRest(t *testing.T) {
	far := &farEnd{}
	inVirtualTime(t, far, newDesk(), ClientOptions{Audit: 5 * time.Minute}, func() {
		time.Sleep(time.Minute)
		if _, audits := far.counts(); audits != 1+len(afterAmnesia) {
			t.Errorf("%d audits in the first minute, want %d", audits, 1+len(afterAmnesia))
		}
		time.Sleep(time.Hour)
		polls, audits := far.counts()
		if want := 1 + len(afterAmnesia) + 12; audits != want {
			t.Errorf("%d audits after an hour, want %d", audits, want)
		}
		if polls > 200 {
			t.Errorf("%d questions in an hour at rest, want about one in 25 s", polls)
		}
	})
}

// TestOneEffectTooLargeToTeachHoldsUpNoOther: request and result together exceed a page; and text that JSON escapes grows on the way.
func TestOneEffectTooLargeToTeachHoldsUpNoOther(t *testing.T) {
	s := open(t, Options{Handler: newShelf()})
	client, d := serve(t, s), newDesk()
	half := fmt.Sprintf(`{"x":%q}`, strings.Repeat("x", 600_000))
	d.acknowledge(call("large", 1, 1, "large-1", half), command.Result{Body: []byte(half)})
	for i := range 8 {
		key := fmt.Sprint("escaped", i)
		d.acknowledge(call(key, 1, 1, key+"-1", fmt.Sprintf(`{"x":"%s"}`, strings.Repeat("<", 60_000))), command.Result{})
	}
	observe(t, client, d)
	testkit.Wait(t, "the others are restored", func() bool { return len(s.Inventory("").Items) == 8 })
	testkit.Wait(t, "the large one is reported, so that its owner asks again", func() bool { return d.reported()["large"] == 1 })
	again := call("large", 1, 2, "large-2", half)
	again.Previous = []byte(half) // a hint, which is left out when it does not fit
	if r := settle(t, client, again); r.Outcome != command.OutcomeDone {
		t.Errorf("asked again: %+v, want done", r)
	}
}

// TestAMemoryTaughtBeforeTheFirstCallKeepsFormerOwnersOut: the plane has just started, and has called nobody yet.
func TestAMemoryTaughtBeforeTheFirstCallKeepsFormerOwnersOut(t *testing.T) {
	s := open(t, Options{Handler: newShelf()})
	web := httptest.NewServer(s.Handler())
	t.Cleanup(web.Close)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	d := newDesk()
	d.acknowledge(call("k", 3, 9, "t9", `{}`), command.Result{})
	d.epoch = resource.Epoch{Incarnation: 1, Counter: 4}
	observe(t, clientOf(t, web.URL), d)
	testkit.Wait(t, "k is restored", func() bool { return len(s.Inventory("").Items) == 1 })
	if a := must(t, s, apply("k", 3, 5, "t5", `{"old":true}`)); a.Class != command.Stale {
		t.Errorf("a call that epoch 3 made long ago got %s: want Stale, the plane's epoch is 4", text(a))
	}
}
