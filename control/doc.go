// Package control is the engine: it runs controllers, and delivers to the outside what they ask for.
//
// An author writes one function per kind. It compares what an object should be with what is known, and says what is missing:
//
//	func drive(t *control.Turn, g *Gateway) control.Outcome {
//		address := Addresses.Child(t, "ip", AddressSpec{Pool: "edge"})      // a part, made and kept
//		if address.Status.IP == "" {
//			Records.Hold(t, "dns")                                          // undecided: neither made nor removed
//			return t.Rollup()                                               // wait for the parts
//		}
//		Records.Child(t, "dns", RecordSpec{Name: g.Spec.Host, IP: address.Status.IP}, control.Needs("ip"))
//		return t.Rollup()
//	}
//
// It becomes a [Controller] by [Kind.Driver], [Kind.Controller] or [Kind.Decider], and runs in an [Engine], which package setpoint assembles into a plane.
//
// # Turn
//
// A [Turn] is one run of the function for one object. It reads from a consistent cut of the view and stages what should change, and it
// calls nothing: no network, no clock but [Turn.Now], no randomness. So it may be run again at will. What it staged is committed as one
// transaction, on condition that the object is as it was read; on a conflict the turn is run again on what is there now, and the
// first run leaves no trace. A decision that rests on another object can make that a condition too ([Turn.Fresh]).
//
// A turn runs when the object changes, or its children, its commands or its signals; when something changes that it read ([Kind.Get],
// [Kind.List]) or waits for ([Await]); and when its time has come. Not when it has only written itself, unless it moved the object to another state or
// into deletion.
//
// # Outcome
//
// The one answer of a turn: [Done], [After], [Await] or [Fail]. It decides when the object is looked at again, and the driver's is the object's
// Ready condition. What a controller waits for stands in the object's status, with a code, references and a time, and [Engine.Explain]
// follows it to the root cause. Fail drops everything that was staged; the error's class ([Terminal], [Throttled], or neither) says
// whether repeating helps. A mistake in what is staged, such as an illegal transition, is a terminal failure that says what to do.
//
// # Children
//
// [Kind.Child] says that a part should exist, [Kind.Hold] that this is undecided. [Turn.Rollup] ends the declaration: what this controller
// declared before and does not mention is deleted, those parts first that need others ([Needs]). Children are owned by UID, and named
// "<parent>.<child>" ("<parent>.<controller>.<child>" for a controller that is not the driver). A name that somebody else's object has is an
// error, never a take-over.
//
// # Effects
//
// [Endpoint.Ensure] says how something outside should be, by its natural key; nil says that it should not be. It stages a command, a row of the
// same transaction. An effect that was ensured before and is not mentioned by a turn that is Done is withdrawn: asked to be absent. A turn
// that waits, also in a Rollup, withdraws nothing. While the object is being deleted, every turn withdraws, once no part is left.
//
// # Decision tables
//
// A driver's compare can be data, as far as it decides what happens next. A kind that has a decision table (package decide) says there which action follows which
// signals, in which state. [Kind.Decider] makes its driver from the code beside the table: a [Decider] has the steps of the actions, the answers to guards, and a
// Compare for what is not decided by signals: children, effects, status. Signals are raised by operators, sensors and other controllers ([Turn.Raise],
// [Engine.Raise]), and judged as they are: one that the kind does not know, or forbids beside those that stand, is refused.
//
// A turn of a decider goes on with the action that is under way. When there is none, it runs Compare, and then asks the table. Compare rests while an action runs, so that the two
// do not pull at the same things; and the table is not asked while Compare fails. Compare may move the object among the states that the table lists as Moved. All others are
// reached by actions alone; who tries otherwise is refused, and the history says so.
//
// # Actions
//
// An [Action] is a list of steps: [Call] asks a subsystem, [Wait] waits until something holds, [Ask] raises a signal on other objects and waits until they have served it,
// [Set] changes the status; [Sequence], [Together], [First] and [Choose] join them.
//
//	var move = control.Action[Spec, Status]{Steps: []control.Step[Spec, Status]{
//		control.Call("copy", hosts, copyRequest).Absent(),                  // undone by asking for absence
//		control.Call("stop", hosts, stopRequest).Undo(startRequest),        // undone by the opposite
//		control.Wait("quiet", isQuiet).Within(time.Minute),
//		control.Call("switch", names, switchRequest).Retry(control.Retry{Attempts: 5, Tell: time.Hour}),
//	}}
//
// What has begun is recorded with the object, and with each step that is done, what it was answered. Whoever takes over goes on from there: nothing is replayed. A step begins
// in the commit in which the one before it ends, and the request that is sent is the one that was stored. The end is one commit, too: the transition, the
// signals that the action read, and the record.
//
// When a step fails, or takes longer than Within, what has begun is undone, the last step first, and the object goes to the action's Else. An undo is sent in the place of the step's own
// command, under a higher intent, after a call that is still under way: so it cannot be overtaken. A step that was refused at its first attempt has done nothing, and is not
// undone. One of which nobody knows is. Where neither going on nor going back is possible, the action is stuck: it waits, says for what, and costs nothing.
//
// A signal that the table lists as Yield makes the action make way: at the next boundary it is undone, its signals stay, and the table decides anew. Deletion undoes it first, and
// then takes its course. A program in which the steps that are left differ from those that the action began with does not go on with it: the action is parked until the
// old program is back, or an operator ends it.
//
// # Operators
//
// Every kind knows these signals: [PauseSignal] lets calls under way finish, and begins nothing, not even an undo, until [ResumeSignal]; deadlines wait. [CancelSignal] undoes the action.
// [AbandonSignal] ends it where it is, with a reason. [RetrySignal] takes up what was given up.
//
// # Delivery
//
// After the commit an adapter's workers send the command: at most one of a unit of order at a time, at most so many at once as the
// policy allows, each attempt with the same token and bytes. An attempt ends as done, accepted, refused, failed or unknown. Unknown, which is also
// what a panic or a cut line is, is looked up where the subsystem can be asked, and repeated with the same token. When the policy is used up, or the
// subsystem refuses for good, the command pauses, visibly, until its request changes or a "Retry" signal is raised on its owner.
//
// A result and the turn that follows from it are one commit wherever nobody else works on the object. When an observer reports that an effect
// no longer holds, the owner's turn asks again under a higher intent, so that the repair is not answered "done already"; one that keeps
// failing is repaired ever more slowly.
//
// # Shards
//
// An engine follows everything, and works on the shards that its owner (package cluster) gives it: all of them on a store with one process, its share where several divide the work. It
// begins with a shard when its view shows what others did before: the open commands first, then a turn for each object, in the background. Every commit about an object is fenced with the
// epoch of its shard, and every call carries it. A call is begun only as long as nobody else can have taken the shard, by this process's own clock, less a margin; turns go on all the
// while, as each commit compares the epoch. When nobody took the shard meanwhile, the epoch is still the same, and an outage longer than a time to live costs nothing that was under way. A
// controller that runs [Everywhere] is outside of this: its calls are begun only while what the view shows is known to be recent, and so is what an observer teaches a subsystem without a memory.
//
// # Outage
//
// While the database is away, each worker keeps what it is at and repeats the commit, ever more slowly: the load is that of the workers, not that of the
// objects. The result of a call is kept until it is committed, and meanwhile its worker calls nothing. When nobody knows whether a commit was made, nothing
// more is decided before the view shows it, or shows a later one without it. A feed that breaks is opened again where it was, or the
// database is scanned.
//
// # Deletion
//
// Deletion is asked for once and never taken back. The driver holds each of its objects from birth, a further controller those for which it has
// made something. The engine brings the object into its table's deleting state, deletes the children in the order of their needs, withdraws the
// effects, and lets go when a turn is Done and nothing is left. Ensure asks for absence by itself while the owner is being deleted, unless
// told otherwise ([WhileDeleting]). An object whose owners are all gone is deleted by its driver.
//
// # What is promised
//
//   - One turn at a time per controller and object; what is added during a turn is answered by a later one.
//   - What a turn decided is committed whole or not at all, by the process that has the lease and by no other. An engine whose lease another has
//     taken stops, with an error.
//   - An action begun ends: as succeeded, or undone, or by an operator's word; its signals are consumed once, by the commit that ends it. One commit makes one transition.
//   - An undo comes after what it undoes, whatever is delayed or repeated.
//   - A command that was committed is sent until it is settled, replaced or paused, across restarts. A result is taken for the wish it
//     answers, and no other.
//   - At rest nothing runs and nothing is written. A failing object is repeated with backoff to a cap, and no time that an author names
//     makes it spin.
//   - A panic or an endless loop in an author's function harms its object, and no other: its worker is replaced, up to a bound, and
//     [Engine.Working] and [Engine.Alive] say so.
//   - A stop lets turns and calls under way finish, for a grace period.
//
// # What is not
//
//   - That what has no undo is undone, or that what others do for an [Ask] is taken back once they have begun.
//   - That a subsystem sees a request once. It sees each token at least once; to have one effect per token it must remember tokens, or
//     keep one effect per natural key, and refuse a lower (epoch, intent).
//   - That a turn sees the present. It sees one moment that is not older than what the same object's last turn wrote.
//   - That every change causes a turn: changes that come close together are seen as one.
//   - That an object is collected when its owner is gone and its kind has no driver.
//   - That the finalizer of a controller that was removed from the program goes away by itself; an operator takes it off the deleted object.
package control
