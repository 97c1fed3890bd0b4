package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Open makes a new, empty store for one test, which it arranges to be closed at the test's end.
type Open func(t *testing.T) store.Store

// Capability tells what an engine can do besides.
type Capability func(*abilities)

type abilities struct {
	reopen func(t *testing.T, s store.Store) store.Store
	other  func(t *testing.T, s store.Store) store.Store
}

// Reopening is the capability of closing a store and opening its database again.
func Reopening(reopen func(t *testing.T, s store.Store) store.Store) Capability {
	return func(a *abilities) { a.reopen = reopen }
}

// Sharding is the capability of dividing the work among nodes: the stores are [store.Sharded]. The function opens another handle on a store's database, as another process
// has one; an engine that has only one handle returns the store itself.
func Sharding(other func(t *testing.T, s store.Store) store.Store) Capability {
	return func(a *abilities) { a.other = other }
}

// scenario is one promise of the contract.
type scenario struct {
	name   string
	reason string
	run    func(*suite)
	// reopens says that the scenario needs [Reopening].
	reopens bool
	// divides says that the scenario needs [Sharding].
	divides bool
}

// within says whether an engine can do what the scenario needs.
func (sc scenario) within(a abilities) bool {
	return (a.reopen != nil || !sc.reopens) && (a.other != nil || !sc.divides)
}

// suite is one scenario under way.
type suite struct {
	*testing.T
	s         store.Store
	ctx       context.Context
	abilities abilities
}

// patience is how long a scenario may take before it is held to be stuck.
const patience = 2 * time.Minute

// Run runs every scenario that the engine is able to.
func Run(t *testing.T, open Open, capabilities ...Capability) {
	var able abilities
	for _, c := range capabilities {
		c(&able)
	}
	groups := [][]scenario{objectScenarios, removalScenarios, atomicScenarios, concurrentScenarios, commandScenarios, signalScenarios, seenScenarios,
		timerScenarios, historyScenarios, kindHistoryScenarios, feedScenarios, leaseScenarios, nodeScenarios, shardScenarios, pauseScenarios, ruleScenarios, lifeScenarios, modelScenarios}
	for _, group := range groups {
		for _, sc := range group {
			if !sc.within(able) {
				continue
			}
			t.Run(sc.name, func(t *testing.T) {
				t.Log(sc.reason)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				sc.run(&suite{T: t, s: open(t), ctx: ctx, abilities: able})
			})
		}
	}
}

// Kinds of the scenarios. Widgets have a lifecycle, plain things have none.
const (
	widget resource.KindID = "Widget.storetest.example"
	plain  resource.KindID = "Plain.storetest.example"
)

// States of a widget.
const (
	fresh    lifecycle.State = "Fresh"
	working  lifecycle.State = "Working"
	broken   lifecycle.State = "Broken"
	deleting lifecycle.State = "Deleting"
	gone     lifecycle.State = "Gone"
)

var widgetTable = lifecycle.Table{
	{State: fresh, To: lifecycle.To(working, deleting)},
	{State: working, Healthy: true, Stable: true, To: lifecycle.To(broken, deleting)},
	{State: broken, To: lifecycle.To(working, deleting)},
	{State: deleting, Deleting: true, To: lifecycle.To(gone)},
	{State: gone, Final: true},
}

// register declares the kinds of the scenarios.
func (s *suite) register() {
	s.Helper()
	if err := s.s.Register(s.ctx, []store.Rules{{Kind: widget, Lifecycle: widgetTable}, {Kind: plain}}); err != nil {
		s.Fatal(err)
	}
}

// epoch is the moment at which the scenarios' objects were made.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// thing is a new plain object.
func thing(name string) *resource.Object {
	return &resource.Object{
		Meta: resource.Meta{
			Key: resource.Key{Kind: plain, Namespace: "ns", Name: resource.Name(name)}, UID: resource.UID("uid-" + name), Generation: 1, Created: epoch,
			Attributes: resource.Attributes{
				Labels:     map[string]string{"app": name},
				Conditions: []resource.Condition{{Type: resource.Ready, Status: resource.True, Reason: "Made", Since: epoch}},
			},
		},
		Spec:   []byte(fmt.Sprintf(`{"name":%q,"n":0}`, name)),
		Status: []byte(`{"seen":[1,2,3]}`),
	}
}

