package storetest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var atomicScenarios = []scenario{
	{name: "Atomic/OneRevision", reason: "everything in a transaction has one revision, and arrives in one batch", run: oneRevision},
	{name: "Atomic/AllOrNothing", reason: "one unmet expectation, wherever it stands, stops everything", run: allOrNothing},
	{name: "Atomic/Reads", reason: "a read condition is checked and not written", run: readConditions},
	{name: "Atomic/Empty", reason: "a transaction that writes nothing is judged and takes no revision", run: emptyTransaction},
	{name: "Atomic/Fences", reason: "a fence must be the current epoch of its scope", run: fences},
	{name: "Atomic/FailAlone", reason: "concurrent commits succeed or fail each by itself", run: failAlone},
}

func oneRevision(s *suite) {
	a, b := thing("a"), thing("b")
	stream := s.watch(0)
	r := s.must(store.Transaction{
		Writer:   store.Writer{Name: "controller/x", Object: a.Key},
		Cause:    store.Cause{Revision: 0, Text: "because"},
		Objects:  []store.ObjectWrite{{Object: a}, {Object: b}},
		Commands: []store.CommandWrite{{Command: order(a, "x")}},
		Raise:    []store.Signal{{Object: b.Key, Name: "Poke", By: "ada"}},
		Timers:   []store.Timer{{Controller: "c", Object: a.Key, Due: epoch, Code: "Later"}},
	})
	got := s.next(stream)
	if got.Revision != r.Revision || len(got.Objects) != 2 || len(got.Commands) != 1 || len(got.Raised) != 1 || len(got.Timers) != 1 {
		s.Fatalf("batch is %+v", got)
	}
	if got.Writer.Name != "controller/x" || got.Writer.Object != a.Key || got.Cause.Text != "because" || got.At.IsZero() {
		s.Errorf("provenance is %+v %+v at %s", got.Writer, got.Cause, got.At)
	}
	if got.Commands[0].Command.Revision != r.Revision || got.Raised[0].Revision != r.Revision || got.Raised[0].ID != r.Signals[0] {
		s.Errorf("revisions and identities in %+v; receipt %+v", got, r)
	}
	if got.Raised[0].UID != b.UID || got.Timers[0].UID != a.UID {
		s.Errorf("UIDs were not filled in: %+v %+v", got.Raised[0], got.Timers[0])
	}
}

func allOrNothing(s *suite) {
	a, b := thing("a"), thing("b")
	rev := s.create(a)
	good := func() store.Transaction {
		return store.Transaction{
			Objects:  []store.ObjectWrite{{Object: changed(a, `{"n":1}`), Expect: rev}, {Object: b}},
			Commands: []store.CommandWrite{{Command: order(a, "x")}},
			Raise:    []store.Signal{{Object: a.Key, Name: "Poke"}},
			Timers:   []store.Timer{{Controller: "c", Object: a.Key, Due: epoch}},
			Events:   []store.Event{{Object: a.Key, UID: a.UID, Kind: "Normal", Reason: "Tried"}},
		}
	}
	for _, c := range []struct {
		reason string
		spoil  func(*store.Transaction)
		cause  error
	}{
		{"the last object is there already", func(tx *store.Transaction) {
			tx.Objects = append(tx.Objects, store.ObjectWrite{Object: thing("c"), Expect: 9})
		}, store.ErrConflict},
		{"a read is stale", func(tx *store.Transaction) { tx.Reads = []store.Read{{Key: a.Key, Revision: rev + 1}} }, store.ErrConflict},
		{"a signal is gone", func(tx *store.Transaction) { tx.Consume = []store.SignalID{99} }, store.ErrConflict},
		{"a command is stale", func(tx *store.Transaction) { tx.Commands[0].Expect = 1 }, store.ErrConflict},
		{"a fence is stale", func(tx *store.Transaction) {
			tx.Fences = []store.Fence{{Scope: "plane", Epoch: resource.Epoch{Incarnation: 1, Counter: 1}}}
		}, store.ErrFenced},
		{"a signal is for nobody", func(tx *store.Transaction) { tx.Raise[0].Object.Name = "nobody" }, store.ErrConflict},
		{"a timer is for nobody", func(tx *store.Transaction) { tx.Timers[0].Object.Name = "nobody" }, store.ErrConflict},
		{"a command is for nobody", func(tx *store.Transaction) { tx.Commands[0].Command.Object.Name = "nobody" }, store.ErrConflict},
	} {
		tx := good()
		c.spoil(&tx)
		if _, err := s.commit(tx); !errors.Is(err, c.cause) {
			s.Errorf("%s: error %v, want %q", c.reason, err, c.cause)
			continue
		}
		s.refused(tx, c.cause)
	}
	if n := len(s.history(a.Key)); n != 1 {
		s.Errorf("the history has %d entries, want that of the creation only", n)
	}
	if r := s.must(good()); r.Revision != rev+1 {
		s.Errorf("the next commit has revision %d, want %d: refused ones take none", r.Revision, rev+1)
	}
}

