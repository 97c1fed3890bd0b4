package subsystem

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/resource"
)

// observe runs the client's observer until the returned function is called, or the test ends.
func observe(t *testing.T, c *Client, d *desk) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Observe(ctx, d); err != nil {
			t.Errorf("observe: %v", err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

// settle repeats a call until it is done, as the engine does. It looks up unknown ends now and then.
func settle(t *testing.T, c *Client, call command.Call) command.Result {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	for attempt := 1; attempt <= 400; attempt++ {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		r := c.Do(ctx, call)
		if r.Outcome == command.OutcomeUnknown && attempt%2 == 0 {
			if found, known, err := c.LookUp(t.Context(), call); err == nil && known {
				r = found
			}
		}
		cancel()
		switch {
		case r.Outcome == command.OutcomeDone:
			return r
		case r.Class == command.Stale || r.Class == command.Terminal:
			t.Errorf("%s: %+v", call.Key, r)
			return r
		}
		pause := time.NewTimer(command.Backoff(time.Millisecond, 20*time.Millisecond, attempt, random))
		<-pause.C
	}
	t.Errorf("%s: not done after 400 attempts", call.Key)
	return command.Result{}
}

func TestOneEffectPerTokenUnderEachFault(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults Faults
		reason string
	}{
		{"loseRequest", Faults{LoseRequest: .2}, "what never arrived is sent again"},
		{"refuse", Faults{Refuse: .2}, "what was refused is sent again"},
		{"halfway", Faults{Halfway: .2}, "the same token finishes what it began"},
		{"loseAnswer", Faults{LoseAnswer: .2}, "a repeat is answered from memory"},
		{"slowWithin", Faults{Slow: .2, DelayMillis: 20}, "slower than usual, faster than the caller's patience"},
		{"slowBeyond", Faults{Slow: .2, DelayMillis: 150}, "the effect appears after the caller has given up"},
		{"all", Faults{LoseRequest: .2, Refuse: .2, Halfway: .2, LoseAnswer: .2, Slow: .2, DelayMillis: 120}, "all at once"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newShelf()
			s := open(t, Options{Handler: h})
			client := serve(t, s)
			teach(t, s)
			c.faults.Seed = 7
			if err := s.SetFaults(c.faults); err != nil {
				t.Fatal(err)
			}
			var workers sync.WaitGroup
			for w := range 8 {
				workers.Go(func() {
					for intent := range uint64(5) {
						key := fmt.Sprint("k", w/2) // two rivals per key, with the same tokens
						settleRival(t, client, call(key, 1, intent+1, fmt.Sprintf("%s-%d", key, intent+1), `{}`))
					}
				})
			}
			workers.Wait()
			if err := s.SetFaults(Faults{}); err != nil {
				t.Fatal(err)
			}
			if len(h.made) != 20 {
				t.Errorf("%s: %d tokens had an effect: want 20", c.reason, len(h.made))
			}
			for token, n := range h.made {
				if n != 1 {
					t.Errorf("%s: token %s had %d effects: want 1", c.reason, token, n)
				}
			}
			for id, n := range EffectsPerToken(lines(t, s)) {
				if n != 1 {
					t.Errorf("%s: ledger: %s has %d effects: want 1", c.reason, id, n)
				}
			}
		})
	}
}

// settleRival is settle, except that a rival may have gone on to a higher intent.
func settleRival(t *testing.T, c *Client, call command.Call) {
	t.Helper()
	for range 400 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		r := c.Do(ctx, call)
		cancel()
		if r.Outcome == command.OutcomeDone || r.Class == command.Stale {
			return
		}
	}
	t.Errorf("%s: not done after 400 attempts", call.Token)
}

func TestAmnesiaIsRepaired(t *testing.T) {
	h := newShelf()
	s := open(t, Options{Handler: h})
	client, d := serve(t, s), newDesk()
	observe(t, client, d)
	for i := range 20 {
		c := call(fmt.Sprint("k", i), 3, 2, fmt.Sprint("t", i), `{}`)
		d.acknowledge(c, settle(t, client, c))
	}
	h.mu.Lock()
	h.fragile["k7"], h.fragile["k8"] = true, true
	h.mu.Unlock()
	before := s.Memory()
	if err := s.SetFaults(Faults{ForgetNow: true}); err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, "the two that cannot be restored are reported", func() bool { return len(d.reported()) == 2 })
	if got := d.reported(); got["k7"] != 1 || got["k8"] != 1 {
		t.Errorf("reported %v: want k7 and k8 once", got)
	}
	if s.Memory() == before {
		t.Error("the memory's identity did not change")
	}
	if a := must(t, s, apply("k1", 2, 9, "x", `{}`)); a.Class != command.Stale {
		t.Errorf("an old epoch got %s after the restoration: want Stale", text(a))
	}
	if a := must(t, s, apply("k1", 3, 1, "x", `{}`)); a.Class != command.Stale {
		t.Errorf("an old intent got %s after the restoration: want Stale", text(a))
	}
	if a := must(t, s, apply("k1", 3, 2, "t1", `{}`)); !a.Repeated {
		t.Errorf("a restored token got %s: want its answer", text(a))
	}
	repair := call("k7", 3, 3, "t7b", `{}`)
	d.acknowledge(repair, settle(t, client, repair))
	if h.count("t7b") != 1 {
		t.Error("the repair had no effect")
	}
}

