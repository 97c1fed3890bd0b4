package postgres

import (
	"time"

	"github.com/setpointhq/setpoint"
)

// The states, as the document behind this example has them, and those in which an action runs.
const (
	Provisioning   setpoint.State = "Provisioning"
	Available      setpoint.State = "Available"
	Uncertain      setpoint.State = "Uncertain"
	Unavailable    setpoint.State = "Unavailable"
	Deprovisioning setpoint.State = "Deprovisioning"
	Deprovisioned  setpoint.State = "Deprovisioned"

	// Provisioned is the parent of the three that a service is in when it is there.
	Provisioned setpoint.State = "Provisioned"

	Promoting   setpoint.State = "Promoting"
	Unfollowing setpoint.State = "Unfollowing"
	Following   setpoint.State = "Following"
	Restarting  setpoint.State = "Restarting"
	Restoring   setpoint.State = "Restoring"
)

// What customers, operators and other controllers ask of a database.
const (
	NeedsPromote    setpoint.SignalName = "NeedsPromote"
	NeedsUnfollow   setpoint.SignalName = "NeedsUnfollow"
	NeedsFollow     setpoint.SignalName = "NeedsFollow"
	NeedsRestart    setpoint.SignalName = "NeedsRestart"
	NeedsParameters setpoint.SignalName = "NeedsParameters"
	NeedsRestore    setpoint.SignalName = "NeedsRestore"
)

// What a server hears beside: from the sensor that hears of check-ins, from its own clock, and from its database.
const (
	Missed       setpoint.SignalName = "Missed"
	Seen         setpoint.SignalName = "Seen"
	Adrift       setpoint.SignalName = "Adrift"
	Silent       setpoint.SignalName = "Silent"
	NeedsRepair  setpoint.SignalName = "NeedsRepair"
	NeedsInspect setpoint.SignalName = "NeedsInspect"
)

// databaseLife is the state machine of a database.
var databaseLife = setpoint.Lifecycle{
	{State: Provisioning, Budget: 10 * time.Minute, To: setpoint.To(Available, Deprovisioning)},
	{State: Available, Parent: Provisioned, Healthy: true, Stable: true,
		To: setpoint.To(Uncertain, Unavailable, Promoting, Unfollowing, Following, Restarting, Restoring, Deprovisioning)},
	{State: Uncertain, Parent: Provisioned, Healthy: true, Budget: time.Minute,
		To: setpoint.To(Available, Unavailable, Promoting, Restarting, Restoring, Deprovisioning)},
	{State: Unavailable, Parent: Provisioned, Budget: time.Second, Late: NeedsPromote,
		To: setpoint.To(Available, Uncertain, Promoting, Restarting, Restoring, Deprovisioning)},
	{State: Promoting, Budget: 2 * time.Minute, To: setpoint.To(Available, Unavailable, Deprovisioning)},
	{State: Unfollowing, Healthy: true, Budget: 2 * time.Minute, To: setpoint.To(Available, Unavailable, Deprovisioning)},
	{State: Following, Healthy: true, Budget: time.Hour, To: setpoint.To(Available, Unavailable, Deprovisioning)},
	{State: Restarting, Healthy: true, Budget: 10 * time.Minute, To: setpoint.To(Available, Unavailable, Deprovisioning)},
	{State: Restoring, Budget: 6 * time.Hour, To: setpoint.To(Available, Unavailable, Deprovisioning)},
	{State: Deprovisioning, Deleting: true, Budget: time.Hour, To: setpoint.To(Deprovisioned)},
	{State: Deprovisioned, Final: true, Stable: true},
}

