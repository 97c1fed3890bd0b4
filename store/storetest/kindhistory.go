package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var kindHistoryScenarios = []scenario{
	{name: "History/OfKind", reason: "a kind's history has the entries of all its objects, those that are gone and their namesakes included, and of no other kind", run: historyOfKind},
	{name: "History/Narrow", reason: "namespace, types, time and revision narrow, together too", run: historyNarrow},
	{name: "History/Pages", reason: "pages end with a revision, whole, and together they are everything, once", run: historyPages},
	{name: "History/PagesWhileCommitting", reason: "a reader that pages while others commit misses nothing and reads nothing twice", run: historyWhileCommitting},
	{name: "History/AfterRestart", reason: "history is as durable as the state", run: historyAfterRestart, reopens: true},
	{name: "History/NarrowByKey", reason: "types, time and revision narrow the history of one object too, before its limit counts", run: historyNarrowByKey},
	{name: "History/OfNothing", reason: "a query names an object or a kind, and not both", run: historyOfNothing},
}

// lines asks for history, and says each entry in words.
func (s *suite) lines(q store.HistoryQuery) []string {
	s.Helper()
	entries, err := s.s.History(s.ctx, q)
	if err != nil {
		s.Fatal(err)
	}
	var lines []string
	for i, e := range entries {
		if i > 0 && e.Revision < entries[i-1].Revision {
			s.Fatalf("revision %d follows %d", e.Revision, entries[i-1].Revision)
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%d %s %s %s %s%s", e.Revision, e.Key, e.UID, e.Type, e.Reason, e.To)))
	}
	return lines
}

// note is a transaction of remarks on an object.
func note(o *resource.Object, reasons ...string) store.Transaction {
	var tx store.Transaction
	for _, r := range reasons {
		tx.Events = append(tx.Events, store.Event{Object: o.Key, UID: o.UID, Kind: "Normal", Reason: r})
	}
	return tx
}

// tenant is a copy in another namespace.
func tenant(o *resource.Object, namespace resource.Namespace) *resource.Object {
	c := o.Clone()
	c.Namespace = namespace
	c.UID = resource.UID(namespace) + "-" + c.UID
	return c
}

func (s *suite) wantLines(q store.HistoryQuery, want ...string) {
	s.Helper()
	if got := s.lines(q); !slices.Equal(got, want) {
		s.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func historyOfKind(s *suite) {
	s.register()
	a, b := machine("a"), tenant(machine("b"), "other")
	rev := s.create(a)
	s.create(thing("c"))
	s.create(b)
	s.must(remove(a.Key, rev))
	again := machine("a")
	again.UID = "uid-again"
	s.create(again)
	s.must(note(again, "Slow"))
	entries, err := s.s.History(s.ctx, store.HistoryQuery{Kind: widget})
	if err != nil || len(entries) == 0 || entries[0].Key != a.Key || entries[0].At.IsZero() || entries[0].Writer.Name != "controller/test" {
		s.Fatalf("entries %+v, error %v", entries, err)
	}
	s.wantLines(store.HistoryQuery{Kind: widget},
		"1 "+a.Key.String()+" uid-a Created Fresh",
		"3 "+b.Key.String()+" other-uid-b Created Fresh",
		"4 "+a.Key.String()+" uid-a Removed",
		"5 "+a.Key.String()+" uid-again Created Fresh",
		"6 "+a.Key.String()+" uid-again Event Slow")
	s.wantLines(store.HistoryQuery{Kind: plain}, "2 "+thing("c").Key.String()+" uid-c Created")
	s.wantLines(store.HistoryQuery{Kind: widget + "x"})
}

func historyNarrow(s *suite) {
	a, b := thing("a"), tenant(thing("a"), "other")
	s.create(a)
	s.create(b)
	s.must(note(a, "Slow"))
	s.must(store.Transaction{Raise: []store.Signal{{Object: b.Key, Name: "Poke"}}, Events: note(a, "Fast").Events})
	line := func(rev int, o *resource.Object, what string) string {
		return fmt.Sprintf("%d %s %s %s", rev, o.Key, o.UID, what)
	}
	all := store.HistoryQuery{Kind: plain}
	narrowed := func(edit func(*store.HistoryQuery)) store.HistoryQuery {
		q := all
		edit(&q)
		return q
	}
	times := s.entryTimes(all)
	for _, c := range []struct {
		reason string
		query  store.HistoryQuery
		want   []string
	}{
		{"a namespace", narrowed(func(q *store.HistoryQuery) { q.Namespace = "other" }), []string{line(2, b, "Created"), line(4, b, "Signal Poke")}},
		{"a namespace that nothing is in", narrowed(func(q *store.HistoryQuery) { q.Namespace = "none" }), nil},
		{"a type", narrowed(func(q *store.HistoryQuery) { q.Types = []store.EntryType{store.EntryEvent} }), []string{line(3, a, "Event Slow"), line(4, a, "Event Fast")}},
		{"two types", narrowed(func(q *store.HistoryQuery) { q.Types = []store.EntryType{store.EntrySignal, store.EntryCreated} }), []string{line(1, a, "Created"), line(2, b, "Created"), line(4, b, "Signal Poke")}},
		{"a type that there is none of", narrowed(func(q *store.HistoryQuery) { q.Types = []store.EntryType{store.EntryCommand} }), nil},
		{"a revision", narrowed(func(q *store.HistoryQuery) { q.After = 3; q.Types = []store.EntryType{store.EntryEvent} }), []string{line(4, a, "Event Fast")}},
		{"the last revision", narrowed(func(q *store.HistoryQuery) { q.After = 4 }), nil},
		{"a UID", narrowed(func(q *store.HistoryQuery) { q.UID = b.UID }), []string{line(2, b, "Created"), line(4, b, "Signal Poke")}},
		{"the time of the third entry, of which there may be more than one", narrowed(func(q *store.HistoryQuery) { q.Since = times[2]; q.After = 2 }), s.lines(store.HistoryQuery{Kind: plain, After: 2})},
		{"after the time of the last entry", narrowed(func(q *store.HistoryQuery) { q.Since = times[len(times)-1].Add(1) }), nil},
	} {
		if got := s.lines(c.query); !slices.Equal(got, c.want) {
			s.Errorf("%s: got\n%s\nwant\n%s", c.reason, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

func (s *suite) entryTimes(q store.HistoryQuery) []time.Time {
	s.Helper()
	entries, err := s.s.History(s.ctx, q)
	if err != nil {
		s.Fatal(err)
	}
	var times []time.Time
	for _, e := range entries {
		times = append(times, e.At)
	}
	return times
}

// pages reads a kind's history page by page, and returns the sizes of the pages and all lines.
func (s *suite) pages(q store.HistoryQuery) (sizes []int, lines []string) {
	s.Helper()
	for {
		entries, err := s.s.History(s.ctx, q)
		if err != nil {
			s.Fatal(err)
		}
		if len(entries) == 0 {
			return sizes, lines
		}
		sizes = append(sizes, len(entries))
		for _, e := range entries {
			if e.Revision <= q.After {
				s.Fatalf("an entry of revision %d after %d", e.Revision, q.After)
			}
			lines = append(lines, fmt.Sprintf("%d %s", e.Revision, e.Reason))
		}
		q.After = entries[len(entries)-1].Revision
	}
}

func historyPages(s *suite) {
	o := thing("a")
	s.create(o)
	want := []string{"1 "}
	for i, n := range []int{2, 1, 3, 1, 1} {
		var reasons []string
		for j := range n {
			reasons = append(reasons, fmt.Sprint("Event", j))
			want = append(want, fmt.Sprintf("%d Event%d", i+2, j))
		}
		s.must(note(o, reasons...))
	}
	for limit, sizes := range map[int][]int{1: {1, 2, 1, 3, 1, 1}, 2: {3, 4, 2}, 3: {3, 4, 2}, 4: {4, 4, 1}, 5: {7, 2}, 8: {8, 1}, 9: {9}, 0: {9}} {
		got, lines := s.pages(store.HistoryQuery{Kind: plain, Limit: limit})
		if !slices.Equal(got, sizes) || !slices.Equal(lines, want) {
			s.Errorf("limit %d: pages of %v with %v; want %v with %v", limit, got, lines, sizes, want)
		}
	}
}

func historyWhileCommitting(s *suite) {
	const commits = 60
	o := thing("a")
	s.create(o)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range commits {
			if _, err := s.commit(note(o, fmt.Sprint("A", i), fmt.Sprint("B", i))); err != nil {
				s.Errorf("commit: %v", err)
			}
		}
	}()
	seen, q := 0, store.HistoryQuery{Kind: plain, Types: []store.EntryType{store.EntryEvent}, Limit: 7}
	for last := false; !last; {
		select {
		case <-done:
			last = true
		default:
		}
		for {
			entries, err := s.s.History(s.ctx, q)
			if err != nil {
				s.Fatal(err)
			}
			for i, e := range entries {
				if want := fmt.Sprint(string("AB"[i%2]), seen/2); e.Reason != want {
					s.Fatalf("entry %d is %q, want %q", seen, e.Reason, want)
				}
				seen++
			}
			if len(entries) == 0 {
				break
			}
			q.After = entries[len(entries)-1].Revision
		}
	}
	if seen != 2*commits {
		s.Errorf("read %d entries, want %d", seen, 2*commits)
	}
}

func historyAfterRestart(s *suite) {
	o := thing("a")
	rev := s.create(o)
	s.must(note(o, "Slow", "Fast"))
	s.must(remove(o.Key, rev))
	before := s.lines(store.HistoryQuery{Kind: plain})
	s.reopen()
	s.wantLines(store.HistoryQuery{Kind: plain}, before...)
	if len(before) != 4 {
		s.Errorf("%d entries: %v", len(before), before)
	}
}

func historyNarrowByKey(s *suite) {
	o := thing("a")
	s.create(o)
	for _, reason := range []string{"A", "B", "C"} {
		s.must(note(o, reason))
		s.must(store.Transaction{Raise: []store.Signal{{Object: o.Key, Name: "Poke"}}})
	}
	line := func(rev int, what string) string { return fmt.Sprintf("%d %s uid-a %s", rev, o.Key, what) }
	events := []store.EntryType{store.EntryEvent}
	s.wantLines(store.HistoryQuery{Key: o.Key, Types: events, Limit: 2}, line(4, "Event B"), line(6, "Event C"))
	s.wantLines(store.HistoryQuery{Key: o.Key, Types: events, After: 4}, line(6, "Event C"))
	times := s.entryTimes(store.HistoryQuery{Key: o.Key})
	s.wantLines(store.HistoryQuery{Key: o.Key, Since: times[len(times)-1].Add(1)})
	if n := len(s.lines(store.HistoryQuery{Key: o.Key, Since: times[0]})); n != 7 {
		s.Errorf("%d entries since the first one, want 7", n)
	}
}

func historyOfNothing(s *suite) {
	o := thing("a")
	s.create(o)
	for _, q := range []store.HistoryQuery{{}, {Namespace: "ns"}, {Key: o.Key, Kind: plain}, {Key: o.Key, Namespace: "ns"}} {
		s.invalidQuery(q)
	}
}

func (s *suite) invalidQuery(q store.HistoryQuery) {
	s.Helper()
	if entries, err := s.s.History(s.ctx, q); !errors.Is(err, store.ErrInvalid) {
		s.Errorf("%+v: %d entries, error %v; want ErrInvalid", q, len(entries), err)
	}
}
