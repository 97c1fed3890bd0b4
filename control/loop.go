package control

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/queue"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var errNoOutcome = errors.New("the controller returned the zero Outcome; return Done, After, Await or Fail")

// loop is a controller at work: its queue, its subscriptions, its workers.
type loop struct {
	*Controller
	engine *Engine
	queue  *queue.Queue[resource.Key]
	subs   *subscriptions
	stuck  stuck
}

func newLoop(e *Engine, c *Controller, random *rand.Rand) *loop {
	return &loop{Controller: c, engine: e, queue: queue.New(queueOptions(c.name, c.base, c.cap, random)), subs: newSubscriptions()}
}

// work takes keys until the queue is closed. A worker whose turn overstayed its deadline was replaced meanwhile, and ends.
func (l *loop) work(ctx context.Context) {
	for {
		item, ok := l.queue.Next(ctx)
		if !ok {
			return
		}
		replaced := l.guard(item.Key)
		l.queue.Done(item.Key, l.turn(ctx, item.Key, nil))
		if replaced() {
			return
		}
	}
}

// guard watches one turn's deadline. The function it returns ends the watch, and reports whether the worker was replaced.
func (l *loop) guard(key resource.Key) (replaced func() bool) {
	watch := time.AfterFunc(l.deadline, func() {
		l.engine.log.Error("a turn does not return: its worker is replaced", "controller", l.name, "object", key.String(), "deadline", l.deadline)
		if l.stuck.enter(key, l.workers) {
			l.engine.spawn(func() { l.work(context.Background()) })
		}
	})
	return func() bool {
		if watch.Stop() {
			return false
		}
		return l.stuck.leave(key)
	}
}

// conflictLimit is how often a turn is run again at once after a conflict, before it has to queue again.
const conflictLimit = 8

// turn runs the controller for one key until its transaction is committed or nothing is to be committed. result, when not nil, is a
// command's result that is committed with what follows from it.
func (l *loop) turn(ctx context.Context, key resource.Key, result *command.Command) queue.Verdict {
	begun := time.Now()
	for range conflictLimit {
		verdict, again := l.once(ctx, key, result, begun)
		if !again {
			return verdict
		}
	}
	return queue.Verdict{End: queue.Failed}
}

// once runs the controller against the view as it is now. again asks for another run on a newer view.
func (l *loop) once(ctx context.Context, key resource.Key, result *command.Command, begun time.Time) (verdict queue.Verdict, again bool) {
	snapshot := l.engine.view.Snapshot()
	defer snapshot.Close()
	stored, ok := snapshot.Get(key)
	if !ok {
		l.subs.set(key, dependencies{}, 0)
		return queue.Verdict{End: queue.Succeeded}, false
	}
	if result != nil && !current(snapshot, result) {
		return queue.Verdict{End: queue.Waiting, Due: begun}, false
	}
	t := newTurn(l.engine, l.Controller, snapshot, stored, result)
	tx, outcome := t.finish(l.reconcile(t))
	if err := l.admit(t, &tx); err != nil {
		tx, outcome = t.finish(Fail(Terminal(err)))
	}
	missed := l.subs.set(key, t.depends, snapshot.Revision()) || l.moved(t)
	if !empty(&tx) {
		if err := l.write(ctx, t, tx); err != nil {
			return l.failed(ctx, key, err)
		}
	}
	l.engine.meter.Turn(l.name, outcome.kind.String(), string(outcome.class), time.Since(begun))
	if missed {
		l.queue.Add(key, queue.Wake{Change: true})
	}
	return l.verdict(t, outcome), false
}

// reconcile runs the author's function; a panic fails this key only.
func (l *loop) reconcile(t *Turn) (o Outcome) {
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
	deleting := t.controller.kind.Lifecycle.Deleting()
	if t.controller.driver && deleting != "" && t.stored.Deleting() && t.stored.State != deleting {
		t.Transition(deleting, "DeletionAsked")
	}
}

// orphaned stages the deletion of an object whose owner is gone, and reports whether it did.
func (t *Turn) orphaned() bool {
	owner, ok := t.stored.Owner()
	if !ok || t.stored.Deleting() || !t.controller.driver {
		return false
	}
	if _, alive := t.snapshot.ByUID(owner.UID); alive {
		return false
	}
	t.next.Deleted, t.next.Generation = t.now, t.next.Generation+1
	return true
}

// admit asks the kind's rules about what the turn made of its object (C7).
func (l *loop) admit(t *Turn, tx *store.Transaction) error {
	for _, w := range tx.Objects {
		if w.Object == t.next {
			return l.kind.Admit(t.stored, t.next)
		}
	}
	return nil
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
func (l *loop) write(ctx context.Context, t *Turn, tx store.Transaction) error {
	receipt, err := l.engine.commit(ctx, tx)
	if err != nil {
		return err
	}
	return l.engine.view.WaitFor(ctx, receipt.Revision)
}

// failed decides what a commit that failed asks for.
func (l *loop) failed(ctx context.Context, key resource.Key, err error) (verdict queue.Verdict, again bool) {
	if errors.Is(err, store.ErrConflict) {
		l.engine.meter.Conflict(l.name)
		return queue.Verdict{End: queue.Failed}, l.engine.catchUp(ctx, err)
	}
	if ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
		l.engine.log.Error("a turn could not be committed", "controller", l.name, "object", key.String(), "error", err)
	}
	return queue.Verdict{End: queue.Failed}, false
}

// verdict tells the queue how the turn ended and when to look again.
func (l *loop) verdict(t *Turn, o Outcome) queue.Verdict {
	v := queue.Verdict{End: queue.Waiting, Due: earliest(t.due(o), t.budgetDue())}
	switch {
	case o.kind == outcomeDone:
		v.End = queue.Succeeded
	case o.kind == outcomeFail && o.class == command.Throttled:
		v.End = queue.Throttled
	case o.kind == outcomeFail && o.class != command.Terminal:
		v.End = queue.Failed
	}
	return v
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
