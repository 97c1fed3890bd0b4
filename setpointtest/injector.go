package setpointtest

import (
	"context"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/resource"
)

// injector stands before an adapter, makes calls end as the cases say, and writes down all.
type injector struct {
	command.Adapter
	name    command.AdapterName
	witness *witness
}

// inject puts the injector before an adapter, keeping what else it can do.
func (w *witness) inject(name command.AdapterName, a command.Adapter) command.Adapter {
	return before(a, &injector{a, name, w})
}

// awayFor is how long a destination stays away: all faults are over by then.
const awayFor = time.Hour

// Do makes one call, after a while that tells it apart from the others of its object, so that their order is always the same.
func (i *injector) Do(ctx context.Context, call command.Call) command.Result {
	s := i.witness.owner(call.Object)
	if s == nil {
		return i.Adapter.Do(ctx, call)
	}
	m := i.begin(s, call)
	timer := time.NewTimer(i.latency(s, &m))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return command.Result{Outcome: command.OutcomeUnknown, Message: "the plane has ended"}
	}
	i.place(s, &m)
	m.before = i.witness.content(i.name, call.Key)
	r := i.call(ctx, call, m.Result)
	m.Outcome, m.Changed = r.Outcome, m.before != i.witness.content(i.name, call.Key)
	i.witness.mu.Lock()
	defer i.witness.mu.Unlock()
	s.calls = append(s.calls, m)
	return r
}

// begin counts a call.
func (i *injector) begin(s *subject, call command.Call) Made {
	i.witness.mu.Lock()
	defer i.witness.mu.Unlock()
	slot := command.Slot{Adapter: i.name, Key: call.Key}
	s.made[slot]++
	s.tokens[call.Token] = true
	return Made{
		Adapter: i.name, Key: s.plain(call.Key), Request: s.plainJSON(call.Request), nth: s.made[slot], raw: call.Request, slot: slot,
	}
}

// place finds out where in its case a call is, and how it is to end. Time has passed since the commit that it follows, which the witness has therefore seen.
func (i *injector) place(s *subject, m *Made) {
	i.witness.mu.Lock()
	defer i.witness.mu.Unlock()
	m.Boundary = s.written()
	if o := s.latest(); o != nil && o.Action != nil {
		m.run = o.Action.Run
		m.Action, m.Undo = decide.ActionName(o.Action.Name), undoes(o.Action, m.slot.Key)
	}
	for _, x := range s.Results {
		if x.Adapter == i.name && x.Key == m.Key && x.Nth == m.nth {
			m.Result = x.Result
		}
	}
	if m.Result == ResultAway && s.away[m.slot].IsZero() {
		s.away[m.slot] = time.Now().Add(awayFor)
	}
	if time.Now().Before(s.away[m.slot]) {
		m.Result = ResultAway
	}
}

// undoes reports whether an action is undoing the step with a key.
func undoes(a *resource.Action, key string) bool {
	return slices.ContainsFunc(a.Steps, func(s resource.ActionStep) bool { return s.Key == key && s.Phase == resource.StepUndoing })
}

// latency is between 10 and 500 ms, the same for the same call in every telling of a case, but for what the case is later.
func (i *injector) latency(s *subject, m *Made) time.Duration {
	return 10*time.Millisecond + within(string(m.Adapter)+m.Key+string(rune(m.nth)), 490*time.Millisecond) + s.later
}

// call makes the call end as the case says.
func (i *injector) call(ctx context.Context, call command.Call, result Result) command.Result {
	const injected = "injected: "
	message := injected + string(result)
	switch result {
	case ResultRefused:
		return command.Result{Outcome: command.OutcomeRefused, Class: command.Terminal, Message: message}
	case ResultBusy, ResultAway:
		return command.Result{Outcome: command.OutcomeRefused, Class: command.Retry, Message: message}
	case ResultThrottled:
		return command.Result{Outcome: command.OutcomeRefused, Class: command.Throttled, Message: message, RetryAfter: time.Minute}
	case ResultStale:
		return command.Result{Outcome: command.OutcomeRefused, Class: command.Stale, Message: message}
	case ResultLost:
		return command.Result{Outcome: command.OutcomeUnknown, Message: message}
	case ResultAccepted:
		return command.Result{Outcome: command.OutcomeAccepted, Handle: "work", RetryAfter: 30 * time.Second}
	}
	r := i.Adapter.Do(ctx, call)
	switch result {
	case ResultHalfWay:
		return command.Result{Outcome: command.OutcomeFailed, Class: command.Retry, Message: message}
	case ResultUnanswered:
		return command.Result{Outcome: command.OutcomeUnknown, Message: message}
	}
	return r
}
