// Package lease makes sure that of many processes one at a time does a thing, and that what a former one still does can be refused.
//
// An author has work that is not about one object: a nightly import, a sweep, a poller that a licence allows once. [Do] waits until this process is the one, runs
// a function, and gives the lease up:
//
//	err := lease.Do(ctx, st, "import", lease.Options{}, func(ctx context.Context, epoch resource.Epoch) error {
//		rows, err := fetch(ctx)                                  // ends when the lease is lost
//		if err != nil {
//			return err
//		}
//		_, err = st.Commit(ctx, store.Transaction{
//			Writer: store.Writer{Name: "import"},
//			Fences: []store.Fence{lease.Fence("import", epoch)}, // refused when another has taken over
//			Raise:  signals(rows),
//		})
//		return err
//	})
//
// [Hold] is the same in two halves, for work that lasts as long as the process: it returns a [Held], which renews the lease until it is released or lost.
//
// # Why time is not enough
//
// A lease is a lock with a time to live (Gray and Cheriton, 1989): its holder may die without anybody waiting for ever. But the holder cannot know that it
// still has it. Between the look at the clock and the act there is always room for a pause: garbage collection, a page fault, a machine that was put to sleep, a
// packet that waits in a switch. The process wakes up, its time has passed, another one is at work, and it carries on in good faith. No shorter interval and no
// better clock mends this, because what is acted upon is somewhere else and cannot see the pause (Kleppmann, 2016, "How to do distributed locking").
//
// So a lease here is two things. By time it says who should work: that keeps two from working at once nearly always, and costs nobody anything. By its epoch, a number that rises
// with every change of holder, it says whose work counts: what is acted upon remembers the highest epoch it has seen, and refuses lower ones. The first is for
// efficiency, the second for correctness. Whoever protects something with a lease has to pass the epoch on:
//
//   - to the store, as a [store.Fence] of the transaction ([Fence], [Held.Fence]). It is compared inside the commit: nothing of a former holder is written after another has the lease;
//   - to a subsystem, with each request. Package adapter/subsystem has the receiving side.
//
// What can refuse neither (it sends an e-mail, it moves a valve) has only time to rely on, and [Held.Trusted] to ask immediately before; it must bear that once in a long while two act.
//
// # Trust
//
// [Trust] is how long a holder may believe in a lease without asking. The store counts the time to live from the moment at which it took the renewal. That
// moment is not known here; the one at which the renewal was sent is, and is earlier. A time to live from then, on this process's monotonic clock, less a margin of a tenth
// for clocks that run at different speeds, is on the safe side however long the answer took. A late answer is therefore worth less, and one that is older than the time to live nothing.
//
// The lease outlives trust: when the database is away for longer than the time to live and nobody took the lease meanwhile, the next renewal returns the same epoch, and
// nothing has happened. One that comes back at another epoch says that somebody had it in between, or that the database was restored from a backup. Then it is lost.
//
// # What is promised
//
//   - Two holders never have the same epoch of a name; a later one has a higher epoch, across restarts and restores.
//   - A lost lease is noticed at the first renewal that is answered, and never taken up again silently: who wants to go on asks again, and gets another epoch.
//   - Renewals come every 3/10 of the time to live; while they fail, with a growing, random, capped delay.
//   - A lease that is released is free at once. One whose holder died is free when its time has passed.
//
// # What is not
//
//   - That there is one holder in time, see above. That holders take turns, or that who waited longest is next.
//   - That a machine's sleep is noticed: on Linux the monotonic clock stands still meanwhile, and so does the trust. The epoch is there for that.
package lease