// machine is a new widget.
func machine(name string) *resource.Object {
	o := thing(name)
	o.Kind, o.State, o.StateSince = widget, fresh, epoch
	return o
}

// changed is a copy with another spec.
func changed(o *resource.Object, spec string) *resource.Object {
	c := o.Clone()
	c.Spec = []byte(spec)
	c.Generation++
	return c
}

func (s *suite) commit(tx store.Transaction) (store.Receipt, error) {
	if tx.Writer.Name == "" {
		tx.Writer.Name = "controller/test"
	}
	return s.s.Commit(s.ctx, tx)
}

// must commits, or ends the scenario.
func (s *suite) must(tx store.Transaction) store.Receipt {
	s.Helper()
	r, err := s.commit(tx)
	if err != nil {
		s.Fatalf("commit: %v", err)
	}
	return r
}

// write is a transaction of one object; expect 0 creates.
func write(o *resource.Object, expect resource.Revision) store.Transaction {
	return store.Transaction{Objects: []store.ObjectWrite{{Object: o, Expect: expect}}}
}

// remove is a transaction that removes one object.
func remove(key resource.Key, expect resource.Revision) store.Transaction {
	return store.Transaction{Objects: []store.ObjectWrite{{Key: key, Expect: expect}}}
}

// create stores a new object and returns its revision.
func (s *suite) create(o *resource.Object) resource.Revision {
	s.Helper()
	return s.must(write(o, 0)).Revision
}

// read reads one object, or ends the scenario.
func (s *suite) read(key resource.Key) *resource.Object {
	s.Helper()
	o, err := s.s.Object(s.ctx, key)
	if err != nil {
		s.Fatalf("read %s: %v", key, err)
	}
	return o
}

// absent checks that there is no such object.
func (s *suite) absent(key resource.Key) {
	s.Helper()
	if o, err := s.s.Object(s.ctx, key); !errors.Is(err, store.ErrNotFound) {
		s.Fatalf("read %s: got %v, error %v; want ErrNotFound", key, o, err)
	}
}

// refused checks that a commit fails for a cause, and changes nothing.
func (s *suite) refused(tx store.Transaction, cause error) *store.CommitError {
	s.Helper()
	before := s.state()
	r, err := s.commit(tx)
	if !errors.Is(err, cause) {
		s.Fatalf("commit: receipt %v, error %v; want %q", r, err, cause)
	}
	e := commitError(s.T, err)
	if after := s.state(); after.String() != before.String() || after.Revision != before.Revision {
		s.Fatalf("a refused commit changed something.\nbefore (%d):\n%s\nafter (%d):\n%s", before.Revision, before, after.Revision, after)
	}
	return e
}

func commitError(t *testing.T, err error) *store.CommitError {
	t.Helper()
	e, ok := err.(*store.CommitError)
	if !ok {
		t.Fatalf("error %v is a %T; Commit returns *store.CommitError", err, err)
	}
	return e
}

// state reads everything there is.
func (s *suite) state() *State {
	s.Helper()
	state, err := ScanState(s.ctx, s.s)
	if err != nil {
		s.Fatal(err)
	}
	return state
}

// watch opens a stream, which is closed at the scenario's end.
func (s *suite) watch(from resource.Revision) store.Stream {
	s.Helper()
	stream, err := s.s.Watch(s.ctx, from)
	if err != nil {
		s.Fatalf("watch from %d: %v", from, err)
	}
	s.Cleanup(func() {
		if err := stream.Close(); err != nil {
			s.Errorf("close a stream: %v", err)
		}
	})
	return stream
}

// next reads a commit, or ends the scenario.
func (s *suite) next(stream store.Stream) store.Batch {
	s.Helper()
	b, err := stream.Next(s.ctx)
	if err != nil {
		s.Fatalf("next: %v", err)
	}
	return b
}

// reopen closes the store and opens its database again.
func (s *suite) reopen() {
	s.Helper()
	s.s = s.abilities.reopen(s.T, s.s)
}
