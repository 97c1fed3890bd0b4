package subsystem

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/command"
)

func TestFenceAndTokens(t *testing.T) {
	type step struct {
		request ApplyRequest
		outcome command.Outcome
		class   command.Class
		repeats bool
		reason  string
	}
	done, refused := command.OutcomeDone, command.OutcomeRefused
	steps := []step{
		{apply("a", 2, 1, "t1", `{"n":1}`), done, "", false, "the first wish has an effect"},
		{apply("a", 2, 1, "t1", `{ "n": 1 }`), done, "", true, "a repeat is answered, white space aside"},
		{apply("a", 3, 1, "t1", `{"n":1}`), done, "", true, "the next owner repeats the same token"},
		{apply("a", 2, 1, "t1", `{"n":1}`), refused, command.Stale, false, "the former owner is fenced, even with a known token"},
		{apply("b", 2, 1, "t2", `{"n":1}`), refused, command.Stale, false, "a lower epoch is refused on a key it never touched"},
		{apply("a", 3, 1, "t1", `{"n":2}`), refused, command.Terminal, false, "a token does not stand for two wishes"},
		{apply("a", 3, 2, "t3", `{"n":2}`), done, "", false, "a higher intent is a new wish"},
		{apply("a", 3, 1, "t1", `{"n":1}`), refused, command.Stale, false, "a delayed older wish is refused"},
		{apply("a", 3, 3, "t4", ""), done, "", false, "absence is a wish like any other"},
		{apply("a", 3, 2, "t3", `{"n":2}`), refused, command.Stale, false, "a tombstone keeps the fence"},
		{apply("a", 3, 3, "t4", ""), done, "", true, "the answer of a deletion is remembered"},
		{apply("", 3, 3, "t5", ""), refused, command.Terminal, false, "a key is needed"},
		{apply("a", 3, 3, "", ""), refused, command.Terminal, false, "a token is needed"},
	}
	dir := t.TempDir()
	for round := range 2 {
		h := newShelf()
		s := open(t, Options{Dir: dir, Handler: h})
		if round == 0 {
			if a := must(t, s, apply("a", 1, 1, "t0", `{}`)); a.Class != command.Throttled {
				t.Fatalf("a blank server answered %+v: want Throttled", a)
			}
			teach(t, s)
			for _, step := range steps {
				a := must(t, s, step.request)
				if a.Outcome != step.outcome || a.Class != step.class || a.Repeated != step.repeats {
					t.Errorf("%s: got %s", step.reason, text(a))
				}
			}
		} else { // the last state must hold after a restart as well
			for _, step := range steps[7:] {
				if a := must(t, s, step.request); step.request.Token == "t4" && !a.Repeated || step.class != a.Class && step.request.Token != "t3" {
					t.Errorf("after a restart: %s: got %s", step.reason, text(a))
				}
			}
			if len(h.made) != 0 {
				t.Errorf("after a restart the handler made %v: want nothing", h.made)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		want := []Effect{Create, Update, Delete}
		got := lines(t, s)
		if len(got) != len(want) {
			t.Fatalf("ledger %s: want %v", text(got), want)
		}
		for i := range want {
			if got[i].Effect != want[i] || got[i].Seq != uint64(i+1) {
				t.Errorf("ledger line %d is %s: want %s", i, text(got[i]), want[i])
			}
		}
	}
}

func TestRefusedCallRaisesTheFence(t *testing.T) {
	h := newShelf()
	s := open(t, Options{Handler: h})
	teach(t, s)
	h.full = true
	if a := must(t, s, apply("a", 1, 2, "t2", `{}`)); a.Class != command.Throttled {
		t.Fatalf("got %s: want Throttled", text(a))
	}
	h.full = false
	if a := must(t, s, apply("a", 1, 1, "t1", `{}`)); a.Class != command.Stale {
		t.Errorf("an older wish got %s: want Stale, because a newer one was seen", text(a))
	}
	if a := must(t, s, apply("a", 1, 2, "t2", `{}`)); a.Outcome != command.OutcomeDone || a.Repeated {
		t.Errorf("the refused wish got %s when repeated: want its first effect", text(a))
	}
}

func TestScopesFenceApart(t *testing.T) {
	s := open(t, Options{Handler: newShelf(), Scope: func(o Object) string { return string(o.Namespace) }})
	teach(t, s)
	first, second := apply("a", 9, 1, "t1", `{}`), apply("b", 2, 1, "t2", `{}`)
	first.Object.Namespace, second.Object.Namespace = "x", "y"
	must(t, s, first)
	if a := must(t, s, second); a.Outcome != command.OutcomeDone {
		t.Errorf("epoch 2 of another scope got %s: want done", text(a))
	}
}

// TestAPlaneOfSeveralNodesNamesTheScope: each shard has epochs of its own, and a key that goes from the object of one shard to that of another is ordered by intents, which rise over all.
func TestAPlaneOfSeveralNodesNamesTheScope(t *testing.T) {
	s := open(t, Options{Handler: newShelf()})
	teach(t, s)
	call := func(scope, key string, epoch, intent uint64, token string) string {
		a := apply(key, epoch, intent, token, `{}`)
		a.Scope = scope
		return string(must(t, s, a).Outcome)
	}
	for _, c := range []struct {
		reason, scope, key string
		epoch, intent      uint64
		token, want        string
	}{
		{"the first of a shard", "shard/1", "a", 9, 1, "t1", "done"},
		{"another shard has epochs of its own", "shard/2", "b", 2, 2, "t2", "done"},
		{"a former owner of the shard, on another key", "shard/1", "c", 8, 3, "t3", "refused"},
		{"the key goes to another shard", "shard/2", "a", 2, 4, "t4", "done"},
		{"what the first owner of the key still wanted comes late", "shard/1", "a", 9, 3, "t5", "refused"},
		{"a former owner of the second shard", "shard/2", "a", 1, 9, "t6", "refused"},
		{"the key comes back", "shard/1", "a", 9, 5, "t7", "done"},
	} {
		if got := call(c.scope, c.key, c.epoch, c.intent, c.token); got != c.want {
			t.Errorf("%s: %s, want %s", c.reason, got, c.want)
		}
	}
}

func TestSimultaneousCallsOfOneToken(t *testing.T) {
	h := newShelf()
	s := open(t, Options{Handler: h, MaxQueue: 64})
	teach(t, s)
	var calls sync.WaitGroup
	for range 32 {
		calls.Go(func() {
			if a, err := s.Apply(apply("a", 1, 1, "t", `{}`)); err != nil || a.Outcome != command.OutcomeDone {
				t.Errorf("got %s, %v", text(a), err)
			}
		})
	}
	calls.Wait()
	if n := h.count("t"); n != 1 {
		t.Errorf("%d effects of one token: want 1", n)
	}
}

// oven takes its time: it accepts a wish, and is done when it is asked for the third time.
type oven struct {
	shelf
	asked []string // the handles that came with the calls
}

func (o *oven) Apply(_ context.Context, c Change) Answer {
	o.asked = append(o.asked, c.Handle)
	if len(o.asked) < 3 {
		return Accept(fmt.Sprintf("batch-%d", len(o.asked)), 250*time.Millisecond)
	}
	return Done([]byte(`{"loaves":2}`), Create, "")
}

func TestAcceptedWorkIsAskedForUntilItIsDone(t *testing.T) {
	o := &oven{}
	s := open(t, Options{Handler: o})
	teach(t, s)
	client := serve(t, s)
	c := call("bread", 1, 1, "t", `{}`)
	for _, want := range []string{"batch-1", "batch-2"} {
		r := client.Do(t.Context(), c)
		if r.Outcome != command.OutcomeAccepted || r.Handle != want || r.RetryAfter != 250*time.Millisecond {
			t.Fatalf("got %+v: want accepted as %s, to be asked for after 250 ms", r, want)
		}
		if a := s.LookUp("t"); !a.Known || a.Outcome != command.OutcomeAccepted {
			t.Errorf("a look-up says %s: want known and accepted", text(a))
		}
		c.Handle = r.Handle
	}
	for range 2 { // the second time it is answered from memory
		if r := client.Do(t.Context(), c); r.Outcome != command.OutcomeDone || string(r.Body) != `{"loaves":2}` {
			t.Fatalf("got %+v: want done, with two loaves", r)
		}
	}
	if want := []string{"", "batch-1", "batch-2"}; !slices.Equal(o.asked, want) {
		t.Errorf("the handler was called with the handles %q, want %q", o.asked, want)
	}
	if made := lines(t, s); len(made) != 1 || made[0].Effect != Create {
		t.Errorf("the ledger says %s: want one creation", text(made))
	}
}

func TestQueueOfAKeyIsBounded(t *testing.T) {
	h := newShelf()
	entered, proceed := make(chan struct{}), make(chan struct{})
	h.during = func(Change) { close(entered); <-proceed }
	s := open(t, Options{Handler: h, MaxQueue: 1})
	teach(t, s)
	var first sync.WaitGroup
	first.Go(func() { must(t, s, apply("a", 1, 1, "t", `{}`)) })
	<-entered
	if a := must(t, s, apply("a", 1, 1, "t", `{}`)); a.Class != command.Throttled {
		t.Errorf("got %s: want Throttled", text(a))
	}
	if a := s.LookUp("t"); !a.Known || a.Outcome != command.OutcomeAccepted {
		t.Errorf("a look-up during the call says %s: want known and accepted", text(a))
	}
	close(proceed)
	first.Wait()
	if a := s.LookUp("t"); !a.Known || a.Outcome != command.OutcomeDone {
		t.Errorf("a look-up after the call says %s: want done", text(a))
	}
	if a := s.LookUp("never"); a.Known {
		t.Errorf("a look-up of an unseen token says %s", text(a))
	}
}

func TestHalfwayIsFinishedByTheSameToken(t *testing.T) {
	h := newShelf()
	s := open(t, Options{Handler: h})
	teach(t, s)
	if err := s.SetFaults(Faults{Halfway: 1}); err != nil {
		t.Fatal(err)
	}
	if a := must(t, s, apply("a", 1, 1, "t", `{}`)); a.Outcome != command.OutcomeFailed || a.Result != nil {
		t.Fatalf("got %s: want failed, without the private result", text(a))
	}
	if err := s.SetFaults(Faults{}); err != nil {
		t.Fatal(err)
	}
	if a := must(t, s, apply("a", 1, 1, "t", `{}`)); a.Outcome != command.OutcomeDone {
		t.Fatalf("got %s: want done", text(a))
	}
	if n := h.count("t"); n != 1 {
		t.Errorf("%d things made by one token: want 1", n)
	}
	if got := lines(t, s); len(got) != 2 || got[0].Effect != Partial || got[1].Effect != Create {
		t.Errorf("ledger %s: want partial, create", text(got))
	}
}

func TestPanicLeavesNoAnswer(t *testing.T) {
	h := newShelf()
	h.during = func(Change) { panic("boom") }
	s := open(t, Options{Handler: h})
	teach(t, s)
	if a, err := s.Apply(apply("a", 1, 1, "t", `{}`)); err == nil {
		t.Errorf("got %s: want no answer", text(a))
	}
	h.during = nil
	if a := must(t, s, apply("a", 1, 1, "t", `{}`)); a.Outcome != command.OutcomeDone {
		t.Errorf("got %s: want the key to be usable again", text(a))
	}
}

func TestTornLineAndMissingLedgerLine(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Handler: newShelf()})
	teach(t, s)
	must(t, s, apply("a", 1, 1, "ta", `{}`))
	must(t, s, apply("b", 1, 1, "tb", `{}`))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	damage(t, filepath.Join(dir, JournalFile), func(b []byte) []byte { return append(b, `{"entry":{"key":"c"`...) })
	damage(t, filepath.Join(dir, LedgerFile), func(b []byte) []byte { return b[:len(b)-10] })
	h := newShelf()
	s = open(t, Options{Dir: dir, Handler: h})
	if len(h.things) != 2 {
		t.Errorf("remembered %v: want a and b", h.things)
	}
	if got := lines(t, s); len(got) != 2 || got[1].Key != "b" || got[1].Seq != 2 {
		t.Errorf("ledger %s: want the torn line of b to be written again", text(got))
	}
	if a := must(t, s, apply("b", 1, 1, "tb", `{}`)); !a.Repeated {
		t.Errorf("got %s: want the remembered answer", text(a))
	}
}

