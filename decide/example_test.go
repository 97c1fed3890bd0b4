package decide_test

import (
	"fmt"

	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
)

// The decisions of a managed PostgreSQL: postgresLife and postgres are the tables in postgres_test.go.
func Example() {
	life, table := postgresLife(), postgres()
	fmt.Println(decide.Check(life, table))
	fmt.Print(decide.Text(table))
	// Output:
	// <nil>
	// ROW  IN                     WHEN                              IF         PRIORITY  THEN
	// 1    any                    NeedsUnfollow and NeedsFollow     -          -         forbid: following another is leaving this one already
	// 2    Available Uncertain    NeedsPromote and NeedsFollow      -          -         forbid: nobody can lead and follow
	// 3    Provisioning           -                                 -          100       do Provision
	// 4    Provisioned            NeedsRestore                      -          60        do Restore
	// 5    Provisioned            NeedsPromote                      isReplica  50        do Promote
	// 6    Provisioned            NeedsPromote and NeedsUnfollow    isReplica  50        do Promote
	// 7    Provisioned            NeedsPromote and NeedsFollow      isReplica  50        do Promote
	// 8    Provisioned            NeedsPromote                      -          50        ignore: it leads already
	// 9    Available Uncertain    NeedsUnfollow                     -          40        do Unfollow
	// 10   Available              NeedsFollow                       -          30        do Follow
	// 11   Provisioned            NeedsRestart                      -          20        do Restart
	// 12   Provisioned            NeedsRestart and NeedsParameters  -          20        do Restart
	// 13   Available              NeedsParameters                   -          10        do Reload
	// 14   Uncertain Unavailable  NeedsParameters                   -          0         defer: wait until it answers
	// 15   Uncertain Unavailable  NeedsFollow                       -          0         defer: wait until it answers
	// 16   Unavailable            NeedsUnfollow                     -          0         defer: wait until it answers
	//
	// ACTION     VIA          TO         ELSE         YIELDS TO
	// Provision  stays        Available  Unavailable  -
	// Promote    Promoting    Available  Unavailable  -
	// Unfollow   Unfollowing  Available  Unavailable  -
	// Follow     Following    Available  Unavailable  NeedsRestore
	// Restart    Restarting   Available  Unavailable  -
	// Reload     stays        stays      stays        -
	// Restore    Restoring    Available  Unavailable  -
}

func ExampleExplain() {
	life, table := postgresLife(), postgres()
	signals := []decide.SignalName{"NeedsRestart", "NeedsParameters"}
	d := decide.Fire(life, table, "Available", signals, nil)
	fmt.Print(decide.Explain(life, table, "Available", signals, d))
	signals = []decide.SignalName{"NeedsPromote", "NeedsRestart"}
	isReplica := func(name decide.GuardName) bool { return name == "isReplica" }
	d = decide.Fire(life, table, "Unavailable", signals, isReplica)
	fmt.Print(decide.Explain(life, table, "Unavailable", signals, d))
	d = decide.Fire(life, table, "Promoting", signals, isReplica)
	fmt.Print(decide.Explain(life, table, "Promoting", signals, d))
	signals = []decide.SignalName{"NeedsFollow"}
	d = decide.Fire(life, table, "Available", signals, nil)
	fmt.Print(decide.Explain(life, table, "Available", signals, d))
	// Output:
	// in Available with NeedsRestart and NeedsParameters: row 12 (in Provisioned, when NeedsRestart and NeedsParameters: do Restart) fires
	//   it starts Restart, by way of Restarting, to Available, or to Unavailable if that fails; the end of it consumes NeedsRestart and NeedsParameters
	//   row 11 (in Provisioned, when NeedsRestart: do Restart) matches too, but is less specific than row 12
	//   row 13 (in Available, when NeedsParameters: do Reload) matches too, but has a lower priority (10, not 20)
	// in Unavailable with NeedsPromote and NeedsRestart: row 5 (in Provisioned, when NeedsPromote, if isReplica: do Promote) fires
	//   it starts Promote, by way of Promoting, to Available, or to Unavailable if that fails; the end of it consumes NeedsPromote
	//   left standing: NeedsRestart
	//   row 8 (in Provisioned, when NeedsPromote: ignore) matches too, but is less specific than row 5
	//   row 11 (in Provisioned, when NeedsRestart: do Restart) matches too, but has a lower priority (20, not 50)
	// in Promoting with NeedsPromote and NeedsRestart: no row fires, since in Promoting an action runs, and signals wait until it ends
	// in Available with NeedsFollow: row 10 (in Available, when NeedsFollow: do Follow) fires
	//   it starts Follow, by way of Following, to Available, or to Unavailable if that fails, making way for NeedsRestore; the end of it consumes NeedsFollow
}