// databaseTable decides what a database does.
var databaseTable = setpoint.Decisions{
	Signals: []setpoint.Signal{
		{Name: NeedsPromote, About: `write to another server; {"to": name} prefers one`},
		{Name: NeedsUnfollow, About: `let a replica stand alone: {"server": name}`},
		{Name: NeedsFollow, About: `let such a one follow again: {"server": name}`},
		{Name: NeedsRestart, About: "restart all servers, one after the other"},
		{Name: NeedsParameters, About: "restart the servers that have parameters waiting for it"},
		{Name: NeedsRestore, About: `go back to a backup, losing what came after: {"backup": name, "time": moment}`},
	},
	Actions: []setpoint.ActionStates{
		{Name: "Promote", Via: Promoting, To: Available, Else: Unavailable},
		{Name: "Unfollow", Via: Unfollowing, To: Available, Else: Available},
		{Name: "Follow", Via: Following, To: Available, Else: Available, Yield: []setpoint.SignalName{NeedsPromote, NeedsRestore}},
		{Name: "Restart", Via: Restarting, To: Available, Else: Unavailable},
		{Name: "Apply", Via: Restarting, To: Available, Else: Unavailable},
		{Name: "Restore", Via: Restoring, To: Available, Else: Unavailable},
	},
	Rows: []setpoint.Row{
		{When: setpoint.All(NeedsUnfollow, NeedsFollow), Forbid: "what follows cannot leave at the same time"},
		{When: setpoint.All(NeedsPromote, NeedsUnfollow), Forbid: "a promotion needs all replicas"},
		{When: setpoint.All(NeedsRestore, NeedsUnfollow), Forbid: "a restoration makes all servers anew"},

		{In: setpoint.In(Provisioned), When: setpoint.All(NeedsRestore), Priority: 60, Do: "Restore"},
		{In: setpoint.In(Available), When: setpoint.All(NeedsPromote), Guard: "recovered", Priority: 55, Ignore: "it was asked for by the clock, and the primary answers again"},
		{In: setpoint.In(Provisioned), When: setpoint.All(NeedsPromote), Guard: "followed", Priority: 50, Do: "Promote"},
		{In: setpoint.In(Provisioned), When: setpoint.All(NeedsPromote), Priority: 50, Do: "Restart"},
		{In: setpoint.In(Available), When: setpoint.All(NeedsUnfollow), Priority: 40, Do: "Unfollow"},
		{In: setpoint.In(Available), When: setpoint.All(NeedsFollow), Priority: 30, Do: "Follow"},
		{In: setpoint.In(Available), When: setpoint.All(NeedsRestart), Priority: 20, Do: "Restart"},
		{In: setpoint.In(Available), When: setpoint.All(NeedsParameters), Priority: 10, Do: "Apply"},

		{In: setpoint.In(Provisioning), Defer: "it is not there yet", When: setpoint.All(NeedsRestart)},
		{In: setpoint.In(Provisioning), Defer: "it is not there yet", When: setpoint.All(NeedsParameters)},
		{In: setpoint.In(Provisioning), Defer: "it is not there yet", When: setpoint.All(NeedsRestore)},
		{In: setpoint.In(Provisioning), Defer: "it is not there yet", When: setpoint.All(NeedsFollow)},
		{In: setpoint.In(Provisioning), Ignore: "it has no replicas yet", When: setpoint.All(NeedsPromote), Priority: 5},
		{In: setpoint.In(Provisioning), Ignore: "it has no replicas yet", When: setpoint.All(NeedsUnfollow), Priority: 5},
		// Left standing, it would forbid the promotion that is needed here.
		{In: setpoint.In(Uncertain, Unavailable), Ignore: "it does not answer; ask again when it does", When: setpoint.All(NeedsUnfollow), Priority: 70},
		{In: setpoint.In(Uncertain, Unavailable), Defer: "wait until it answers", When: setpoint.All(NeedsFollow)},
		{In: setpoint.In(Uncertain, Unavailable), Defer: "wait until it answers", When: setpoint.All(NeedsRestart)},
		{In: setpoint.In(Uncertain, Unavailable), Defer: "wait until it answers", When: setpoint.All(NeedsParameters)},
	},
	Moved: setpoint.In(Provisioned), // as its primary does
}

// serverLife is the state machine of a server.
var serverLife = setpoint.Lifecycle{
	{State: Provisioning, Budget: 10 * time.Minute, To: setpoint.To(Available, Deprovisioning)},
	{State: Available, Parent: Provisioned, Healthy: true, Stable: true, To: setpoint.To(Uncertain, Following, Restarting, Deprovisioning)},
	{State: Uncertain, Parent: Provisioned, Healthy: true, Budget: 2 * time.Second, Late: Silent, To: setpoint.To(Available, Unavailable, Following, Restarting, Deprovisioning)},
	{State: Unavailable, Parent: Provisioned, Budget: 2 * time.Second, Late: NeedsRepair, To: setpoint.To(Available, Following, Restarting, Deprovisioning)},
	{State: Following, Budget: time.Hour, To: setpoint.To(Available, Unavailable, Deprovisioning)},
	{State: Restarting, Budget: 5 * time.Minute, To: setpoint.To(Available, Unavailable, Deprovisioning)},
	{State: Deprovisioning, Deleting: true, Budget: time.Hour, To: setpoint.To(Deprovisioned)},
	{State: Deprovisioned, Final: true, Stable: true},
}

// serverTable decides what a server does.
var serverTable = setpoint.Decisions{
	Signals: []setpoint.Signal{
		{Name: Missed, About: "it has not checked in"},
		{Name: Seen, About: "it checks in again"},
		{Name: Adrift, About: "it answers, and receives from nobody"},
		{Name: Silent, About: "it has not checked in for long"},
		{Name: NeedsRepair, About: "it does not come back by itself"},
		{Name: NeedsInspect, About: "say how far its log goes"},
		{Name: NeedsRestart, About: "stop it, and start it"},
		{Name: NeedsFollow, About: "follow the server that the specification names"},
	},
	Actions: []setpoint.ActionStates{
		{Name: "Doubt", To: Uncertain},
		{Name: "Trust", To: Available},
		{Name: "GiveUp", To: Unavailable},
		{Name: "Inspect"},
		{Name: "Restart", Via: Restarting, To: Available, Else: Unavailable},
		{Name: "Follow", Via: Following, To: Available, Else: Unavailable},
	},
	Rows:  serverRows(),
	Moved: setpoint.In(Available),
}

