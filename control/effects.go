package control

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// effects is what a turn has said about the outside.
type effects struct {
	writes   []store.CommandWrite
	declared []command.Slot
}

// Endpoint is a typed handle on an adapter: Q is what is asked for, R is what is answered, both as JSON objects.
// The zero Unit orders the commands of each natural key by themselves.
type Endpoint[Q, R any] struct {
	Adapter command.AdapterName
	// Unit, when set, returns the unit of order for a natural key: at most one command of a unit is under way, among the objects of one shard (a family of names is in one). Where several nodes divide
	// the work, commands of one unit that belong to objects of different shards may be under way at a time; the log and setpoint doctor say so when it happens, unless the adapter bears it ([command.Overlapping]).
	Unit func(key string) string
}

// Effect is where an effect stands.
type Effect[R any] struct {
	// Result is the last acknowledged answer. It is of the current wish when Done, and of an earlier one, or zero, otherwise.
	Result  R
	outcome Outcome
}

// Done reports whether the effect is as wanted.
func (e Effect[R]) Done() bool { return e.outcome.AtRest() }

// Outcome is Done, or the wait for the command's result.
func (e Effect[R]) Outcome() Outcome { return e.outcome }

// EffectOption refines an effect.
type EffectOption func(*effectOptions)

type effectOptions struct {
	destination   string
	deadline      time.Time
	whileDeleting bool
}

// At names the destination behind the adapter: an address, a host. An effect is at one destination at a time. When the destination changes the effect is
// made at the new one, and nothing is removed at the old one, which may have ceased to exist; put the destination into the
// natural key where the old effect has to go.
func At(destination string) EffectOption {
	return func(o *effectOptions) { o.destination = destination }
}

// Until sets the moment after which no further attempt is made to bring an effect about. Its removal has no deadline.
func Until(deadline time.Time) EffectOption {
	return func(o *effectOptions) { o.deadline = deadline }
}

// WhileDeleting keeps an effect that is wanted even while its owner is being deleted. Without it, Ensure on an owner that
// is being deleted asks for absence.
func WhileDeleting() EffectOption { return func(o *effectOptions) { o.whileDeleting = true } }

// Ensure asks for an effect by its natural key: want is how it should be, nil that it should not be. It stages a command when
// the wish is new, when it has changed, or when what was acknowledged has been observed gone, and reports where the effect stands.
func (e Endpoint[Q, R]) Ensure(t *Turn, key string, want *Q, opts ...EffectOption) Effect[R] {
	var o effectOptions
	for _, opt := range opts {
		opt(&o)
	}
	var request []byte
	if want != nil && (!t.stored.Deleting() || o.whileDeleting) {
		encoded, err := json.Marshal(want)
		if err != nil {
			t.fail("effect %s/%s: the request cannot be encoded: %w", e.Adapter, key, err)
			return Effect[R]{outcome: Fail(t.problem)}
		}
		request = encoded
	}
	unit := key
	if e.Unit != nil {
		unit = e.Unit(key)
	}
	cmd, outcome := t.ensure(command.Slot{Owner: t.stored.UID, Adapter: e.Adapter, Key: key}, unit, request, o)
	effect := Effect[R]{outcome: outcome}
	if len(cmd.Result) > 0 {
		if err := json.Unmarshal(cmd.Result, &effect.Result); err != nil {
			t.fail("effect %s/%s: the answer does not fit %T: %w", e.Adapter, key, effect.Result, err)
		}
	}
	return effect
}

func (t *Turn) ensure(slot command.Slot, unit string, request []byte, o effectOptions) (command.Command, Outcome) {
	cmd, exists := t.command(slot)
	if t.misplaced(slot, cmd, exists, request) {
		return cmd, Fail(t.problem)
	}
	t.effects.declared = append(t.effects.declared, slot)
	switch {
	case !exists && request == nil:
		return cmd, Done()
	case !exists:
		return t.wish(command.Command{Slot: slot}, unit, request, o)
	case !bytes.Equal(cmd.Request, request) || (cmd.Request == nil) != (request == nil) || cmd.Destination != o.destination && request != nil:
		cmd.Losses = 0
		return t.wish(cmd, unit, request, o)
	case cmd.Phase == command.Lost, t.retried(&cmd):
		return t.wish(cmd, unit, request, o)
	case cmd.Controller != t.controller.name:
		cmd.Controller = t.controller.name // of a controller that is no more
		t.stageCommand(cmd)
	}
	return cmd, standing(&cmd)
}