func TestForgettingNowAndThen(t *testing.T) {
	h := newShelf()
	s := open(t, Options{Handler: h})
	client, d := serve(t, s), newDesk()
	observe(t, client, d)
	if err := s.SetFaults(Faults{Seed: 3, Forget: .1, LoseAnswer: .1}); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		c := call(fmt.Sprint("k", i%10), 1, uint64(i/10+1), fmt.Sprint("t", i), `{}`)
		d.acknowledge(c, settle(t, client, c))
	}
	if err := s.SetFaults(Faults{}); err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, "everything expected stands again, or was reported", func() bool {
		standing := map[command.Token]bool{}
		for _, item := range s.Inventory("").Items {
			standing[item.Token] = true
		}
		for _, e := range d.Expected("") {
			if !standing[e.Token] {
				return false
			}
		}
		return true
	})
	for id, n := range EffectsPerToken(lines(t, s)) {
		if n != 1 {
			t.Errorf("ledger: %s has %d effects: want 1", id, n)
		}
	}
}

func TestLossIsReportedOnce(t *testing.T) {
	h := newShelf()
	s := open(t, Options{Handler: h})
	client, d := serve(t, s), newDesk()
	stop := observe(t, client, d)
	a, b := call("a", 1, 1, "ta", `{}`), call("b", 1, 1, "tb", `{}`)
	d.acknowledge(a, settle(t, client, a))
	for range 3 {
		if err := h.lose("a", "ta", "it fell"); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.lose("a", "other", "old news"); err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, "the loss of a is reported", func() bool { return d.reported()["a"] == 1 })
	// b's loss is announced before b is acknowledged, and is not dropped for that.
	answer := settle(t, client, b)
	if err := h.lose("b", "tb", "it fell"); err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, "the observer has heard of b", func() bool {
		c, err := s.Changes(t.Context(), "", 0)
		return err == nil && c.Sequence == 2
	})
	d.acknowledge(b, answer)
	testkit.Wait(t, "the loss of b is reported", func() bool { return d.reported()["b"] == 1 })
	stop()
	if got := d.reported(); got["a"] != 1 || got["b"] != 1 {
		t.Errorf("reported %v: want each once", got)
	}
}

func TestLossDuringTheCallIsNotMissed(t *testing.T) {
	h := newShelf()
	s := open(t, Options{Handler: h})
	client, d := serve(t, s), newDesk()
	observe(t, client, d)
	h.during = func(c Change) {
		if err := h.lose(c.Key, c.Token, "it died at once"); err != nil {
			t.Error(err)
		}
	}
	c := call("a", 1, 1, "t", `{}`)
	d.acknowledge(c, settle(t, client, c))
	testkit.Wait(t, "the loss is reported", func() bool { return d.reported()["a"] == 1 })
}

func TestRestoreInPages(t *testing.T) {
	h := newShelf()
	s := open(t, Options{Handler: h})
	client, d := serve(t, s), newDesk()
	big := fmt.Sprintf(`{"x":%q}`, strings.Repeat("x", 100_000))
	for i := range 12 {
		d.acknowledge(call(fmt.Sprint("k", i), 1, 1, fmt.Sprint("t", i), big), command.Result{})
	}
	observe(t, client, d)
	testkit.Wait(t, "all are restored", func() bool { return len(s.Inventory("").Items) == 12 })
	if got := d.reported(); len(got) != 0 {
		t.Errorf("reported %v: want nothing", got)
	}
}

func TestAuditFindsWhatIsMissing(t *testing.T) {
	s := open(t, Options{Handler: newShelf()})
	teach(t, s) // by someone else, who did not know of k
	client, d := serve(t, s), newDesk()
	d.acknowledge(call("k", 1, 1, "t", `{}`), command.Result{})
	observe(t, client, d)
	testkit.Wait(t, "k is reported", func() bool { return d.reported()["k"] == 1 })
}

// silent reads the request and never answers it.
func silent(_ http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err == nil {
		<-r.Context().Done()
	}
}

