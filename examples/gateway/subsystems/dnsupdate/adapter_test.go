package dnsupdate

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/testkit"
)

const shop = "shop.edge.example"

func TestRecordsComeChangeAndGo(t *testing.T) {
	everyServer(t, func(t *testing.T, s target) {
		a := s.adapter(nil)
		r := do(t, a, call(shop, 1, 1, "127.77.0.2", "127.77.0.1", "127.77.0.1", "fd00::1"))
		if got, want := string(r.Body), `{"addresses":["127.77.0.1","127.77.0.2","fd00::1"]}`; got != want {
			t.Errorf("result %s: want %s", got, want)
		}
		if got := ask(s, shop, dns.TypeA); !slices.Equal(got, []string{"127.77.0.1", "127.77.0.2"}) {
			t.Errorf("A %v", got)
		}
		if got := ask(s, shop, dns.TypeAAAA); !slices.Equal(got, []string{"fd00::1"}) {
			t.Errorf("AAAA %v", got)
		}
		do(t, a, call(shop, 1, 2, "127.77.0.3"))
		if got := append(ask(s, shop, dns.TypeA), ask(s, shop, dns.TypeAAAA)...); !slices.Equal(got, []string{"127.77.0.3"}) {
			t.Errorf("after the change: %v", got)
		}
		for range 2 {
			do(t, a, call(shop, 1, 3))
		}
		if got := ask(s, shop, dns.TypeA); got != nil {
			t.Errorf("after the deletion: %v", got)
		}
	})
}

func TestRepeatsSendNothing(t *testing.T) {
	everyServer(t, func(t *testing.T, s target) {
		a := s.adapter(nil)
		do(t, a, call(shop, 1, 1, "127.77.0.1"))
		before := serialOf(t, a)
		for range 3 {
			do(t, a, call(shop, 1, 1, "127.77.0.1"))
		}
		if got := serialOf(t, a); got != before {
			t.Errorf("serial %d after repeats: want %d", got, before)
		}
		if r, known, err := a.LookUp(t.Context(), call(shop, 1, 1, "127.77.0.1")); err != nil || !known || r.Outcome != command.OutcomeDone {
			t.Errorf("look-up: %+v, %v, %v: want done", r, known, err)
		}
		if _, known, err := a.LookUp(t.Context(), call(shop, 1, 2, "127.77.0.9")); err != nil || known {
			t.Errorf("look-up of an unsent wish: %v, %v: want unknown", known, err)
		}
	})
}

