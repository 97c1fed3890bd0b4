// Package setpointtest runs controllers in virtual time on a real database, and makes them fail in every way.
//
// [Run] gives a test a [World]: a whole plane with the test's kinds and controllers, on a database in a temporary directory, inside a bubble of
// virtual time ([testing/synctest]). An hour passes in no time, and nothing is left to chance: [World.Settle] returns when everything
// that could happen now has happened.
//
//	setpointtest.Run(t, setup, func(w *setpointtest.World) {
//		w.Apply(gateways.Definition, "shop", GatewaySpec{Hostname: "shop.edge.test"})
//		w.Converge(time.Minute)
//		…assert on w.Object, w.Commits, and the subsystems' ledgers
//	})
//
// Side effects are values: [World.Commits] are the transactions that turns committed, [Subsystem.Ledger] the effects outside.
//
// [Crashes] finds controller bugs by itself (B2). It tells a [Scenario] once, counts its moments (before and after every commit and every
// call), and tells it again for each of them with a crash, a lost acknowledgement, or a stale view there. The end must always be that
// of the undisturbed run, with at most one effect per token.
//
// [Fuzz] is for kinds with a decision table (P8): it tries every state with every combination of signals that can stand there, then lets every call of an adapter end in every way, raises
// operators' and other signals at every boundary of a step, deletes, and kills the plane, and judges what comes of it. Thousands of cases take seconds, since each is an object in one
// world. A finding comes with the smallest case that shows it, as a line of text:
//
//	pumps := setpointtest.Fuzzing[PumpSpec, PumpStatus]{
//		Kind: pumps, Decider: decider,
//		Setup: func() setpointtest.Setup { …fresh subsystems by adapter name },
//		Check: func(c setpointtest.Case, e setpointtest.End) error { …what must be so at the end of every case },
//	}
//	setpointtest.Fuzz(t, pumps).Require(t)
//
// [Survivors] tests these tests: it makes every slip of the pen in the decider and in its table, and lists those that no judgement, and nothing that Check says, is against.
// It judges as many mutants at a time as there are processors, and with Fuzzing.Sample only some. Where the cases that it finds do not tell two slips apart, Fuzzing.Stories are those that do:
// something is away for an hour at each step, somebody changes their mind at each. Where a mutant seems to end otherwise, the case is told again, alone and for several seeds, to the mutant and to the
// original: only what the original never does is a difference.
//
// In the cases of [Fuzz] and [Survivors] each commit and each call has a moment of virtual time to itself: the same Seed gives the same courses, whatever the machine does besides.
//
// A kind that lives by its parts is fuzzed with their real drivers: Fuzzing.Beside makes the parts, Fuzzing.Found what there is outside, and Check finds both in the [End].
//
// [Run] and [Crashes] use SQLite. An [Engine] is any other database, for the same tests, unchanged: [Engine.Run] and [Engine.Crashes].
package setpointtest
