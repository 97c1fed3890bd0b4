package control

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/queue"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var errNoOutcome = errors.New("the controller returned the zero Outcome; return Done, After, Await or Fail")

// loop is a controller at work: its queue and its workers.
type loop struct {
	*Controller
	engine *Engine
	queue  *queue.Queue[resource.Key]
	crew   *crew
}

func newLoop(e *Engine, c *Controller, random *rand.Rand) *loop {
	return &loop{
		Controller: c, engine: e, crew: newCrew(e, "controller "+c.name, c.workers),
		queue: queue.New(queueOptions(c.name, c.base, c.cap, random)),
	}
}

// work takes keys until the queue is closed.
func (l *loop) work(ctx context.Context) {
	for {
		item, ok := l.queue.Next(ctx)
		if !ok {
			return
		}
		l.queue.Done(item.Key, l.turn(ctx, job{key: item.Key, crew: l.crew}))
		if l.crew.dismissed() {
			return
		}
	}
}

// job is a turn to be run.
type job struct {
	key resource.Key
	// result, when not nil, is a command's result that is committed with what follows from it.
	result *command.Command
	// crew is whose worker runs it: the controller's, or that of the adapter that has the result.
	crew *crew
}

// conflictLimit is how often a turn is run again at once after a conflict, before it has to queue again.
const conflictLimit = 8

// turnPatience is how often a turn is run again while the database answers nobody, before its worker looks at another key: it may be this one's trouble.
const turnPatience = 2

// turn runs the controller for one key until its transaction is committed or nothing is to be committed.
func (l *loop) turn(ctx context.Context, j job) queue.Verdict {
	if !l.begin(j.key) {
		return queue.Verdict{End: queue.Succeeded} // another node's
	}
	defer l.end(j.key)
	begun := time.Now()
	patience := l.engine.patience(0, turnPatience)
	for conflicts := 0; conflicts < conflictLimit; {
		verdict, next := l.once(ctx, j, begun)
		switch {
		case next == anew:
			conflicts++
		case next == over, !patience.wait(ctx, l.engine.stopping):
			return verdict
		}
	}
	return queue.Verdict{End: queue.Failed}
}

// next says how a turn goes on after one run.
type next uint8

const (
	over  next = iota // the verdict holds
	anew              // another run, on a newer view
	later             // another run, when the database may be back
)

// once runs the controller against the view as it is now.
func (l *loop) once(ctx context.Context, j job, begun time.Time) (queue.Verdict, next) {
	if err := l.engine.settle(ctx); err != nil {
		return l.failed(ctx, j.key, 0, err)
	}
	snapshot := l.engine.view.Snapshot()
	defer snapshot.Close()
	stored, ok := snapshot.Get(j.key)
	if !ok {
		l.engine.subs.set(subscriber{l, j.key}, dependencies{}, 0)
		return queue.Verdict{End: queue.Succeeded}, over
	}
	if j.result != nil && !current(snapshot, j.result) {
		return queue.Verdict{End: queue.Waiting, Due: begun}, over
	}
	t := newTurn(l.engine, l.Controller, snapshot, stored, j.result)
	tx, outcome := l.compute(t, j.crew)
	missed := l.engine.subs.set(subscriber{l, j.key}, t.depends, snapshot.Revision()) || l.moved(t)
	err := l.write(ctx, tx)
	if hopeless(err) && t.began {
		tx, outcome = l.barely(t, j.crew)
		err = l.write(ctx, tx)
	}
	if hopeless(err) {
		tx, outcome = t.finish(Fail(Terminal(err)))
		err = l.write(ctx, tx)
	}
	if err != nil {
		return l.failed(ctx, j.key, snapshot.Revision(), err)
	}
	l.engine.meter.Turn(l.name, outcome.kind.String(), string(outcome.class), time.Since(begun))
	if missed || t.again {
		l.queue.Add(j.key, queue.Wake{Change: true})
	}
	return l.verdict(t, outcome), over
}

// compute runs the author's function and makes the transaction of what it staged, unless the rules of the kind forbid it.
func (l *loop) compute(t *Turn, crew *crew) (store.Transaction, Outcome) {
	tx, outcome := t.finish(l.reconcile(t, crew))
	if outcome.kind != outcomeFail {
		if err := l.admitted(t, &tx); err != nil {
			tx, outcome = t.finish(Fail(Terminal(err)))
		}
	}
	if outcome.kind == outcomeFail && t.began && !t.bare {
		return l.barely(t, crew)
	}
	return tx, outcome
}

// barely computes a turn again in which the first steps of an action have failed the turn. The action begins all the same, without them: they fail the next turn, and then the
// action is there to be seen and to be canceled, and what the compare has said is committed.
func (l *loop) barely(t *Turn, crew *crew) (store.Transaction, Outcome) {
	t.forgive()
	t.bare = true
	return l.compute(t, crew)
}

// admitted asks the rules of the kind about what the turn makes of its object.
func (l *loop) admitted(t *Turn, tx *store.Transaction) error {
	for _, w := range tx.Objects {
		if w.Object == t.next {
			return admit(l.kind, t.stored, t.next)
		}
	}
	return nil
}