func TestDamageInTheMiddleIsReported(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Handler: newShelf()})
	teach(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	damage(t, filepath.Join(dir, JournalFile), func(b []byte) []byte { return append([]byte("garbage\n"), b...) })
	if _, err := Open(Options{Dir: dir, Handler: newShelf(), Log: quiet}); err == nil {
		t.Error("a journal with a damaged first line was opened: want an error, not silent amnesia")
	}
}

func TestFolderIsNotShared(t *testing.T) {
	dir := t.TempDir()
	open(t, Options{Dir: dir, Handler: newShelf()})
	if _, err := Open(Options{Dir: dir, Handler: newShelf(), Log: quiet}); !errors.Is(err, ErrInUse) {
		t.Errorf("a second server got %v: want ErrInUse", err)
	}
}

func damage(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(content), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestCompactionKeepsEverythingThatCounts(t *testing.T) {
	dir := t.TempDir()
	h := newShelf()
	s := open(t, Options{Dir: dir, Handler: h, MaxTombstones: 3})
	teach(t, s)
	for i := range 5 {
		key := fmt.Sprint("dead", i)
		must(t, s, apply(key, 1, 1, key+"-1", `{}`))
		must(t, s, apply(key, 1, 2, key+"-2", ""))
	}
	must(t, s, apply("lost", 1, 1, "lost-1", `{}`))
	if err := h.lose("lost", "lost-1", "it fell"); err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		must(t, s, apply("busy", 1, uint64(i+1), fmt.Sprint("busy-", i+1), `{}`))
	}
	check := func(s *Server) {
		t.Helper()
		if s.records > 1500 {
			t.Errorf("the journal has %d records: want it to have been compacted", s.records)
		}
		if a := must(t, s, apply("busy", 1, 1999, "busy-1999", `{}`)); a.Class != command.Stale {
			t.Errorf("got %s: want the fence to be kept", text(a))
		}
		if a := must(t, s, apply("dead4", 1, 1, "dead4-1", `{}`)); a.Class != command.Stale {
			t.Errorf("got %s: want the youngest tombstone to be kept", text(a))
		}
		c, err := s.Changes(t.Context(), "", 0)
		if err != nil || len(c.Lost) != 1 || c.Lost[0].Token != "lost-1" {
			t.Errorf("changes %s, %v: want the loss to be kept", text(c), err)
		}
		if n := len(s.memory.places); n < 3 || n > 5 {
			t.Errorf("%d places: want busy, lost, and 1 to 3 tombstones", n)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(open(t, Options{Dir: dir, Handler: newShelf(), MaxTombstones: 3}))
	for id, n := range EffectsPerToken(lines(t, s)) {
		if n != 1 {
			t.Errorf("%s: %d effects", id, n)
		}
	}
}

// TestABlankMemoryCanBeTaught: calls that wait for a blank memory to be taught do not erase it again, however forgetful the server is.
func TestABlankMemoryCanBeTaught(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), Handler: newShelf()})
	if err := s.SetFaults(Faults{Forget: 1}); err != nil {
		t.Fatal(err)
	}
	blank := s.Memory()
	if a := must(t, s, apply("a", 1, 1, "t1", `{}`)); a.Class != command.Throttled || s.Memory() != blank {
		t.Fatalf("a blank memory answered %s and is %s now, was %s: want it refused, and the same memory", text(a), s.Memory(), blank)
	}
	teach(t, s)
	if a := must(t, s, apply("a", 1, 1, "t1", `{}`)); a.Class != command.Throttled || s.Memory() == blank {
		t.Errorf("a memory that was taught answered %s and is %s: want it forgotten, and another memory", text(a), s.Memory())
	}
}
