package storetest

import (
	"strings"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var removalScenarios = []scenario{
	{name: "Removal/ByKey", reason: "Object nil removes; the feed has the last form, at the removing revision", run: removalByKey},
	{name: "Removal/Held", reason: "an object with finalizers is not removed, and the refusal names who holds it", run: removalHeld},
	{name: "Removal/LastFinalizer", reason: "the commit that leaves a deleted object without finalizers removes it", run: lastFinalizer},
	{name: "Removal/Gone", reason: "a removed object passes through the final state, when that is legal", run: throughGone},
	{name: "Removal/Dependents", reason: "commands, signals and timers go with their object, and the feed says so", run: dependents},
	{name: "Removal/OwnWrites", reason: "what a transaction writes for an object that it removes leaves nothing behind", run: ownWrites},
	{name: "Removal/Namesake", reason: "a namesake starts anew", run: namesakeAnew},
}

func removalByKey(s *suite) {
	o := thing("a")
	rev := s.create(o)
	stream := s.watch(rev)
	removed := s.must(remove(o.Key, rev)).Revision
	s.absent(o.Key)
	b := s.next(stream)
	if len(b.Objects) != 1 || !b.Objects[0].Removed || b.Objects[0].Object.Revision != removed || !same(b.Objects[0].Object, o) {
		s.Fatalf("feed has %+v", b)
	}
	s.refused(remove(o.Key, rev), store.ErrConflict)
}

func removalHeld(s *suite) {
	o := thing("a")
	o.Finalizers = []resource.Finalizer{"dns"}
	rev := s.create(o)
	e := s.refused(remove(o.Key, rev), store.ErrRule)
	if !strings.Contains(e.Error(), "dns") {
		s.Fatalf("message %q does not say who holds it", e.Error())
	}
}

func lastFinalizer(s *suite) {
	o := thing("a")
	o.Finalizers = []resource.Finalizer{"dns", "tls"}
	rev := s.create(o)
	stream := s.watch(rev)
	step := func(deleted bool, finalizers ...resource.Finalizer) store.Batch {
		c := o.Clone()
		c.Finalizers = finalizers
		if deleted {
			c.Deleted = epoch
		}
		rev = s.must(write(c, rev)).Revision
		return s.next(stream)
	}
	if b := step(true, "dns", "tls"); b.Objects[0].Removed {
		s.Fatal("removed while two hold it")
	}
	if b := step(true, "tls"); b.Objects[0].Removed {
		s.Fatal("removed while one holds it")
	}
	if b := step(true); !b.Objects[0].Removed || b.Objects[0].Object.Revision != rev {
		s.Fatalf("not removed by the commit that released it: %+v", b)
	}
	s.absent(o.Key)
}

func throughGone(s *suite) {
	s.register()
	o := machine("a")
	rev := s.create(o)
	illegal := o.Clone()
	illegal.Deleted = epoch
	s.refused(store.Transaction{Objects: []store.ObjectWrite{{Object: illegal, Expect: rev, Gone: gone}}}, store.ErrRule)
	last := o.Clone()
	last.Deleted, last.State = epoch, deleting
	stream := s.watch(rev)
	s.must(store.Transaction{Objects: []store.ObjectWrite{{Object: last, Expect: rev, Gone: gone, Reason: "Deleted"}}})
	if b := s.next(stream); !b.Objects[0].Removed || b.Objects[0].Object.State != gone {
		s.Fatalf("feed has %+v", b.Objects[0])
	}
	var steps []string
	for _, e := range s.history(o.Key) {
		steps = append(steps, string(e.Type)+":"+string(e.From)+">"+string(e.To))
	}
	if got := strings.Join(steps, " "); got != "Created:>Fresh Transition:Fresh>Deleting Transition:Deleting>Gone Removed:Gone>" {
		s.Fatalf("history is %s", got)
	}
}

// burden gives an object a command, a signal and a timer.
func (s *suite) burden(o *resource.Object) store.SignalID {
	s.Helper()
	r := s.must(store.Transaction{
		Commands: []store.CommandWrite{{Command: order(o, "x")}},
		Raise:    []store.Signal{{Object: o.Key, UID: o.UID, Name: "Poke"}},
		Timers:   []store.Timer{{Controller: "c", Object: o.Key, UID: o.UID, Due: epoch}},
	})
	return r.Signals[0]
}

func dependents(s *suite) {
	o, other := thing("a"), thing("b")
	rev := s.create(o)
	s.create(other)
	id := s.burden(o)
	s.burden(other)
	stream := s.watch(s.state().Revision)
	s.must(remove(o.Key, rev))
	b := s.next(stream)
	if len(b.Commands) != 1 || !b.Commands[0].Removed || b.Commands[0].Command.Owner != o.UID {
		s.Errorf("commands in the feed: %+v", b.Commands)
	}
	if len(b.Consumed) != 1 || b.Consumed[0] != id {
		s.Errorf("signals in the feed: %v, want %d", b.Consumed, id)
	}
	if len(b.Timers) != 1 || !b.Timers[0].Due.IsZero() || b.Timers[0].UID != o.UID {
		s.Errorf("timers in the feed: %+v", b.Timers)
	}
	left := s.state()
	if len(left.Commands) != 1 || len(left.Signals) != 1 || len(left.Timers) != 1 {
		s.Errorf("left is\n%s", left)
	}
}

func ownWrites(s *suite) {
	o := thing("a")
	o.Finalizers = []resource.Finalizer{"dns"}
	rev := s.create(o)
	before := s.watchState(0)
	last := o.Clone()
	last.Deleted, last.Finalizers = epoch, nil
	s.must(store.Transaction{
		Objects:  []store.ObjectWrite{{Object: last, Expect: rev}},
		Commands: []store.CommandWrite{{Command: order(o, "x")}},
		Raise:    []store.Signal{{Object: o.Key, Name: "Poke"}},
		Timers:   []store.Timer{{Controller: "c", Object: o.Key, Due: epoch}},
	})
	now := s.state()
	if text := now.String(); text != "" {
		s.Fatalf("left behind:\n%s", text)
	}
	if before.upTo(now.Revision).String() != "" {
		s.Fatalf("a reader of the feed is left with\n%s", before.state)
	}
}

func namesakeAnew(s *suite) {
	o := thing("a")
	rev := s.create(o)
	s.burden(o)
	s.must(remove(o.Key, rev))
	second := thing("a")
	second.UID = "uid-second"
	s.create(second)
	now := s.state()
	if len(now.Commands)+len(now.Signals)+len(now.Timers) != 0 {
		s.Fatalf("the namesake inherited\n%s", now)
	}
	if e := s.refused(store.Transaction{Raise: []store.Signal{{Object: o.Key, UID: o.UID, Name: "Poke"}}}, store.ErrConflict); e.Key != o.Key {
		s.Fatalf("the error names %s", e.Key)
	}
}