// misplaced refuses an effect that nobody could deliver or remove, or that two would fight over, and reports whether it did.
func (t *Turn) misplaced(slot command.Slot, cmd command.Command, exists bool, request []byte) bool {
	mine := t.controller.name
	switch {
	case slices.Contains(t.effects.declared, slot):
		t.fail("effect %s is ensured twice in one turn", slot)
	case t.engine.dispatchers[slot.Adapter] == nil && (exists || request != nil):
		t.fail("effect %s: there is no adapter %q; give it to the plane", slot, slot.Adapter)
	case exists && cmd.Controller != mine && t.engine.loops[cmd.Controller] != nil:
		t.fail("effect %s is ensured by controller %s; one controller alone may answer for an effect", slot, cmd.Controller)
	case request != nil && t.stored.Deleting() && !t.stored.Holds(resource.Finalizer(mine)):
		t.fail("effect %s: %s is being deleted and controller %s does not hold it, so that nobody would remove the effect again", slot, t.stored.Key, mine)
	default:
		return false
	}
	return true
}

// standing says how far an unchanged wish has come.
func standing(c *command.Command) Outcome {
	ref := resource.Ref{Command: c.Slot.String()}
	switch c.Phase {
	case command.Done:
		return Done()
	case command.Refused:
		o := Await("Refused", c.Slot.String()+" refused: "+c.Message, ref)
		o.class = command.Terminal
		return o
	case command.Exhausted:
		o := Await("Exhausted", c.Slot.String()+" was tried for as long as its policy allows: "+c.Message, ref)
		o.class = command.Ambiguous
		return o
	}
	if c.Message != "" {
		o := Await("CommandRetrying", c.Slot.String()+": "+c.Message, ref)
		o.class = c.Class
		return o
	}
	return Await("CommandPending", "waiting for "+c.Slot.String(), ref)
}

// repairPause is how long an effect must have held for its next loss to be repaired at once.
const repairPause = 5 * time.Minute

// wish stages a new intent for a slot. The destination of an effect that is withdrawn stays the one it was made at.
func (t *Turn) wish(c command.Command, unit string, request []byte, o effectOptions) (command.Command, Outcome) {
	if c.Phase == command.Lost && c.Losses > 1 {
		policy := t.engine.policy(c.Adapter)
		c.NotBefore = stored(t.now.Add(pause(policy.Base, policy.Cap, c.Losses-1)))
	} else {
		c.NotBefore = time.Time{}
	}
	if request != nil {
		c.Destination = o.destination
	}
	c.Object, c.Controller = t.stored.Key, t.controller.name
	c.Intent = max(uint64(t.snapshot.Revision()), c.Intent+1)
	c.Token = command.TokenOf(t.engine.store.Info().Incarnation, c.Slot, c.Intent)
	c.Unit, c.Request, c.Deadline = unit, request, o.deadline
	if request == nil {
		c.Deadline = time.Time{} // a deadline is for making something; what is not wanted has to go, however late
	}
	c.Phase, c.Handle, c.Class, c.Message, c.Unknown = command.Pending, "", "", "", false
	c.Attempt = 0
	c.Created, c.Changed = t.now, t.now
	t.stageCommand(c)
	return c, standing(&c)
}

// redirect sends a staged wish for absence to where its effect was made, by a deadline.
func (t *Turn) redirect(slot command.Slot, destination string, deadline time.Time) {
	for i := range t.effects.writes {
		if c := &t.effects.writes[i].Command; c.Slot == slot {
			c.Destination, c.Deadline = destination, deadline
		}
	}
}

// pause is the exponential wait before the n'th repair in quick succession (from 1). It has no jitter: turns are pure.
func pause(base, limit time.Duration, n int) time.Duration {
	d := base
	for i := 1; i < n && d < limit; i++ {
		d *= 2
	}
	return min(d, limit)
}

