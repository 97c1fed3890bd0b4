package storetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/store"
)

var signalScenarios = []scenario{
	{name: "Signal/RaiseAndConsume", reason: "a signal is kept until a commit consumes it, once", run: raiseAndConsume},
	{name: "Signal/Identity", reason: "identities rise and are never used again, also after a restart", run: signalIdentity},
	{name: "Signal/IdentityAcrossRestart", reason: "a consumed signal's identity is not given to another after a restart", run: signalAcrossRestart, reopens: true},
	{name: "Signal/ConsumeAll", reason: "one signal that is gone stops the consumption of the others", run: consumeAll},
	{name: "Signal/Malformed", reason: "a signal without object or name, or with a payload that is not JSON, is invalid", run: signalMalformed},
	{name: "Signal/AcrossRestart", reason: "all that a signal says is in the feed and in a scan after a restart, and a condition is in neither", run: signalAfterRestart, reopens: true},
	{name: "Signal/TooLong", reason: "why and what it is about are texts, and have the cap of texts", run: signalTooLong},
}

var timerScenarios = []scenario{
	{name: "Timer/SetAndClear", reason: "one timer per controller and object: set, moved, cleared", run: setAndClear},
	{name: "Timer/ClearNothing", reason: "clearing a timer that is not set is no error", run: clearNothing},
	{name: "Timer/Malformed", reason: "a timer without controller or object is invalid", run: timerMalformed},
}

func stringOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func raiseAndConsume(s *suite) {
	o := thing("a")
	rev := s.create(o)
	stream := s.watch(rev)
	want := store.Signal{Object: o.Key, UID: o.UID, Name: "Promote", Payload: []byte(`{"why":"test"}`), By: "ada", Why: "the primary is \"slow\"", At: epoch,
		Dedupe: "disk/3", Expires: epoch.Add(time.Hour)}
	r := s.must(store.Transaction{Raise: []store.Signal{want, {Object: o.Key, Name: "Poke"}}})
	if len(r.Signals) != 2 || r.Signals[0] >= r.Signals[1] {
		s.Fatalf("receipt has signals %v", r.Signals)
	}
	want.ID, want.Revision = r.Signals[0], r.Revision
	for source, got := range map[string]store.Signal{"scan": s.state().Signals[want.ID], "feed": s.next(stream).Raised[0]} {
		if stringOf(got) != stringOf(want) {
			s.Errorf("%s: got %s, want %s", source, stringOf(got), stringOf(want))
		}
	}
	s.must(store.Transaction{Consume: r.Signals[:1]})
	if b := s.next(stream); len(b.Consumed) != 1 || b.Consumed[0] != want.ID {
		s.Errorf("feed has consumed %v", b.Consumed)
	}
	s.refused(store.Transaction{Consume: r.Signals[:1]}, store.ErrConflict)
	if n := len(s.state().Signals); n != 1 {
		s.Errorf("%d signals are left, want 1", n)
	}
	if got := s.read(o.Key).Revision; got != rev {
		s.Errorf("signals moved the object from %d to %d", rev, got)
	}
}

func signalIdentity(s *suite) {
	o := thing("a")
	s.create(o)
	var last store.SignalID
	for range 5 {
		id := s.must(store.Transaction{Raise: []store.Signal{{Object: o.Key, Name: "Poke"}}}).Signals[0]
		if id <= last {
			s.Fatalf("identity %d follows %d", id, last)
		}
		last = id
		s.must(store.Transaction{Consume: []store.SignalID{id}})
	}
}

func signalAcrossRestart(s *suite) {
	o := thing("a")
	s.create(o)
	first := s.must(store.Transaction{Raise: []store.Signal{{Object: o.Key, Name: "Poke"}}}).Signals[0]
	s.must(store.Transaction{Consume: []store.SignalID{first}})
	s.reopen()
	if second := s.must(store.Transaction{Raise: []store.Signal{{Object: o.Key, Name: "Poke"}}}).Signals[0]; second <= first {
		s.Fatalf("identity %d follows %d", second, first)
	}
}

