package main

import (
	"time"

	"github.com/setpointhq/setpoint"
)

// AlarmAfter is when everything about an alarm is due.
const AlarmAfter = 12 * time.Second

// The states of an alarm.
const (
	Calm    setpoint.State = "Calm"
	Waiting setpoint.State = "Waiting"
	Trying  setpoint.State = "Trying"
	Held    setpoint.State = "Held"
	Rung    setpoint.State = "Rung"
)

// What an alarm is asked to do: to wait in a step for what never comes, to call a subsystem that is busy for ever, to be in a state that has a budget. Pointless is left to expire, and Overdue is the end of the budget.
const (
	NeedsWait setpoint.SignalName = "NeedsWait"
	NeedsCall setpoint.SignalName = "NeedsCall"
	NeedsHold setpoint.SignalName = "NeedsHold"
	Pointless setpoint.SignalName = "Pointless"
	Overdue   setpoint.SignalName = "Overdue"
)

// AlarmSpec says whether the alarm rings by itself, AlarmAfter its first turn.
type AlarmSpec struct {
	Bell bool `json:"bell,omitempty"`
}

// AlarmStatus says when the bell was set, and when it rang, by the clock that turns have.
type AlarmStatus struct {
	Set  time.Time `json:"set,omitzero"`
	Rang time.Time `json:"rang,omitzero"`
}

type alarm = setpoint.Resource[AlarmSpec, AlarmStatus]

// alarms is the kind Alarm, by which each way to wait for a moment can be told by what the database knows of it.
func alarms() (*setpoint.Definition, setpoint.Controller) {
	kind := setpoint.MustDefine(setpoint.KindOptions[AlarmSpec, AlarmStatus]{
		Group: Group, Version: "v1", Kind: "Alarm",
		Lifecycle: setpoint.Lifecycle{
			{State: Calm, Healthy: true, Stable: true, To: setpoint.To(Waiting, Trying, Held, Closing)},
			{State: Waiting, To: setpoint.To(Calm, Rung, Closing)},
			{State: Trying, To: setpoint.To(Calm, Rung, Closing)},
			{State: Held, Budget: AlarmAfter, Late: Overdue, To: setpoint.To(Rung, Closing)},
			{State: Rung, Stable: true, To: setpoint.To(Closing)},
			{State: Closing, Deleting: true, To: setpoint.To(Closed)},
			{State: Closed, Final: true, Stable: true},
		},
		Decisions: setpoint.Decisions{
			Signals: []setpoint.Signal{
				{Name: NeedsWait, About: "wait for what never comes"}, {Name: NeedsCall, About: "call who is busy for ever"}, {Name: NeedsHold, About: "be in a state that has a budget"},
				{Name: Pointless, About: "nobody serves it"}, {Name: Overdue, About: "the budget is over"},
			},
			Actions: []setpoint.ActionStates{
				{Name: "Wait", Via: Waiting, To: Calm, Else: Rung}, {Name: "Call", Via: Trying, To: Calm, Else: Rung}, {Name: "Hold", To: Held}, {Name: "Ring", To: Rung},
			},
			Rows: alarmRows(),
		},
	})
	return kind.Definition, kind.Decider("alarm", setpoint.Decider[AlarmSpec, AlarmStatus]{
		Compare: ring,
		Actions: map[setpoint.ActionName]setpoint.Action[AlarmSpec, AlarmStatus]{
			"Wait": {Steps: []setpoint.Step[AlarmSpec, AlarmStatus]{
				setpoint.Wait("never", func(*setpoint.Run[AlarmSpec, AlarmStatus]) bool { return false }).Within(AlarmAfter),
			}},
			"Call": {Steps: []setpoint.Step[AlarmSpec, AlarmStatus]{
				setpoint.Call("busy", machines, func(*setpoint.Run[AlarmSpec, AlarmStatus]) *request { return &request{Value: busy} }).Retry(setpoint.Retry{For: AlarmAfter}),
			}},
			"Hold": {}, "Ring": {},
		},
	})
}

// alarmRows are of one signal each: nobody raises two on one alarm.
func alarmRows() []setpoint.Row {
	rows := []setpoint.Row{
		{In: setpoint.In(Calm), When: setpoint.All(NeedsWait), Priority: 4, Do: "Wait"},
		{In: setpoint.In(Calm), When: setpoint.All(NeedsCall), Priority: 3, Do: "Call"},
		{In: setpoint.In(Calm), When: setpoint.All(NeedsHold), Priority: 2, Do: "Hold"},
		{In: setpoint.In(Calm), When: setpoint.All(Pointless), Priority: 1, Defer: "nobody serves it"},
		{In: setpoint.In(Held), When: setpoint.All(Overdue), Priority: 9, Do: "Ring"},
		{In: setpoint.In(Calm, Rung), When: setpoint.All(Overdue), Priority: 9, Ignore: "old news"},
	}
	for i, s := range []setpoint.SignalName{NeedsWait, NeedsCall, NeedsHold, Pointless} {
		rows = append(rows, setpoint.Row{In: setpoint.In(Held, Rung), When: setpoint.All(s), Priority: 4 - i, Ignore: "it is asked for one thing"})
	}
	return rows
}

// ring rings the bell when it is time to.
func ring(t *setpoint.Turn, a *alarm) setpoint.Outcome {
	if !a.Spec.Bell || !a.Status.Rang.IsZero() {
		return setpoint.Done()
	}
	if a.Status.Set.IsZero() {
		a.Status.Set = t.Now()
	}
	if left := a.Status.Set.Add(AlarmAfter).Sub(t.Now()); left > 0 {
		return setpoint.After(left, "Set", "it is not time yet")
	}
	a.Status.Rang = t.Now()
	return setpoint.Done()
}