func TestTransportErrorsAreHonest(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	answer := func(status int, header, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if header != "" {
				w.Header().Set(Header, header)
			}
			w.WriteHeader(status)
			if _, err := w.Write([]byte(body)); err != nil {
				t.Logf("the client left early: %v", err)
			}
		}
	}
	for _, c := range []struct {
		handler http.HandlerFunc
		outcome command.Outcome
		class   command.Class
		reason  string
	}{
		{nil, command.OutcomeRefused, command.Retry, "nobody listens, so nothing was sent"},
		{func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, command.OutcomeUnknown, command.Ambiguous, "the connection is cut"},
		{silent, command.OutcomeUnknown, command.Ambiguous, "no answer in time"},
		{answer(200, "1", `{"outcome":"done","result":{"a":1}}`), command.OutcomeDone, "", "a good answer"},
		{answer(200, "1", `{"outcome":`), command.OutcomeUnknown, command.Ambiguous, "a broken answer"},
		{answer(200, "1", `{}`), command.OutcomeUnknown, command.Ambiguous, "an answer without an outcome"},
		{answer(200, "1", `{"outcome":"refused","class":"Odd"}`), command.OutcomeUnknown, command.Ambiguous, "a class nobody knows"},
		{answer(200, "1", strings.Repeat(" ", MaxBody+1)), command.OutcomeUnknown, command.Ambiguous, "an answer beyond the limit"},
		{answer(400, "1", "bad"), command.OutcomeRefused, command.Terminal, "the receiver judged the request"},
		{answer(302, "", ""), command.OutcomeRefused, command.Terminal, "redirections are not followed"},
		{answer(409, "1", ""), command.OutcomeRefused, command.Retry, "a conflict passes"},
		{answer(429, "", ""), command.OutcomeRefused, command.Throttled, "too many"},
		{answer(503, "1", ""), command.OutcomeRefused, command.Throttled, "the subsystem itself says not now"},
		{answer(503, "", ""), command.OutcomeUnknown, command.Ambiguous, "something in between says not now"},
		{answer(500, "1", ""), command.OutcomeUnknown, command.Ambiguous, "it broke on the way"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			url := "http://" + nobody.Addr().String()
			if c.handler != nil {
				web := httptest.NewUnstartedServer(c.handler)
				web.Config.ErrorLog = slogLogger()
				web.Start()
				defer web.Close()
				url = web.URL
			}
			client := NewClient(ClientOptions{URL: url, Log: quiet})
			defer client.options.HTTP.CloseIdleConnections()
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			r := client.Do(ctx, call("a", 1, 1, "t", `{}`))
			if r.Outcome != c.outcome || r.Class != c.class {
				t.Errorf("got %+v: want %s %s", r, c.outcome, c.class)
			}
		})
	}
}

func TestRequestsThatAreNotSent(t *testing.T) {
	client := NewClient(ClientOptions{URL: "http://127.0.0.1:1", Log: quiet})
	for _, c := range []struct{ request, reason string }{
		{"null", "it would ask for absence"},
		{"{broken", "it is no JSON"},
		{`"` + strings.Repeat("x", MaxBody) + `"`, "it is too large"},
	} {
		if r := client.Do(t.Context(), call("a", 1, 1, "t", c.request)); r.Class != command.Terminal {
			t.Errorf("%s: got %+v: want Terminal", c.reason, r)
		}
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	s := open(t, Options{Handler: newShelf()})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, listener) }()
	client, d := clientOf(t, "http://"+listener.Addr().String()), newDesk()
	observe(t, client, d)
	settle(t, client, call("a", 1, 1, "t", `{}`))
	if err := s.SetFaults(Faults{Slow: 1, DelayMillis: 3_600_000}); err != nil {
		t.Fatal(err)
	}
	var slow sync.WaitGroup
	slow.Go(func() {
		if r := client.Do(t.Context(), call("b", 1, 1, "u", `{}`)); r.Outcome != command.OutcomeUnknown {
			t.Errorf("got %+v: want unknown, the server went away", r)
		}
	})
	testkit.Wait(t, "the slow call is under way", func() bool { return s.LookUp("u").Known })
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
	slow.Wait()
	if got := s.HighestEpoch(""); got != (resource.Epoch{Incarnation: 1, Counter: 1}) {
		t.Errorf("highest epoch %v", got)
	}
}

// TestAnAcknowledgementOfTheFormerMemoryThatComesLate: the desk learns of an effect when the memory that had it is gone, and the new one was taught and compared.
func TestAnAcknowledgementOfTheFormerMemoryThatComesLate(t *testing.T) {
	s := open(t, Options{Handler: newShelf()})
	client := serve(t, s)
	d := newDesk()
	observe(t, client, d)
	late := call("late", 1, 1, "t1", `{}`)
	acknowledgement := settle(t, client, late)
	if err := s.Forget(); err != nil {
		t.Fatal(err)
	}
	// Another key can be done only when the new memory was taught.
	settle(t, client, call("other", 1, 2, "t2", `{}`))
	d.acknowledge(late, acknowledgement)
	testkit.Wait(t, "the loss of the late one is reported", func() bool { return d.reported()["late"] > 0 })
	if n := d.reported()["late"]; n != 1 {
		t.Errorf("reported %d times, want once", n)
	}
}