func serialOf(t *testing.T, a *Adapter) uint32 {
	t.Helper()
	n, err := a.serial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDelayedUpdatesDoNothing sends, at last, updates that were made from an earlier reading.
func TestDelayedUpdatesDoNothing(t *testing.T) {
	everyServer(t, func(t *testing.T, s target) {
		a := s.adapter(nil)
		delayed := func(c command.Call) *dns.Msg {
			w, err := a.wish(c)
			if err != nil {
				t.Fatal(err)
			}
			conversation, err := a.dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conversation.end()
			standing, err := conversation.read(t.Context(), w.name)
			if err != nil {
				t.Fatal(err)
			}
			return a.message(w, standing, fenceOf(c, ""), true)
		}
		arrive := func(m *dns.Msg, reason string) {
			t.Helper()
			conversation, err := a.dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conversation.end()
			reply, err := conversation.exchange(t.Context(), m)
			if err != nil || reply.Rcode == dns.RcodeSuccess {
				t.Errorf("%s: %v, %v: want it to be refused", reason, reply, err)
			}
			if got := ask(s, shop, dns.TypeA); !slices.Equal(got, []string{"127.77.0.2"}) {
				t.Errorf("%s: the zone has %v", reason, got)
			}
		}
		first := delayed(call(shop, 1, 1, "127.77.0.1"))
		do(t, a, call(shop, 1, 2, "127.77.0.2"))
		arrive(first, "the very first one, overtaken by the second")
		third := delayed(call(shop, 1, 3, "127.77.0.3"))
		do(t, a, call(shop, 1, 4, "127.77.0.2")) // right already: only the fence moves
		arrive(third, "one that was overtaken by a wish that found everything right")
	})
}

func TestFormerOwnersAreFenced(t *testing.T) {
	everyServer(t, func(t *testing.T, s target) {
		a := s.adapter(nil)
		do(t, a, call(shop, 5, 1, "127.77.0.1"))
		if r := a.Do(t.Context(), call(shop, 4, 2, "127.77.0.9")); r.Class != command.Stale {
			t.Errorf("epoch 4 after 5 got %+v: want Stale", r)
		}
		scoped := s.adapter(func(o *Options) { o.Scope = func(command.Call) string { return "7" } })
		do(t, scoped, call(shop, 4, 3, "127.77.0.4")) // another scope's epochs are not compared
		restored := call(shop, 1, 1, "127.77.0.2")
		restored.Epoch.Incarnation, restored.Token = 2, "restored"
		do(t, a, restored)
		if got := ask(s, shop, dns.TypeA); !slices.Equal(got, []string{"127.77.0.2"}) {
			t.Errorf("the zone has %v", got)
		}
	})
}

// TestANameThatHasChangedHands: a host passes from an object of one shard to that of another, whose epochs say nothing of each other; and the names of one slot are of any shards. What the former owner begins
// late is refused, whatever has happened in the slot meanwhile; and the owner is refused nothing that he may not ask for again under a higher intent.
func TestANameThatHasChangedHands(t *testing.T) {
	neighbour := "n0." + zoneName
	for i := 1; Unit(neighbour) != Unit(shop); i++ {
		neighbour = fmt.Sprintf("n%d.%s", i, zoneName)
	}
	in := func(shard string, c command.Call) command.Call { c.Scope = "shard/" + shard; return c }
	for _, c := range []struct {
		reason string
		before []command.Call
		late   command.Call
		class  command.Class // "" for done
		want   []string
	}{
		{"the new owner is of another shard, whose epoch is lower",
			[]command.Call{in("1", call(shop, 9, 1, "127.77.0.1")), in("2", call(shop, 3, 5, "127.77.0.2"))}, in("1", call(shop, 9, 2, "127.77.0.1")), command.Stale, []string{"127.77.0.2"}},
		{"the former owner's withdrawal comes after the new owner's wish",
			[]command.Call{in("1", call(shop, 9, 1, "127.77.0.1")), in("2", call(shop, 3, 5, "127.77.0.2"))}, in("1", call(shop, 9, 4)), command.Stale, []string{"127.77.0.2"}},
		{"a neighbour in the slot, of another shard, does not make the slot forget the epoch",
			[]command.Call{in("1", call(shop, 9, 5, "127.77.0.2")), in("2", call(neighbour, 3, 7, "127.77.0.8"))}, in("1", call(shop, 8, 6, "127.77.0.1")), command.Stale, []string{"127.77.0.2"}},
		{"nor does that neighbour's intent keep a wish out",
			[]command.Call{in("1", call(shop, 9, 5, "127.77.0.1")), in("2", call(neighbour, 3, 7, "127.77.0.8"))}, in("1", call(shop, 9, 6, "127.77.0.2")), "", []string{"127.77.0.2"}},
		{"the name was withdrawn, and what came before must not come back",
			[]command.Call{in("1", call(shop, 9, 1, "127.77.0.1")), in("2", call(shop, 3, 5))}, in("1", call(shop, 9, 2, "127.77.0.1")), command.Stale, nil},
		{"a neighbour that was withdrawn keeps out what was wished before, and not what is wished again",
			[]command.Call{in("2", call(neighbour, 3, 7))}, in("1", call(shop, 9, 6, "127.77.0.2")), command.Stale, nil},
		{"that is to say", []command.Call{in("2", call(neighbour, 3, 7))}, in("1", call(shop, 9, 8, "127.77.0.2")), "", []string{"127.77.0.2"}},
	} {
		s := startOurs(t, nil)
		a := s.adapter(nil)
		for _, b := range c.before {
			do(t, a, b)
		}
		if r := a.Do(t.Context(), c.late); r.Class != c.class {
			t.Errorf("%s: got %+v, want class %q", c.reason, r, c.class)
		}
		if got := ask(s, shop, dns.TypeA); !slices.Equal(got, c.want) {
			t.Errorf("%s: the zone has %v, want %v", c.reason, got, c.want)
		}
	}
}

func TestRivalsForASlot(t *testing.T) {
	everyServer(t, func(t *testing.T, s target) {
		var names []string
		for i := 0; len(names) < 4; i++ {
			if name := fmt.Sprintf("n%d.%s", i, zoneName); Unit(name) == Unit(shop) {
				names = append(names, name)
			}
		}
		var rivals sync.WaitGroup
		for i, name := range names {
			rivals.Go(func() {
				a := s.adapter(nil)
				for intent := range uint64(5) {
					c := call(name, 1, intent+1, fmt.Sprintf("127.77.%d.%d", i, intent+1))
					for attempt := 0; ; attempt++ {
						r := a.Do(t.Context(), c)
						if r.Outcome == command.OutcomeDone {
							break
						}
						if attempt == 100 || r.Class != command.Retry {
							t.Errorf("%s: %+v", c.Token, r)
							return
						}
					}
				}
			})
		}
		rivals.Wait()
		for i, name := range names {
			if got, want := ask(s, name, dns.TypeA), []string{fmt.Sprintf("127.77.%d.5", i)}; !slices.Equal(got, want) {
				t.Errorf("%s has %v: want %v", name, got, want)
			}
		}
	})
}

func TestWishesThatAreNotSent(t *testing.T) {
	a := New(Options{Server: "127.0.0.1:1", Zone: zoneName})
	other := call(shop, 1, 1, "127.77.0.1")
	other.Key = "other.edge.example"
	for _, c := range []struct {
		call   command.Call
		class  command.Class
		reason string
	}{
		{call("shop.elsewhere.example", 1, 1, "127.77.0.1"), command.Terminal, "the name is of another zone"},
		{call("_setpoint-01.edge.example", 1, 1, "127.77.0.1"), command.Terminal, "the name is a fence slot"},
		{call(shop, 1, 1, "127.77.0.1.2"), command.Terminal, "that is no address"},
		{other, command.Terminal, "name and key differ"},
		{call(shop, 1, 1, "127.77.0.1"), command.Retry, "nobody listens"},
	} {
		if r := a.Do(t.Context(), c.call); r.Outcome != command.OutcomeRefused || r.Class != c.class {
			t.Errorf("%s: got %+v: want %s", c.reason, r, c.class)
		}
	}
}

func TestWrongKeyIsTerminal(t *testing.T) {
	for _, s := range []target{startOurs(t, &secret), startKnot(t)} {
		a := s.adapter(func(o *Options) { o.Key = nil })
		if r := a.Do(t.Context(), call(shop, 1, 1, "127.77.0.1")); r.Outcome != command.OutcomeRefused {
			t.Errorf("%s: an unsigned update got %+v: want refused", s.name, r)
		}
		if got := ask(s, shop, dns.TypeA); got != nil {
			t.Errorf("%s: and had an effect: %v", s.name, got)
		}
	}
}

func TestDriftIsReported(t *testing.T) {
	everyServer(t, func(t *testing.T, s target) {
		a, d := s.adapter(nil), &desk{}
		names := []string{"a." + zoneName, "b." + zoneName, "c." + zoneName, "gone." + zoneName}
		for i, name := range names[:3] {
			c := call(name, 1, 1, fmt.Sprintf("127.77.0.%d", i+1))
			do(t, a, c)
			d.acknowledge(c)
		}
		absent := call(names[3], 1, 1)
		do(t, a, absent)
		d.acknowledge(absent)
		observe(t, a, d)
		testkit.Wait(t, "the first comparison", func() bool { return d.comparisons() > 0 })
		edit(t, s, func(m *dns.Msg) {
			m.RemoveRRset([]dns.RR{recordOf("a.edge.example.", 30, mustAddress("127.0.0.1"))})
			m.Insert([]dns.RR{recordOf("b.edge.example.", 30, mustAddress("127.77.9.9"))})
			m.Insert([]dns.RR{recordOf("gone.edge.example.", 30, mustAddress("127.77.9.9"))})
		})
		testkit.Wait(t, "the drift is reported", func() bool { return len(d.reported()) == 3 })
		if got, want := d.reported(), []string{names[0], names[1], names[3]}; !slices.Equal(got, want) {
			t.Errorf("reported %v: want %v", got, want)
		}
	})
}

func TestOwnUpdatesAreExplained(t *testing.T) {
	s := startOurs(t, nil)
	a, d := s.adapter(nil), &desk{}
	w := &watch{adapter: a, desk: d}
	look := func() {
		t.Helper()
		if err := w.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	look()
	for intent := range uint64(5) {
		do(t, a, call(shop, 1, intent+1, fmt.Sprintf("127.77.0.%d", intent+1)))
		look()
	}
	if n := d.comparisons(); n != 1 {
		t.Errorf("%d comparisons: want only the first", n)
	}
	edit(t, s, func(m *dns.Msg) { m.Insert([]dns.RR{recordOf("x.edge.example.", 30, mustAddress("127.0.0.1"))}) })
	w.notBefore = time.Time{}
	look()
	if n := d.comparisons(); n != 2 {
		t.Errorf("%d comparisons: want one for somebody else's update", n)
	}
}

func TestAmnesiaIsReported(t *testing.T) {
	s := startOurs(t, nil)
	a, d := s.adapter(nil), &desk{}
	for i := range 5 {
		c := call(fmt.Sprintf("n%d.%s", i, zoneName), 1, 1, "127.77.0.1")
		do(t, a, c)
		d.acknowledge(c)
	}
	observe(t, a, d)
	testkit.Wait(t, "the first comparison", func() bool { return d.comparisons() > 0 })
	if err := s.ours.SetFaults(subsystem.Faults{ForgetNow: true}); err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, "all are reported", func() bool { return len(d.reported()) == 5 })
	do(t, a, call("n0."+zoneName, 1, 2, "127.77.0.1"))
}

func observe(t *testing.T, a *Adapter, d *desk) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Observe(ctx, d) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("observe: %v", err)
		}
	})
}

