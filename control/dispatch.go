package control

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/queue"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// dispatcher delivers the commands of one adapter: one at a time per unit of order, at most policy.Concurrency at once.
type dispatcher struct {
	engine  *Engine
	name    command.AdapterName
	adapter command.Adapter
	policy  command.Policy
	queue   *queue.Queue[string]

	crew *crew

	overlaps overlaps

	mu     sync.Mutex
	random *rand.Rand
	units  map[string]map[command.Slot]struct{} // the open commands of each unit
	unitOf map[command.Slot]string
	early  map[command.Slot]command.Loss // losses reported before the acknowledgement was committed
	// begun is the revision of each open command from which an attempt has begun whose end is not recorded, by this process or, of what was
	// there before it, perhaps by another.
	begun map[command.Slot]resource.Revision
}

func newDispatcher(e *Engine, a AdapterConfig, random *rand.Rand) *dispatcher {
	p := a.Policy.WithDefaults()
	return &dispatcher{
		engine: e, name: a.Name, adapter: a.Adapter, policy: p, random: random,
		crew: newCrew(e, "adapter "+string(a.Name), p.Concurrency), overlaps: overlaps{borne: bears(a.Adapter)},
		queue: queue.New(queue.Options[string]{
			Name: string(a.Name), Base: p.Base, Cap: p.Cap, Random: rand.New(rand.NewPCG(random.Uint64(), random.Uint64())),
		}),
		units: map[string]map[command.Slot]struct{}{}, unitOf: map[command.Slot]string{}, early: map[command.Slot]command.Loss{}, begun: map[command.Slot]resource.Revision{},
	}
}

// follow keeps the index of open commands in step with the feed, and wakes the unit of one that has to be sent from here.
func (d *dispatcher) follow(c *command.Command, removed bool) {
	slot, open := c.Slot, !removed && c.Phase.Open()
	d.mu.Lock()
	if !open {
		delete(d.begun, slot)
	}
	if unit, ok := d.unitOf[slot]; ok && (!open || unit != c.Unit) {
		drop(d.units, unit, slot)
		delete(d.unitOf, slot)
	}
	if open {
		add(d.units, c.Unit, slot)
		d.unitOf[slot] = c.Unit
	}
	early, lost := d.early[slot]
	if lost && (removed || early.Token != c.Token || !open && c.Phase != command.Done || c.Request == nil) {
		delete(d.early, slot)
		lost = false
	}
	d.mu.Unlock()
	if (open || lost) && d.mine(c) {
		d.queue.Add(c.Unit, queue.Wake{Due: d.engine.here(c.NotBefore), Change: true})
	}
}

// work takes units until the queue is closed.
func (d *dispatcher) work(ctx context.Context) {
	for {
		item, ok := d.queue.Next(ctx)
		if !ok {
			return
		}
		d.queue.Done(item.Key, d.deliver(ctx, item.Key))
		if d.crew.dismissed() {
			return
		}
	}
}

// deliver makes one attempt of the oldest command of a unit that is due, and says when the unit is due again.
func (d *dispatcher) deliver(ctx context.Context, unit string) queue.Verdict {
	if err := d.recordEarly(ctx, unit); err != nil {
		return queue.Verdict{End: queue.Failed}
	}
	c, fence, verdict := d.take(ctx, unit)
	if c == nil {
		return verdict
	}
	if !d.everywhere(c) {
		defer d.engine.shards.end(c.Object)
	}
	mine := *c
	mine.Unknown = d.begin(c) || d.everywhere(c) // of which another node may have begun an attempt
	result, sent := d.attempt(ctx, mine, fence)
	if !sent {
		return queue.Verdict{End: queue.Waiting, Due: time.Now()}
	}
	if ctx.Err() != nil && result.Outcome == command.OutcomeUnknown {
		return queue.Verdict{End: queue.Waiting} // cut off by a stop; the row is as it was, and is sent again with its token
	}
	if err := d.settle(ctx, mine, result); err != nil {
		if !told(err) && ctx.Err() == nil {
			d.engine.log.Error("a command's result could not be committed; it is sent again with the same token",
				"adapter", d.name, "key", c.Key, "token", c.Token, "error", err)
		}
		return queue.Verdict{End: queue.Failed}
	}
	_, next := d.pick(unit)
	return queue.Verdict{End: queue.Succeeded, Due: d.engine.here(next)}
}