func readConditions(s *suite) {
	a, b := thing("a"), thing("b")
	rev := s.create(a)
	read := func(r resource.Revision, absent resource.Revision) store.Transaction {
		return store.Transaction{
			Reads:   []store.Read{{Key: a.Key, Revision: r}, {Key: thing("never").Key, Revision: absent}},
			Objects: []store.ObjectWrite{{Object: b}},
		}
	}
	if e := s.refused(read(rev+1, 0), store.ErrConflict); e.Key != a.Key || e.Expected != rev+1 || e.Actual != rev {
		s.Errorf("conflict %+v", e)
	}
	s.refused(read(rev, 1), store.ErrConflict)
	s.must(read(rev, 0))
	if got := s.read(a.Key).Revision; got != rev {
		s.Errorf("the object that was read moved from %d to %d", rev, got)
	}
}

func emptyTransaction(s *suite) {
	rev := s.create(thing("a"))
	if r := s.must(store.Transaction{}); r.Revision != rev {
		s.Errorf("an empty transaction got revision %d, the last one is %d", r.Revision, rev)
	}
	if r := s.must(store.Transaction{Reads: []store.Read{{Key: thing("a").Key, Revision: rev}}}); r.Revision != rev {
		s.Errorf("a transaction that only reads got revision %d, the last one is %d", r.Revision, rev)
	}
	s.refused(store.Transaction{Reads: []store.Read{{Key: thing("a").Key, Revision: rev + 1}}}, store.ErrConflict)
	if r := s.must(write(thing("b"), 0)); r.Revision != rev+1 {
		s.Errorf("the next commit has revision %d, want %d", r.Revision, rev+1)
	}
}

func fences(s *suite) {
	lease := s.acquire("shard/1", "n1")
	fenced := func(o *resource.Object, e resource.Epoch) store.Transaction {
		tx := write(o, 0)
		tx.Fences = []store.Fence{{Scope: "shard/1", Epoch: e}}
		return tx
	}
	s.must(fenced(thing("a"), lease.Epoch))
	if err := s.s.Release(s.ctx, lease); err != nil {
		s.Fatal(err)
	}
	next := s.acquire("shard/1", "n2")
	s.refused(fenced(thing("b"), lease.Epoch), store.ErrFenced)
	s.must(fenced(thing("b"), next.Epoch))
	higher := next.Epoch
	higher.Counter++
	s.refused(fenced(thing("c"), higher), store.ErrFenced)
	other := write(thing("c"), 0)
	other.Fences = []store.Fence{{Scope: "shard/2", Epoch: next.Epoch}}
	s.refused(other, store.ErrFenced)
}

// failAlone lets many commits meet, half of which cannot succeed.
func failAlone(s *suite) {
	const n = 64
	objects := make([]*resource.Object, n)
	revs := make([]resource.Revision, n)
	for i := range n {
		objects[i] = thing(fmt.Sprint("o", i))
		revs[i] = s.create(objects[i])
	}
	s.register()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		tx := write(changed(objects[i], `{"n":1}`), revs[i])
		switch i % 4 {
		case 1:
			tx.Objects[0].Expect++
		case 3:
			bad := machine(fmt.Sprint("m", i))
			bad.State = "Nowhere"
			tx.Objects = append(tx.Objects, store.ObjectWrite{Object: bad})
		}
		wg.Go(func() { _, errs[i] = s.commit(tx) })
	}
	wg.Wait()
	for i, err := range errs {
		want := []error{nil, store.ErrConflict, nil, store.ErrRule}[i%4]
		if !errors.Is(err, want) {
			s.Errorf("commit %d: %v, want %v", i, err, want)
		}
		moved := s.read(objects[i].Key).Revision != revs[i]
		if moved != (want == nil) {
			s.Errorf("object %d was written: %t", i, moved)
		}
	}
}