// serverRows has the rows about what is asked for, and adds those about check-ins: of a Missed and a Seen that both stand, the later one counts, and so with an Adrift and
// a Seen. A Seen that is the last of all has nothing left that was heard before it. News goes before repair: what answers again needs none.
func serverRows() []setpoint.Row {
	rows := []setpoint.Row{
		{In: setpoint.In(Provisioned), When: setpoint.All(NeedsInspect), Priority: 90, Do: "Inspect"},
		{In: setpoint.In(Provisioned), When: setpoint.All(NeedsFollow), Guard: "follows", Priority: 50, Do: "Follow"},
		{In: setpoint.In(Provisioned), When: setpoint.All(NeedsFollow, Adrift), Guard: "follows", Priority: 50, Do: "Follow"},
		{In: setpoint.In(Provisioned), When: setpoint.All(NeedsFollow), Priority: 50, Ignore: "it leads, or nothing is there to follow"},
		{In: setpoint.In(Provisioned), When: setpoint.All(NeedsRestart), Priority: 40, Do: "Restart"},
		{In: setpoint.In(Unavailable), When: setpoint.All(NeedsRepair), Guard: "leads", Priority: 15, Ignore: "its database decides who leads"},
		{In: setpoint.In(Unavailable), When: setpoint.All(NeedsRepair), Priority: 15, Do: "Restart"},
		{In: setpoint.In(Available, Uncertain), When: setpoint.All(NeedsRepair), Priority: 12, Ignore: "it answers again"},
		{In: setpoint.In(Uncertain), When: setpoint.All(Silent), Priority: 10, Do: "GiveUp"},
		{In: setpoint.In(Available, Unavailable), When: setpoint.All(Silent), Priority: 60, Ignore: "old news"},

		{In: setpoint.In(Available), When: setpoint.All(Missed), Priority: 20, Do: "Doubt"},
		{In: setpoint.In(Available), When: setpoint.All(Seen), Priority: 20, Ignore: "it is known to answer"},
		{In: setpoint.In(Available), When: setpoint.All(Missed, Seen), Guard: "silent", Priority: 20, Do: "Doubt"},
		{In: setpoint.In(Available), When: setpoint.All(Missed, Seen), Priority: 20, Ignore: "it was away for a moment"},
		{In: setpoint.In(Available), When: setpoint.All(Adrift, Seen), Guard: "afloat", Priority: 25, Ignore: "it receives again"},
		{In: setpoint.In(Available), When: setpoint.All(Missed, Adrift, Seen), Guard: "afloat", Priority: 25, Ignore: "it was away for a moment, and receives again"},

		{In: setpoint.In(Uncertain, Unavailable), When: setpoint.All(Missed), Priority: 20, Ignore: "it is known not to answer"},
		{In: setpoint.In(Uncertain, Unavailable), When: setpoint.All(Seen), Priority: 20, Do: "Trust"},
		{In: setpoint.In(Uncertain, Unavailable), When: setpoint.All(Missed, Seen), Guard: "silent", Priority: 20, Ignore: "it was there for a moment"},
		{In: setpoint.In(Uncertain, Unavailable), When: setpoint.All(Missed, Seen), Priority: 20, Do: "Trust"},
		{In: setpoint.In(Uncertain, Unavailable), When: setpoint.All(Adrift, Seen), Guard: "afloat", Priority: 25, Do: "Trust"},
		{In: setpoint.In(Uncertain, Unavailable), When: setpoint.All(Missed, Adrift, Seen), Guard: "afloat", Priority: 25, Do: "Trust"},

		{In: setpoint.In(Available), When: setpoint.All(Adrift), Guard: "joinable", Priority: 15, Do: "Follow"},
		{In: setpoint.In(Provisioned), When: setpoint.All(Adrift), Guard: "follows", Priority: 2, Defer: "it cannot follow now, or nobody is there to follow"},
		{In: setpoint.In(Provisioned), When: setpoint.All(Adrift), Priority: 1, Ignore: "it is not to follow"},
	}
	for _, s := range []setpoint.SignalName{Missed, Seen, Adrift, Silent, NeedsRepair, NeedsInspect, NeedsRestart, NeedsFollow} {
		rows = append(rows, setpoint.Row{In: setpoint.In(Provisioning), When: setpoint.All(s), Defer: "it is not there yet"})
	}
	return rows
}