// take picks a command of a unit, and counts it as under way. While its shard cannot be trusted to be this process's it waits, and picks again afterwards. The verdict is for when there
// is none.
func (d *dispatcher) take(ctx context.Context, unit string) (*command.Command, store.Fence, queue.Verdict) {
	for {
		c, next := d.pick(unit)
		if c == nil {
			return nil, store.Fence{}, queue.Verdict{End: queue.Succeeded, Due: d.engine.here(next)}
		}
		if d.everywhere(c) {
			return d.takeOutside(ctx, c)
		}
		trusted, changed := d.engine.owner.Trusted(shardOf(c.Object))
		if trusted && d.engine.shards.begin(c.Object) {
			// In this order: that the row is as it was is asked after the epoch is known, so that no old wish goes out under a new epoch.
			if fence, mine := d.engine.owner.Fence(shardOf(c.Object)); mine && d.unchanged(c) {
				return c, fence, queue.Verdict{}
			}
			d.engine.shards.end(c.Object)
			return nil, store.Fence{}, queue.Verdict{End: queue.Waiting, Due: time.Now()}
		}
		if trusted {
			return nil, store.Fence{}, queue.Verdict{End: queue.Waiting} // it has just been given up
		}
		select {
		case <-changed:
		case <-d.engine.stopping:
			return nil, store.Fence{}, queue.Verdict{End: queue.Waiting}
		case <-ctx.Done():
			return nil, store.Fence{}, queue.Verdict{End: queue.Waiting}
		}
	}
}

// takeOutside takes a command that no shard stands for: nobody has the object, and nothing but what the view shows says that the command is wanted still. So that has to be recent. A process that
// is cut off from the store would otherwise go on with what others have withdrawn long since, and a subsystem that has lost its memory could not refuse it.
func (d *dispatcher) takeOutside(ctx context.Context, c *command.Command) (*command.Command, store.Fence, queue.Verdict) {
	limited, cancel := context.WithTimeout(ctx, d.policy.Timeout)
	defer cancel()
	if err := d.engine.recent(limited); err != nil {
		d.engine.log.Debug("a command that runs everywhere waits until it is known to be wanted still", "command", c.Slot.String(), "error", err)
		return nil, store.Fence{}, queue.Verdict{End: queue.Failed}
	}
	if !d.unchanged(c) {
		return nil, store.Fence{}, queue.Verdict{End: queue.Waiting, Due: time.Now()}
	}
	return c, store.Fence{Scope: everywhereScope, Epoch: resource.Epoch{Incarnation: d.engine.store.Info().Incarnation}}, queue.Verdict{}
}

// pick returns the oldest open command of a unit that is due, and otherwise when the first will be.
func (d *dispatcher) pick(unit string) (due *command.Command, next time.Time) {
	d.mu.Lock()
	slots := make([]command.Slot, 0, len(d.units[unit]))
	for s := range d.units[unit] {
		slots = append(slots, s)
	}
	d.mu.Unlock()
	snapshot := d.engine.view.Snapshot()
	defer snapshot.Close()
	now := d.engine.now()
	var elsewhere *command.Command
	for _, s := range slots {
		c, ok := snapshot.Command(s)
		if !ok || !c.Phase.Open() || c.Unit != unit {
			continue
		}
		if !d.mine(c) {
			elsewhere = c
			continue
		}
		if c.NotBefore.After(now) {
			next = earliest(next, c.NotBefore)
			continue
		}
		if due == nil || c.Created.Before(due.Created) || c.Created.Equal(due.Created) && c.Key < due.Key {
			due = c
		}
	}
	if due != nil {
		next = now
	}
	if due != nil && elsewhere != nil {
		d.overlapped(due, elsewhere)
	}
	return due, next
}

