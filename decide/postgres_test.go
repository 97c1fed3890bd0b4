package decide_test

import (
	"time"

	. "github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
)

// postgresLife is the lifecycle of a managed PostgreSQL.
func postgresLife() lifecycle.Table {
	to := lifecycle.To
	return lifecycle.Table{
		{State: "Provisioning", Budget: 10 * time.Minute, To: to("Available", "Unavailable", "Deprovisioning")},
		{State: "Available", Parent: "Provisioned", Healthy: true, Stable: true,
			To: to("Uncertain", "Unavailable", "Promoting", "Unfollowing", "Following", "Restarting", "Restoring", "Deprovisioning")},
		{State: "Uncertain", Parent: "Provisioned", Healthy: true, Budget: time.Minute,
			To: to("Available", "Unavailable", "Promoting", "Unfollowing", "Restarting", "Restoring", "Deprovisioning")},
		{State: "Unavailable", Parent: "Provisioned", Budget: time.Minute, Late: "NeedsPromote",
			To: to("Available", "Promoting", "Restarting", "Restoring", "Deprovisioning")},
		{State: "Promoting", Budget: 90 * time.Second, To: to("Available", "Unavailable", "Deprovisioning")},
		{State: "Unfollowing", Budget: time.Minute, To: to("Available", "Unavailable", "Deprovisioning")},
		{State: "Following", Budget: time.Hour, To: to("Available", "Unavailable", "Deprovisioning")},
		{State: "Restarting", Budget: 5 * time.Minute, To: to("Available", "Unavailable", "Deprovisioning")},
		{State: "Restoring", Budget: 6 * time.Hour, To: to("Available", "Unavailable", "Deprovisioning")},
		{State: "Deprovisioning", Deleting: true, Budget: time.Hour, To: to("Deprovisioned")},
		{State: "Deprovisioned", Final: true},
	}
}

// postgres decides for it.
func postgres() Table {
	return Table{
		Signals: []Signal{
			{"NeedsPromote", "make this replica the leader"},
			{"NeedsUnfollow", "stop following the leader, and stand alone"},
			{"NeedsFollow", "follow another leader"},
			{"NeedsRestart", "restart the server"},
			{"NeedsParameters", "apply changed parameters"},
			{"NeedsRestore", "put back a backup, losing what came after it"},
		},
		Actions: []Action{
			{Name: "Provision", To: "Available", Else: "Unavailable"},
			{Name: "Promote", Via: "Promoting", To: "Available", Else: "Unavailable"},
			{Name: "Unfollow", Via: "Unfollowing", To: "Available", Else: "Unavailable"},
			{Name: "Follow", Via: "Following", To: "Available", Else: "Unavailable", Yield: []SignalName{"NeedsRestore"}}, // it copies for an hour what would be thrown away
			{Name: "Restart", Via: "Restarting", To: "Available", Else: "Unavailable"},
			{Name: "Reload"},
			{Name: "Restore", Via: "Restoring", To: "Available", Else: "Unavailable"},
		},
		Rows: []Row{
			{When: All("NeedsUnfollow", "NeedsFollow"), Forbid: "following another is leaving this one already"},
			{In: In("Available", "Uncertain"), When: All("NeedsPromote", "NeedsFollow"), Forbid: "nobody can lead and follow"},
			{In: In("Provisioning"), Priority: 100, Do: "Provision"},
			{In: In("Provisioned"), When: All("NeedsRestore"), Priority: 60, Do: "Restore"},
			{In: In("Provisioned"), When: All("NeedsPromote"), Guard: "isReplica", Priority: 50, Do: "Promote"},
			{In: In("Provisioned"), When: All("NeedsPromote", "NeedsUnfollow"), Guard: "isReplica", Priority: 50, Do: "Promote"},
			{In: In("Provisioned"), When: All("NeedsPromote", "NeedsFollow"), Guard: "isReplica", Priority: 50, Do: "Promote"},
			{In: In("Provisioned"), When: All("NeedsPromote"), Priority: 50, Ignore: "it leads already"},
			{In: In("Available", "Uncertain"), When: All("NeedsUnfollow"), Priority: 40, Do: "Unfollow"},
			{In: In("Available"), When: All("NeedsFollow"), Priority: 30, Do: "Follow"},
			{In: In("Provisioned"), When: All("NeedsRestart"), Priority: 20, Do: "Restart"},
			{In: In("Provisioned"), When: All("NeedsRestart", "NeedsParameters"), Priority: 20, Do: "Restart"},
			{In: In("Available"), When: All("NeedsParameters"), Priority: 10, Do: "Reload"},
			{In: In("Uncertain", "Unavailable"), When: All("NeedsParameters"), Defer: "wait until it answers"},
			{In: In("Uncertain", "Unavailable"), When: All("NeedsFollow"), Defer: "wait until it answers"},
			{In: In("Unavailable"), When: All("NeedsUnfollow"), Defer: "wait until it answers"},
		},
		Moved: In("Provisioned"), // check-ins that come and that fail to come are followed by the driver's code
	}
}
