// Package adopt runs one controller over a table that is not Setpoint's: orders, devices, accounts, whatever a service has
// already. The table stays where it is, and its owner goes on writing it. Nothing else of Setpoint is used: no store, no
// kinds, no server.
//
//	controller, err := adopt.New(adopt.Options[int64, Order]{
//		Name:   "fulfilment",
//		Source: table, // four methods over the table
//		Reconcile: func(ctx context.Context, step *adopt.Step[int64, Order]) adopt.Outcome {
//			if step.Row.Receipt == "" {
//				token, err := step.Token(ctx, paymentToken) // stored before it is sent
//				if err != nil {
//					return adopt.Fail(err)
//				}
//				if step.Row.Receipt, err = bank.Charge(ctx, token, step.Row.Cents); err != nil {
//					return adopt.Fail(err) // the same token again, after a while
//				}
//				if err := step.Save(ctx); err != nil {
//					return adopt.Fail(err)
//				}
//			}
//			return adopt.Done()
//		},
//	})
//	...
//	err = controller.Run(ctx) // until ctx ends
//
// The package examples/orders is that controller in full, over SQLite and an HTTP service.
//
// # Model
//
// A controller subscribes, waits, compares and acts. What it subscribes to is a [Source]: the table, with a way to see all rows
// once and to hear of changes afterwards. What it waits in is a work queue, one entry per row. Comparing and acting is
// the author's Reconcile function: it is handed a [Step], which is the latest copy of one row, and returns an [Outcome], which
// says what happens next: [Done], [After] a time, [Await] a change, or [Fail].
//
// Reconcile looks at the row, never at the reason for which it was called. It is called for a change, for several changes at
// once, for none, and for the same row again after a crash in the middle of anything.
//
// # Acting
//
// A turn over Setpoint's own store never calls anything: it commits commands, and the engine carries them out. Here there is
// no table of commands, so Reconcile calls other services itself. What the engine would have seen to becomes a rule:
//
//  1. [Step.Token] first. It stores the effect's idempotency token in the row, by compare-and-swap, before it returns it.
//  2. Then the call, with that token, and with ctx. If it fails, however it fails, return Fail. Whether the call was carried
//     out need not be known: the next step sends the same token, and the service answers as it did or would have.
//  3. [Step.Save] what came of it. If the row has changed meanwhile the step is over and a new one begins with the latest row.
//     It finds the token, asks again, and saves the answer there.
//
// A service that knows no tokens must be given a natural key (the order's number, a name), or be asked first.
//
// # Promises
//
//   - Every row that exists at the start gets a turn, and so does every row that somebody changes. A change during a turn, that
//     the turn has not seen, causes another one.
//   - Two turns of one row never overlap in one controller. Of two controllers, as in two processes, both may work on one
//     row; compare-and-swap and the token keep that correct, if wasteful.
//   - A save does not wake its own row, if the source reports versions.
//   - A failed row comes back after a time that grows with each failure, up to [Options].Cap, with jitter; a change of the row ends
//     the waiting. A panic is a failure. A failing, slow or hanging row does not stop others.
//   - The source is asked once for all rows, not for each. While nothing changes no row is loaded, and no more than one
//     Changes is asked per [Options].Interval.
//   - When Run returns, no goroutine of the controller is left.
//
// Not promised: that a function that ignores its context can be stopped (Run waits for it, and says whom for), or that timers
// outlive the process. A new process scans, and so looks at every row at once.
//
// # Limits
//
// All IDs that need work are held in memory while they do. When there is more than one controller, when objects have children,
// when effects must be fenced or when the wait for a call must not hold a worker, use the engine.
package adopt