// unchanged reports whether a command is, in the view, as it was picked.
func (d *dispatcher) unchanged(c *command.Command) bool {
	snapshot := d.engine.view.Snapshot()
	defer snapshot.Close()
	now, ok := snapshot.Command(c.Slot)
	return ok && now.Revision == c.Revision
}

// overtime is how long an adapter may take to notice that its call's deadline has passed, before it is reported as stuck.
const overtime = 5 * time.Second

// attempt asks the subsystem once: what became of the token, when an earlier attempt may have reached it and it can be asked, and then to do it. It
// reports whether there was an attempt: none is begun without trust in the lease.
func (d *dispatcher) attempt(ctx context.Context, c command.Command, fence store.Fence) (r command.Result, sent bool) {
	call := command.Call{
		Token: c.Token, Scope: callScope(fence.Scope), Epoch: fence.Epoch, Intent: c.Intent, Key: c.Key, Destination: c.Destination,
		Request: c.Request, Previous: c.Result, Handle: c.Handle, Attempt: c.Attempt + 1, Object: c.Object,
	}
	limited, cancel := context.WithTimeout(ctx, d.policy.Timeout)
	defer cancel()
	defer d.crew.watch(d.policy.Timeout+overtime, "a call with key "+c.Key, &c.Object)()
	expired := !c.Deadline.IsZero() && !d.engine.now().Before(c.Deadline) && !d.engine.paused(c.Object)
	begun := time.Now()
	if r, sent = d.ask(limited, call, fence, c.Unknown, expired); sent {
		d.engine.meter.Call(string(d.name), string(r.Outcome), time.Since(begun))
	}
	return r, sent
}

// may reports whether a call may be begun: whether a shard is still this process's for sure, and under the epoch of a fence, or, outside of shards, whether what the view shows is recent still.
func (e *Engine) may(ctx context.Context, fence store.Fence, shard int) bool {
	if fence.Scope == everywhereScope {
		return e.recent(ctx) == nil
	}
	trusted, _ := e.owner.Trusted(shard)
	now, mine := e.owner.Fence(shard)
	return trusted && mine && now == fence
}

// paused reports whether an action of an object is paused: its limits wait.
func (e *Engine) paused(key resource.Key) bool {
	o, ok := e.view.Get(key)
	return ok && o.Action != nil && o.Action.Halt == resource.HaltPaused
}

// callScope names a scope to a subsystem: "" when there is one for everything.
func callScope(s store.Scope) string {
	if s == cluster.SoloScope {
		return ""
	}
	return string(s)
}

// begin notes that an attempt of a command begins, and reports whether an earlier one may have reached the subsystem without its end being
// known: it ended as unknown, its result could not be committed, or the process died of it.
func (d *dispatcher) begin(c *command.Command) (doubtful bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	doubtful = c.Unknown || d.begun[c.Slot] == c.Revision
	d.begun[c.Slot] = c.Revision
	return doubtful
}

// ask makes the calls of an attempt. A look-up may take long: whether the lease can still be trusted is asked again after it.
func (d *dispatcher) ask(ctx context.Context, call command.Call, fence store.Fence, doubtful, expired bool) (r command.Result, sent bool) {
	defer func() {
		if p := recover(); p != nil {
			d.engine.log.Error("panic in an adapter", "adapter", d.name, "key", call.Key, "panic", p, "stack", string(debug.Stack()))
			r, sent = command.Result{Outcome: command.OutcomeUnknown, Class: command.Ambiguous, Message: fmt.Sprintf("panic in adapter %s: %v", d.name, p)}, true
		}
	}()
	if l, ok := d.adapter.(command.LookUp); ok && doubtful {
		r, known, err := l.LookUp(ctx, call)
		if err != nil {
			return command.Result{Outcome: command.OutcomeUnknown, Class: command.Ambiguous, Message: "look-up: " + err.Error()}, true
		}
		if known {
			return r, true
		}
	}
	if expired {
		return command.Result{Outcome: command.OutcomeRefused, Class: command.Terminal, Message: "its deadline passed before it was done"}, true
	}
	if !d.engine.may(ctx, fence, shardOf(call.Object)) {
		return command.Result{}, false
	}
	return d.adapter.Do(ctx, call), true
}
