// Package queue is the work queue of one controller: it decides which key is worked on next, and when.
//
// A worker is a loop of three lines, and a controller runs as many of them as it likes:
//
//	for item, ok := q.Next(ctx); ok; item, ok = q.Next(ctx) {
//		q.Done(item.Key, turn(item))
//	}
//
// Everybody else says that a key needs a turn: [Queue.Add], or [Queue.AddMany] for all that one commit concerns. Who
// wants to run the turn without a detour through a worker, because a result has just arrived, asks with
// [Queue.TryAcquire], or waits for it with [Queue.Acquire].
//
// # Model
//
// There is one entry per key, however often it is added, so the queue is bounded by the number of objects, and its
// causes by [Options].MaxCauses. A key at rest that does not owe a success has no entry. An entry has up to three due
// times, and the key is handed out at the earliest of them:
//
//   - plain: the earliest asked for by a wake. A status echo, a changed neighbour, a resynchronisation.
//   - change: the earliest asked for by a wake with Change set. Something happened that may end a failure.
//   - look: asked for by the verdict of the last turn: look again, or the end of a backoff. Each verdict replaces it;
//     one without a due time cancels it.
//
// After a failure, or when throttled, plain is left out until look has come: bookkeeping does not shorten a backoff, a
// change does. The number of attempts, from which the backoff grows, is reset by success and by [Queue.Remove] only.
//
// A hand-out answers every due time that has come, and leaves the later ones. Earliest wins also when the later of two
// wakes is given up by it: a turn looks at everything and asks for its own next look.
//
// # Order
//
// Of the keys that are ready the highest [Priority] goes first. Waiting for [Options].Ageing is worth one step of
// priority, so nothing starves, but of four hand-outs at most one goes past a higher priority: in an overload
// everything is old, and an administrator must still get through. Within a priority the tenants take turns, and
// the key that became ready first is its tenant's next.
//
// # Promises
//
//   - A key is never handed out twice at a time, nor before it is due on the monotonic clock.
//   - Every Add is followed by a hand-out that begins after Add was called, so that its turn sees what the caller did
//     before, unless the key is removed or the queue closed. What is added during a turn runs after it.
//   - At rest nothing runs: the goroutine waits for a request, and one timer is set for the earliest due time. When a
//     key leaves early the timer stays and may go off once for nothing.
//   - After [Queue.Close] every method returns at once, and the goroutine has ended. What was scheduled is forgotten
//     with the process: the database knows it, and the next owner's scan adds it again.
//
// Not promised: that a key runs exactly at its due time (there may be no free worker), or which of two workers gets it.
//
// # One goroutine
//
// All state belongs to one goroutine, which deals with one request after the other: there is no lock, and nothing in
// it waits. The methods are requests; the alarm is one too. Workers in Next are served in the order in which they came,
// each through a channel of its own; a worker whose context ends asks to be struck off, and takes with it what was
// handed to it meanwhile.
//
// The goroutine begins with the first Next, as nothing has to happen unasked while no worker waits, and Close ends it. Before and
// after, the state lies in a channel that holds one value. Who makes a request takes it out, deals with what was
// asked, and puts it back: so a queue that is made and never worked on costs nothing, and Done and Stats work on a
// closed one.
package queue