// hopeless reports whether a commit failed for what is in it, so that repeating it cannot help.
func hopeless(err error) bool {
	return errors.Is(err, store.ErrRule) || errors.Is(err, store.ErrTooLarge) || errors.Is(err, store.ErrInvalid)
}

// reconcile runs the author's function; a panic fails this key only.
func (l *loop) reconcile(t *Turn, crew *crew) (o Outcome) {
	defer crew.watch(l.deadline, "a turn of controller "+l.name, &t.stored.Key)()
	defer func() {
		if p := recover(); p != nil {
			l.engine.log.Error("panic in a controller", "controller", l.name, "object", t.stored.Key.String(), "panic", p, "stack", string(debug.Stack()))
			o = Fail(fmt.Errorf("panic in controller %s: %v", l.name, p))
		}
	}()
	t.enterDeletion()
	if t.orphaned() {
		return Await("OwnerGone", "its owner does not exist any more; it is being deleted")
	}
	return l.run(t)
}

// enterDeletion moves an object whose deletion was asked for into its kind's deleting state, before the author sees it.
func (t *Turn) enterDeletion() {
	table := t.controller.kind.Lifecycle
	deleting := table.Deleting()
	switch {
	case !t.controller.driver || deleting == "" || !t.stored.Deleting() || t.stored.State == deleting:
	case !table.Allows(t.stored.State, deleting):
		t.fail("deletion: the lifecycle of %s does not lead from %s to %s", t.stored.Kind, t.stored.State, deleting)
	default:
		t.next.State, t.next.StateSince, t.transition = deleting, t.now, "DeletionAsked"
	}
}

// orphaned stages the deletion of an object whose owners are all gone, and reports whether it did.
func (t *Turn) orphaned() bool {
	if len(t.stored.Owners) == 0 || t.stored.Deleting() || !t.controller.driver {
		return false
	}
	if slices.ContainsFunc(t.stored.Owners, t.alive) {
		return false
	}
	t.next.Deleted, t.next.Generation = t.now, t.next.Generation+1
	return true
}

// alive reports whether an owner exists.
func (t *Turn) alive(o resource.Owner) bool {
	_, ok := t.snapshot.ByUID(o.UID)
	return ok
}

// admit asks the rules of a kind, whose functions are the author's: a panic there is a refusal.
func admit(def *resource.Definition, old, next *resource.Object) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: panic in the rules of %s: %v", next.Key, def.ID(), p)
		}
	}()
	return def.Admit(old, next)
}

// moved reports whether something the turn depends on has changed since it was read, before it was subscribed to.
func (l *loop) moved(t *Turn) bool {
	for key := range t.depends.keys {
		then, had := t.snapshot.Get(key)
		now, has := l.engine.view.Get(key)
		if had != has || had && then.Revision != now.Revision {
			return true
		}
	}
	return false
}

// write commits, and waits until the view has applied it, so that the next turn of this key sees what this one did.
func (l *loop) write(ctx context.Context, tx store.Transaction) error {
	if empty(&tx) {
		return nil
	}
	about := []resource.Key{tx.Writer.Object}
	if l.everywhere {
		about = nil
	}
	receipt, err := l.engine.commit(ctx, tx, about...)
	if err != nil {
		return err
	}
	return l.engine.view.WaitFor(ctx, receipt.Revision)
}

// failed decides what a commit that failed asks for. read is the revision of the view that the turn has seen, 0 when it has not begun.
func (l *loop) failed(ctx context.Context, key resource.Key, read resource.Revision, err error) (verdict queue.Verdict, _ next) {
	verdict.End = queue.Failed
	switch {
	case errors.Is(err, store.ErrConflict):
		l.engine.meter.Conflict(l.name)
		if l.engine.catchUp(ctx, err, read) {
			return verdict, anew
		}
	case away(err):
		return verdict, later
	case ctx.Err() == nil && !told(err):
		l.engine.log.Error("a turn could not be committed", "controller", l.name, "object", key.String(), "revision", uint64(read), "error", err)
	}
	return verdict, over
}

// soonest is the least time before a turn that nothing but a timer asks for, whatever moment the author named: a turn that says "look again, a
// minute ago" must not spin.
const soonest = 100 * time.Millisecond

// verdict tells the queue how the turn ended and when to look again.
func (l *loop) verdict(t *Turn, o Outcome) queue.Verdict {
	due := t.due(o)
	if least := t.now.Add(soonest); !due.IsZero() && due.Before(least) {
		due = least
	}
	v := queue.Verdict{End: queue.Waiting, Due: l.engine.here(earliest(earliest(due, t.budgetDue()), t.wake))}
	switch {
	case o.kind == outcomeDone:
		v.End = queue.Succeeded
	case o.kind == outcomeFail && o.class == command.Throttled && o.until.After(t.now):
		v.End = queue.Throttled
	case o.kind == outcomeFail && o.class != command.Terminal:
		v.End = queue.Failed // a throttle without an end that lies ahead is repeated with backoff
	}
	return v
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
