package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var historyScenarios = []scenario{
	{name: "History/Provenance", reason: "every entry says when, who and why", run: provenance},
	{name: "History/Types", reason: "creation, transitions, events, signals, finished commands and removal are recorded", run: historyTypes},
	{name: "History/Namesakes", reason: "by key it includes former namesakes, by UID it does not", run: historyNamesakes},
	{name: "History/Limit", reason: "a limit keeps the newest, oldest first", run: historyLimit},
	{name: "History/Forget", reason: "Compact forgets the history before a time, and no state", run: historyForget},
}

func (s *suite) history(key resource.Key) []store.Entry {
	s.Helper()
	entries, err := s.s.History(s.ctx, store.HistoryQuery{Key: key})
	if err != nil {
		s.Fatal(err)
	}
	return entries
}

func provenance(s *suite) {
	s.register()
	o := machine("a")
	rev := s.create(o)
	next := o.Clone()
	next.State = working
	tx := store.Transaction{
		Writer:  store.Writer{Name: "controller/engine", Object: o.Key},
		Cause:   store.Cause{Revision: rev, Text: "all children are ready"},
		Objects: []store.ObjectWrite{{Object: next, Expect: rev, Reason: "ChildrenReady"}},
	}
	r := s.must(tx)
	entries := s.history(o.Key)
	if len(entries) != 2 {
		s.Fatalf("%d entries: %+v", len(entries), entries)
	}
	e := entries[1]
	want := store.Entry{Revision: r.Revision, At: e.At, Key: o.Key, UID: o.UID, Type: store.EntryTransition, From: fresh, To: working,
		Reason: "ChildrenReady", Writer: tx.Writer, Cause: tx.Cause}
	if e != want || e.At.IsZero() {
		s.Fatalf("got\n%+v\nwant\n%+v", e, want)
	}
}

func historyTypes(s *suite) {
	s.register()
	o := machine("a")
	rev := s.create(o)
	next := o.Clone()
	next.State = working
	s.must(store.Transaction{
		Objects:  []store.ObjectWrite{{Object: next, Expect: rev}},
		Raise:    []store.Signal{{Object: o.Key, Name: "Poke", By: "ada"}},
		Commands: []store.CommandWrite{{Command: order(o, "x")}},
		Events:   []store.Event{{Object: o.Key, UID: o.UID, Kind: "Warning", Reason: "Slow", Message: "it takes long"}},
	})
	done := s.command(order(o, "x").Slot)
	done.Phase = command.Refused
	done.Message = "no such zone"
	s.must(store.Transaction{Commands: []store.CommandWrite{{Command: done, Expect: done.Revision}}})
	last := s.read(o.Key)
	s.must(remove(o.Key, last.Revision))
	seen := map[store.EntryType]store.Entry{}
	for _, e := range s.history(o.Key) {
		if have, twice := seen[e.Type]; twice {
			s.Errorf("two entries of type %s: %+v, %+v", e.Type, have, e)
		}
		seen[e.Type] = e
	}
	for _, want := range []store.EntryType{store.EntryCreated, store.EntryTransition, store.EntrySignal, store.EntryEvent, store.EntryCommand, store.EntryRemoved} {
		if _, ok := seen[want]; !ok {
			s.Errorf("no entry of type %s", want)
		}
	}
	if e := seen[store.EntryEvent]; e.Reason != "Slow" || e.Message != "it takes long" {
		s.Errorf("event %+v", e)
	}
	if e := seen[store.EntryCommand]; e.Reason != string(command.Refused) || !strings.Contains(e.Message, "no such zone") {
		s.Errorf("command %+v", e)
	}
	if e := seen[store.EntrySignal]; e.Reason != "Poke" || !strings.Contains(e.Message, "ada") {
		s.Errorf("signal %+v", e)
	}
}

func historyNamesakes(s *suite) {
	o := thing("a")
	rev := s.create(o)
	s.must(remove(o.Key, rev))
	second := thing("a")
	second.UID = "uid-second"
	s.create(second)
	s.create(thing("b"))
	var uids []resource.UID
	for _, e := range s.history(o.Key) {
		uids = append(uids, e.UID)
	}
	if !slices.Equal(uids, []resource.UID{o.UID, o.UID, second.UID}) {
		s.Errorf("by key: %v", uids)
	}
	entries, err := s.s.History(s.ctx, store.HistoryQuery{Key: o.Key, UID: second.UID})
	if err != nil || len(entries) != 1 || entries[0].UID != second.UID {
		s.Errorf("by UID: %+v, error %v", entries, err)
	}
}

func historyLimit(s *suite) {
	o := thing("a")
	s.create(o)
	for _, reason := range []string{"A", "B", "C", "D"} {
		s.must(store.Transaction{Events: []store.Event{{Object: o.Key, UID: o.UID, Kind: "Normal", Reason: reason}}})
	}
	entries, err := s.s.History(s.ctx, store.HistoryQuery{Key: o.Key, Limit: 2})
	if err != nil || len(entries) != 2 || entries[0].Reason != "C" || entries[1].Reason != "D" {
		s.Errorf("got %+v, error %v", entries, err)
	}
	if entries[0].Revision >= entries[1].Revision {
		s.Errorf("revisions %d, %d", entries[0].Revision, entries[1].Revision)
	}
}

func historyForget(s *suite) {
	o := thing("a")
	s.create(o)
	before := s.state()
	if err := s.s.Compact(s.ctx, 0, s.history(o.Key)[0].At); err != nil {
		s.Fatal(err)
	}
	if n := len(s.history(o.Key)); n != 1 {
		s.Errorf("%d entries are left; the one of that very moment is not older", n)
	}
	if err := s.s.Compact(s.ctx, 0, time.Now().Add(time.Hour)); err != nil {
		s.Fatal(err)
	}
	if n := len(s.history(o.Key)); n != 0 {
		s.Errorf("%d entries are left", n)
	}
	if after := s.state(); after.String() != before.String() || after.Revision != before.Revision {
		s.Errorf("state became\n%s\nfrom\n%s", after, before)
	}
}
