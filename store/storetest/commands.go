package storetest

import (
	"bytes"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var commandScenarios = []scenario{
	{name: "Command/RoundTrip", reason: "every field of a command is kept, and nil bytes stay apart from empty ones", run: commandRoundTrip},
	{name: "Command/Expectation", reason: "a command is written from the revision it was read at", run: commandExpectation},
	{name: "Command/Delete", reason: "a removed command is gone, and the feed says so", run: commandDelete},
	{name: "Command/Slots", reason: "owner, adapter and key together are the identity", run: commandSlots},
	{name: "Command/Malformed", reason: "a command without a slot, or twice, is invalid", run: commandMalformed},
}

// order is a pending command of an object.
func order(o *resource.Object, key string) command.Command {
	slot := command.Slot{Owner: o.UID, Adapter: "dns", Key: key}
	return command.Command{Slot: slot, Object: o.Key, Controller: "c", Intent: 1, Token: command.TokenOf(1, slot, 1),
		Request: []byte(`{"address":"192.0.2.1"}`), Phase: command.Pending, Created: epoch, Changed: epoch}
}

func (s *suite) command(slot command.Slot) command.Command {
	s.Helper()
	c, ok := s.state().Commands[slot]
	if !ok {
		s.Fatalf("there is no command %s", slot)
	}
	return c
}

func commandRoundTrip(s *suite) {
	o := thing("a")
	s.create(o)
	c := order(o, "x")
	c.Destination, c.Unit, c.Handle, c.Class, c.Message, c.Unknown = "ns1", "zone", "job-7", command.Throttled, "wait", true
	c.Attempt, c.Intent, c.Phase = 3, 2, command.Accepted
	c.Deadline, c.NotBefore, c.Result, c.Request = epoch.Add(time.Hour), epoch.Add(time.Minute), []byte{}, nil
	stream := s.watch(s.state().Revision)
	c.Revision = s.must(store.Transaction{Commands: []store.CommandWrite{{Command: c}}}).Revision
	for source, got := range map[string]command.Command{"scan": s.command(c.Slot), "feed": s.next(stream).Commands[0].Command} {
		if got.Request != nil || got.Result == nil || len(got.Result) != 0 {
			s.Errorf("%s: request %v, result %v; want nil and empty", source, got.Request, got.Result)
		}
		if !bytes.Equal(got.Request, c.Request) || got.Deadline != c.Deadline || got.NotBefore != c.NotBefore || got.Created != c.Created || got.Changed != c.Changed {
			s.Errorf("%s: got %+v, want %+v", source, got, c)
		}
		got.Request, got.Result = nil, nil
		want := c
		want.Request, want.Result = nil, nil
		if stringOf(got) != stringOf(want) {
			s.Errorf("%s: got\n%s\nwant\n%s", source, stringOf(got), stringOf(want))
		}
	}
}

func commandExpectation(s *suite) {
	o := thing("a")
	s.create(o)
	c := order(o, "x")
	put := func(expect resource.Revision) store.Transaction {
		return store.Transaction{Commands: []store.CommandWrite{{Expect: expect, Command: c}}}
	}
	s.refused(put(1), store.ErrConflict)
	first := s.must(put(0)).Revision
	if e := s.refused(put(0), store.ErrConflict); e.Key != o.Key || e.Actual != first {
		s.Errorf("conflict %+v", e)
	}
	c.Phase, c.Result = command.Done, []byte(`{"ok":true}`)
	second := s.must(put(first)).Revision
	s.refused(put(first), store.ErrConflict)
	if got := s.command(c.Slot); got.Revision != second || got.Phase != command.Done || string(got.Result) != `{"ok":true}` {
		s.Errorf("stored is %+v", got)
	}
}

func commandDelete(s *suite) {
	o := thing("a")
	s.create(o)
	c := order(o, "x")
	rev := s.must(store.Transaction{Commands: []store.CommandWrite{{Command: c}}}).Revision
	s.refused(store.Transaction{Commands: []store.CommandWrite{{Command: c, Expect: rev + 1, Delete: true}}}, store.ErrConflict)
	stream := s.watch(rev)
	s.must(store.Transaction{Commands: []store.CommandWrite{{Command: c, Expect: rev, Delete: true}}})
	if b := s.next(stream); len(b.Commands) != 1 || !b.Commands[0].Removed || b.Commands[0].Command.Slot != c.Slot {
		s.Errorf("feed has %+v", b.Commands)
	}
	if n := len(s.state().Commands); n != 0 {
		s.Errorf("%d commands are left", n)
	}
}

func commandSlots(s *suite) {
	a, b := thing("a"), thing("b")
	s.create(a)
	s.create(b)
	second := order(a, "x")
	second.Adapter = "tls"
	s.must(store.Transaction{Commands: []store.CommandWrite{{Command: order(a, "x")}, {Command: order(a, "y")}, {Command: order(b, "x")}, {Command: second}}})
	if n := len(s.state().Commands); n != 4 {
		s.Errorf("%d commands, want 4", n)
	}
	wrong := order(a, "z")
	wrong.Owner = b.UID
	s.refused(store.Transaction{Commands: []store.CommandWrite{{Command: wrong}}}, store.ErrConflict)
}

func commandMalformed(s *suite) {
	o := thing("a")
	s.create(o)
	c := order(o, "x")
	s.refused(store.Transaction{Commands: []store.CommandWrite{{Command: c}, {Command: c}}}, store.ErrInvalid)
	s.refused(store.Transaction{Commands: []store.CommandWrite{{Command: c, Delete: true}}}, store.ErrInvalid)
	c.Key = ""
	s.refused(store.Transaction{Commands: []store.CommandWrite{{Command: c}}}, store.ErrInvalid)
}