func TestEachFaultOfTheServer(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults subsystem.Faults
		reason string
	}{
		{"loseRequest", subsystem.Faults{LoseRequest: .3}, "nothing happened"},
		{"refuse", subsystem.Faults{Refuse: .3}, "REFUSED and SERVFAIL"},
		{"halfway", subsystem.Faults{Halfway: .3}, "the addresses without the fence"},
		{"loseAnswer", subsystem.Faults{LoseAnswer: .3}, "done, and not told"},
		{"slow", subsystem.Faults{Slow: .3, DelayMillis: 150}, "done after the caller has given up"},
		{"all", subsystem.Faults{LoseRequest: .2, Refuse: .2, Halfway: .2, LoseAnswer: .2, Slow: .2, DelayMillis: 150}, "all at once"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := startOurs(t, nil)
			a := s.adapter(nil)
			c.faults.Seed = 11
			if err := s.ours.SetFaults(c.faults); err != nil {
				t.Fatal(err)
			}
			for intent := uint64(1); intent <= 12; intent++ {
				settle(t, a, call(shop, 1, intent, fmt.Sprintf("127.77.0.%d", intent)))
			}
			// What was slow or lost on its way arrives now, and must not undo the last wish.
			if err := s.ours.SetFaults(subsystem.Faults{}); err != nil {
				t.Fatal(err)
			}
			do(t, a, call("last.edge.example", 1, 1, "127.77.0.1")) // waits behind every slow one
			if got := ask(s, shop, dns.TypeA); !slices.Equal(got, []string{"127.77.0.12"}) {
				t.Errorf("%s: the zone has %v: want the last wish", c.reason, got)
			}
			lines, err := s.ours.Ledger()
			if err != nil {
				t.Fatal(err)
			}
			var values []string
			for _, l := range lines {
				if l.Type == "A" && l.Name == shop+"." {
					values = append(values, l.After...)
				}
			}
			if len(values) != 12 {
				t.Errorf("%s: the ledger has %d changes %v: want one per wish", c.reason, len(values), values)
			}
		})
	}
}

