package postgres

import (
	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/setpointtest"
)

// stories reads cases.
func stories(lines ...string) (all []setpointtest.Case) {
	for _, line := range lines {
		c, err := setpointtest.ParseCase(line)
		if err != nil {
			panic(err)
		}
		all = append(all, c)
	}
	return all
}

// storiesOfServers are those in which several things are heard of a server, in every order: what was heard last counts. One is told each time also while somebody waits for
// a restart, after which all that was heard is judged at once. In the others something is away for an hour, or somebody changes their mind.
func storiesOfServers() (all []setpointtest.Case) {
	for _, news := range [][]setpoint.SignalName{
		{Missed, Seen}, {Seen, Missed}, {Adrift, Seen}, {Seen, Adrift}, {Missed, Adrift}, {Adrift, Missed},
		{Missed, Seen, Adrift}, {Missed, Adrift, Seen}, {Seen, Missed, Adrift}, {Seen, Adrift, Missed}, {Adrift, Missed, Seen}, {Adrift, Seen, Missed},
		{Silent, Seen}, {Silent, Missed, Seen}, {Silent, Seen, Missed}, {NeedsRepair, Seen}, {NeedsRepair, Seen, Missed}, {NeedsRepair, Adrift, Seen},
	} {
		for _, s := range []setpoint.State{Available, Uncertain, Unavailable} {
			all = append(all, setpointtest.Case{State: s, Variant: followsIt, Signals: news})
		}
		all = append(all, setpointtest.Case{State: Available, Variant: followsIt, Signals: append([]setpoint.SignalName{NeedsRestart}, news...)})
	}
	for _, s := range []setpoint.State{Uncertain, Unavailable} {
		all = append(all, setpointtest.Case{State: s, Signals: []setpoint.SignalName{Missed, Seen}}, setpointtest.Case{State: s, Signals: []setpoint.SignalName{Seen, Missed}})
		all = append(all, setpointtest.Case{State: s, Variant: followsAnother, Signals: []setpoint.SignalName{NeedsFollow, Adrift}})
	}
	return append(all, stories(
		"in Available; variant 3; with Adrift",
		"in Available; variant 3; with Seen, Adrift",
		"in Available; variant 3; with Adrift, Seen",
		"in Uncertain; variant 3; with Adrift, Seen",
		"in Unavailable; variant 3; with Seen, Adrift",
		"in Available; variant 2; with NeedsFollow; call hosts default/it/follow #1 refused",
		"in Available; variant 2; with NeedsFollow; call hosts default/it/follow #1 away",
		"in Available; variant 2; with NeedsFollow; call hosts default/it/follow #1 away; after 2 raise Cancel",
		"in Available; with NeedsInspect; call hosts default/it/inspect #1 away",
		"in Available; with NeedsRestart; call hosts default/it/restart #1 away",
		"in Unavailable; variant 1; with NeedsRepair; call hosts default/it/restart #1 away",
	)...)
}

// storiesOfDatabases are those that tell one slip from another: what is needed is away for an hour, at each of the steps, and people change their minds at each.
func storiesOfDatabases() (all []setpointtest.Case) {
	all = stories(
		"in Available; with NeedsPromote; call endpoints default/it.rw #2 away",
		"in Available; with NeedsPromote; call endpoints default/it.rw #3 away",
		"in Available; with NeedsPromote; call hosts default/it.s1-0/fence #1 away",
		"in Available; with NeedsPromote; call hosts default/it.s1-1/inspect #1 refused",
		"in Available; with NeedsPromote; call hosts default/it.s1-1/synchronous #1 away",
		"in Available; with NeedsPromote; call hosts default/it.s1-1/promote #1 away",
		"in Available; with NeedsPromote; call hosts default/it.s1-1/promote #1 throttled",
		"in Available; with NeedsPromote; call hosts default/it.s1-0/fence #1 unanswered",
		"in Available; variant 3; with NeedsPromote",
		"in Unavailable; variant 3; call hosts default/it.s1-1/synchronous #1 refused",
		"in Unavailable; variant 3; call hosts default/it.s1-1/synchronous #1 away",
		"in Available; variant 2; with NeedsFollow; call hosts default/it.s1-2/follow #1 away",
		"in Available; variant 2; with NeedsFollow; call hosts default/it.s1-2/follow #1 away; after 1 raise NeedsPromote",
		"in Available; variant 2; with NeedsFollow; call hosts default/it.s1-2/follow #1 away; after 1 raise NeedsRestore",
		"in Available; variant 2; with NeedsFollow, NeedsRestart; call hosts default/it.s1-2/follow #1 away",
		"in Available; with NeedsRestart; call hosts default/it.s1-0/restart #1 away",
		"in Available; with NeedsRestart; call hosts default/it.s1-1/restart #1 away",
		"in Available; with NeedsParameters; call hosts default/it.s1-2/restart #1 away",
		"in Available; with NeedsRestore; call hosts default/it.s2-0 #1 away",
		"in Available; with NeedsRestore; call endpoints default/it.rw #2 away",
		"in Available; with NeedsRestore; call endpoints default/it.rw #3 away",
		"in Available; with NeedsRestore; call hosts default/it.s1-0/fence #1 away",
		"in Available; with NeedsUnfollow; call hosts default/it.s1-1 #1 away",
		"in Available; with NeedsUnfollow; call hosts default/it.s1-0/synchronous #1 away",
		"in Available; with NeedsUnfollow; call hosts default/it.s1-0/barrier #1 away",
		"in Available; with NeedsUnfollow; call hosts default/it.s1-2 #1 away",
		"in Available; with NeedsUnfollow; call hosts default/it.s1-2/unfollow #1 away",
		"in Available; with NeedsUnfollow; call hosts default/it.s1-2/unfollow #1 refused",
	)
	// A replica may leave when another one follows: all must have answered once.
	for n := 3; n <= 9; n++ {
		all = append(all, setpointtest.Case{State: Available, Orders: []setpointtest.Order{{After: n, What: setpointtest.OrderRaise, Signal: NeedsUnfollow}}})
	}
	for _, s := range []setpoint.SignalName{NeedsPromote, NeedsRestore, NeedsUnfollow} {
		for n := 2; n <= 9; n++ {
			all = append(all, setpointtest.Case{
				State: Available, Signals: []setpoint.SignalName{s}, Orders: []setpointtest.Order{{After: n, What: setpointtest.OrderRaise, Signal: "Cancel"}},
			})
		}
	}
	return all
}