func ExampleForbidden() {
	fmt.Println(decide.Forbidden(postgresLife(), postgres(), "Available", []decide.SignalName{"NeedsPromote", "NeedsFollow"}))
	// Output: nobody can lead and follow true
}

func ExampleAlways() {
	life, table := postgresLife(), postgres()
	claim := decide.Leads("NeedsUnfollow", "Unfollow")
	fmt.Println(decide.Always(life, table, claim))
	claim = claim.Within("Available", "Uncertain").Unless("NeedsRestore", "NeedsPromote")
	fmt.Println(claim, "-", decide.Always(life, table, claim))
	fmt.Println(decide.Always(life, table, decide.Never("Promote").With("NeedsRestore")))
	// Output:
	// it is not so that NeedsUnfollow always leads to Unfollow: in Provisioning with NeedsUnfollow row 3 (in Provisioning: do Provision) fires
	// NeedsUnfollow always leads to Unfollow in Available or Uncertain unless NeedsRestore or NeedsPromote stands - <nil>
	// <nil>
}

func ExampleMutants() {
	life, table := postgresLife(), postgres()
	mutants, err := decide.Mutants(life, table)
	if err != nil {
		fmt.Println(err)
		return
	}
	claim := decide.Leads("NeedsUnfollow", "Unfollow").Within("Available", "Uncertain").Unless("NeedsRestore", "NeedsPromote")
	refused, equivalent, found, missed := 0, 0, 0, 0
	for _, m := range mutants {
		switch {
		case m.Equivalent:
			equivalent++
		case decide.Check(life, m.Table) != nil:
			refused++
		case decide.Always(life, m.Table, claim) != nil:
			found++
		default:
			missed++
		}
	}
	fmt.Printf("%d mutants: %d decide alike, Check refuses %d, the claim finds %d, and %d need claims of their own\n",
		len(mutants), equivalent, refused, found, missed)
	// Output:
	// 224 mutants: 7 decide alike, Check refuses 140, the claim finds 4, and 73 need claims of their own
}

func ExampleCheck() {
	life := lifecycle.Table{
		{State: "Closed", Healthy: true, Stable: true, To: lifecycle.To("Open")},
		{State: "Open", Healthy: true, Stable: true, To: lifecycle.To("Closed")},
	}
	fmt.Println(decide.Check(life, decide.Table{
		Signals: []decide.Signal{{Name: "Knock"}, {Name: "Alarm"}},
		Actions: []decide.Action{{Name: "Unlock", To: "Open", Else: "Closed"}, {Name: "Lock", To: "Closed", Else: "Open"}},
		Rows: []decide.Row{
			{In: decide.In("Closed"), When: decide.All("Knock"), Do: "Unlock"},
			{In: decide.In("Open"), When: decide.All("Knock"), Ignore: "come in"},
			{When: decide.All("Alarm"), Priority: 9, Ignore: "a drill"},
			{In: decide.In("Open"), When: decide.All("Alarm"), Do: "Lock"},
			{In: decide.In("Closed"), When: decide.All("Knock").Without("Alarm"), Guard: "isNight", Do: "Lock"},
			{In: decide.In("Closed"), When: decide.All("Knock"), Guard: "isDay", Defer: "lunch"},
		},
	}))
	// Output:
	// the decision table is wrong:
	//   - row 5 (in Closed, when Knock and no Alarm, if isNight: do Lock) and row 6 (in Closed, when Knock, if isDay: defer) are ambiguous: in Closed with Knock, if isNight and isDay, both match, with one priority (0), and neither is more specific
	//   - row 4 (in Open, when Alarm: do Lock) can never fire: row 3 always goes first
	//     ROW  IN      WHEN                IF       PRIORITY  THEN
	//     1    Closed  Knock               -        0         do Unlock
	//     2    Open    Knock               -        0         ignore: come in
	//     3    any     Alarm               -        9         ignore: a drill
	//   > 4    Open    Alarm               -        0         do Lock
	//   > 5    Closed  Knock and no Alarm  isNight  0         do Lock
	//   > 6    Closed  Knock               isDay    0         defer: lunch
	//
	//     ACTION  VIA    TO      ELSE    YIELDS TO
	//     Unlock  stays  Open    Closed  -
	//     Lock    stays  Closed  Open    -
}