func signalAfterRestart(s *suite) {
	o := thing("a")
	rev := s.create(o)
	plain := store.Signal{Object: o.Key, UID: o.UID, Name: "Poke", At: epoch}
	full := store.Signal{Object: o.Key, UID: o.UID, Name: "Promote", Payload: []byte(`[]`), By: "ada", Why: "it is Tuesday", At: epoch, Dedupe: "tuesday", Expires: epoch.AddDate(0, 0, 1), Seen: rev}
	r := s.must(store.Transaction{Raise: []store.Signal{plain, full}})
	check := func(when string) {
		s.Helper()
		now, batch := s.state(), s.next(s.watch(rev))
		for i, want := range []store.Signal{plain, full} {
			want.ID, want.Revision, want.Seen = r.Signals[i], r.Revision, 0
			if got := now.Signals[want.ID]; stringOf(got) != stringOf(want) {
				s.Errorf("%s, scan: got %s, want %s", when, stringOf(got), stringOf(want))
			}
			if got := batch.Raised[i]; stringOf(got) != stringOf(want) {
				s.Errorf("%s, feed: got %s, want %s", when, stringOf(got), stringOf(want))
			}
		}
	}
	check("before")
	s.reopen()
	check("after")
}

func signalTooLong(s *suite) {
	o := thing("a")
	s.create(o)
	long := strings.Repeat("x", store.Caps{}.WithDefaults().Text+1)
	for _, bad := range []store.Signal{{Why: long}, {Dedupe: long}, {By: long}} {
		bad.Object, bad.Name = o.Key, "Poke"
		s.refused(store.Transaction{Raise: []store.Signal{bad}}, store.ErrTooLarge)
	}
	s.must(store.Transaction{Raise: []store.Signal{{Object: o.Key, Name: "Poke", Why: long[1:], Dedupe: long[1:]}}})
}

func consumeAll(s *suite) {
	o := thing("a")
	s.create(o)
	ids := s.must(store.Transaction{Raise: []store.Signal{{Object: o.Key, Name: "Poke"}, {Object: o.Key, Name: "Poke"}}}).Signals
	s.refused(store.Transaction{Consume: []store.SignalID{ids[0], 99, ids[1]}}, store.ErrConflict)
	s.refused(store.Transaction{Consume: []store.SignalID{ids[0], ids[0]}}, store.ErrInvalid)
	s.must(store.Transaction{Consume: ids})
}

func signalMalformed(s *suite) {
	o := thing("a")
	s.create(o)
	for i, bad := range []store.Signal{{Name: "Poke"}, {Object: o.Key}, {Object: o.Key, Name: "Poke", Payload: []byte("{")}} {
		if _, err := s.commit(store.Transaction{Raise: []store.Signal{bad}}); err == nil {
			s.Errorf("signal %d was accepted: %+v", i, bad)
			continue
		}
		s.refused(store.Transaction{Raise: []store.Signal{bad}}, store.ErrInvalid)
	}
}

func setAndClear(s *suite) {
	o := thing("a")
	rev := s.create(o)
	stream := s.watch(rev)
	set := func(controller string, days int) store.Timer {
		t := store.Timer{Controller: controller, Object: o.Key, UID: o.UID, Due: epoch.AddDate(0, 0, days), Code: fmt.Sprint("Day", days)}
		s.must(store.Transaction{Timers: []store.Timer{t}})
		if got := s.next(stream).Timers; len(got) != 1 || stringOf(got[0]) != stringOf(t) {
			s.Fatalf("feed has %s, want %s", stringOf(got), stringOf(t))
		}
		return t
	}
	set("c", 1)
	moved, other := set("c", 2), set("d", 3)
	now := s.state()
	if len(now.Timers) != 2 || stringOf(now.Timers[TimerSlot{o.UID, "c"}]) != stringOf(moved) || stringOf(now.Timers[TimerSlot{o.UID, "d"}]) != stringOf(other) {
		s.Fatalf("stored is\n%s", now)
	}
	s.must(store.Transaction{Timers: []store.Timer{{Controller: "c", Object: o.Key, UID: o.UID}}})
	if got := s.next(stream).Timers; len(got) != 1 || !got[0].Due.IsZero() {
		s.Fatalf("feed has %s", stringOf(got))
	}
	if now := s.state(); len(now.Timers) != 1 {
		s.Fatalf("stored is\n%s", now)
	}
}

func clearNothing(s *suite) {
	o := thing("a")
	s.create(o)
	s.must(store.Transaction{Timers: []store.Timer{{Controller: "c", Object: o.Key, UID: o.UID}}})
	if n := len(s.state().Timers); n != 0 {
		s.Fatalf("%d timers", n)
	}
}

func timerMalformed(s *suite) {
	o := thing("a")
	s.create(o)
	s.refused(store.Transaction{Timers: []store.Timer{{Object: o.Key, Due: epoch}}}, store.ErrInvalid)
	s.refused(store.Transaction{Timers: []store.Timer{{Controller: "c", Due: epoch}}}, store.ErrInvalid)
	s.refused(store.Transaction{Timers: []store.Timer{{Controller: "c", Object: o.Key, UID: "other", Due: epoch}}}, store.ErrConflict)
}