// command returns a slot's command as this turn sees it: staged, then the result at hand, then the view's.
func (t *Turn) command(slot command.Slot) (command.Command, bool) {
	for i := len(t.effects.writes) - 1; i >= 0; i-- {
		if t.effects.writes[i].Command.Slot == slot {
			return t.effects.writes[i].Command, true
		}
	}
	if t.result != nil && t.result.Slot == slot {
		return *t.result, true
	}
	if c, ok := t.snapshot.Command(slot); ok {
		return *c, true
	}
	return command.Command{}, false
}

// RetrySignal asks for another attempt of everything that was refused or given up on an object, also while it is being deleted. It is consumed
// by the turn that acts on it, and by the driver when there is nothing to retry.
const RetrySignal lifecycle.SignalName = "Retry"

// retried reports whether a command was given up and another attempt has been asked for.
func (t *Turn) retried(c *command.Command) bool { return givenUp(c) && t.retry() }

func givenUp(c *command.Command) bool {
	return c.Phase == command.Refused || c.Phase == command.Exhausted
}

// retry consumes the retry signals of the object, and reports whether there were any, however often it is asked.
func (t *Turn) retry() bool {
	for _, s := range t.Signals() {
		if s.Name == RetrySignal {
			t.Consume(s)
			t.retrying = true
		}
	}
	return t.retrying
}

// dropRetry consumes retry signals when nothing is given up: left lying about, they would hide the next refusal.
func (t *Turn) dropRetry() {
	if !t.controller.driver {
		return
	}
	for _, c := range t.snapshot.Commands(t.stored.UID) {
		if now, _ := t.command(c.Slot); givenUp(&now) && !t.removes(c.Slot) {
			return
		}
	}
	t.retry()
}

// stageCommand stages the row of a command, over what was staged for its slot before.
func (t *Turn) stageCommand(c command.Command) {
	t.effects.writes = slices.DeleteFunc(t.effects.writes, func(w store.CommandWrite) bool { return w.Command.Slot == c.Slot })
	t.effects.writes = append(t.effects.writes, store.CommandWrite{Expect: c.Revision, Command: c})
}

// removes reports whether the turn removes the row of a command.
func (t *Turn) removes(slot command.Slot) bool {
	return slices.ContainsFunc(t.effects.writes, func(w store.CommandWrite) bool { return w.Delete && w.Command.Slot == slot })
}

// remove removes the row of a command, or takes back the staging of one that was never stored.
func (t *Turn) remove(c command.Command) {
	t.stageCommand(c)
	last := len(t.effects.writes) - 1
	if c.Revision == 0 {
		t.effects.writes = t.effects.writes[:last]
		return
	}
	t.effects.writes[last].Delete = true
}

// withdraw asks for the absence of effects that this controller ensured before and did not mention in a complete turn. The rows of those
// that are gone are removed, so that an object whose natural keys change does not collect them for ever; the intents of a later
// effect with the same key are higher all the same, since they are revisions.
func (t *Turn) withdraw() {
	for _, c := range t.snapshot.Commands(t.stored.UID) {
		if c.Controller != t.controller.name || slices.Contains(t.effects.declared, c.Slot) {
			continue
		}
		switch now, _ := t.command(c.Slot); {
		case now.Request != nil, now.Phase == command.Lost, t.retried(&now):
			t.wish(now, now.Unit, nil, effectOptions{})
		case now.Phase == command.Done && !t.stored.Deleting():
			t.remove(now)
		}
	}
}

// outstanding returns the commands of this controller that may still have an effect, as they will be after the commit.
func (t *Turn) outstanding() []command.Command {
	var out []command.Command
	seen := func(s command.Slot) bool {
		return slices.ContainsFunc(out, func(c command.Command) bool { return c.Slot == s })
	}
	add := func(s command.Slot) {
		c, ok := t.command(s)
		if ok && !t.removes(s) && c.Controller == t.controller.name && !seen(s) && (c.Request != nil || c.Phase != command.Done) {
			out = append(out, c)
		}
	}
	for _, c := range t.snapshot.Commands(t.stored.UID) {
		add(c.Slot)
	}
	for _, w := range t.effects.writes {
		add(w.Command.Slot)
	}
	return out
}