// settle repeats a call as the engine does.
func settle(t *testing.T, a *Adapter, c command.Call) {
	t.Helper()
	for range 200 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		r := a.Do(ctx, c)
		if r.Outcome == command.OutcomeUnknown {
			if found, known, err := a.LookUp(ctx, c); err == nil && known {
				r = found
			}
		}
		cancel()
		switch {
		case r.Outcome == command.OutcomeDone:
			return
		case r.Class == command.Terminal || r.Class == command.Stale:
			t.Fatalf("%s: %+v", c.Token, r)
		}
	}
	t.Fatalf("%s: not done after 200 attempts", c.Token)
}

func TestServersThatMakeNoSense(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: listener, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		reply := new(dns.Msg).SetRcode(m, dns.RcodeSuccess) // says yes to everything, and is the authority of nothing
		if err := w.WriteMsg(reply); err != nil {
			t.Logf("write: %v", err)
		}
	})}
	ended := make(chan error, 1)
	started := make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() { ended <- server.ActivateAndServe() }()
	<-started
	a := New(Options{Server: listener.Addr().String(), Zone: zoneName})
	if r := a.Do(t.Context(), call(shop, 1, 1, "127.77.0.1")); r.Class != command.Retry {
		t.Errorf("got %+v: want the readings to be refused", r)
	}
	if err := server.Shutdown(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
