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
// Both use SQLite. An [Engine] is any other database, for the same tests, unchanged: [Engine.Run] and [Engine.Crashes].
package setpointtest
