// Package store is the contract between Setpoint and a database: read, commit, watch, lease. An engine implements [Store], and
// the suite in store/storetest proves that it does. store/sqlite is the embedded engine, and
// store/postgres the one on a database server.
//
// # Writing
//
// A [Transaction] names everything that is to change and everything that must hold for it, and is applied whole or not at all. There are no locks
// to take: a writer reads (from a view, usually), computes, and commits with the revisions it has read. Whoever comes second gets
// [ErrConflict], reads again, and computes again.
//
//	o := read.Clone()
//	o.Spec = newSpec
//	o.Generation++
//	receipt, err := s.Commit(ctx, store.Transaction{
//		Writer:  store.Writer{Name: "api:ada"},
//		Objects: []store.ObjectWrite{{Object: o, Expect: read.Revision}},
//	})
//
// Expect is the precondition, 0 for "there is none yet". [Read] conditions an object that is not written; [Fence] conditions a lease.
//
// # Following
//
// Scan, then watch: together they are exact.
//
//	rev, err := s.Scan(ctx, apply)       // everything, as of revision rev
//	stream, err := s.Watch(ctx, rev)     // rev+1, rev+2, … each once, in order, whole
//	for {
//		batch, err := stream.Next(ctx)
//		…
//	}
//
// A [Batch] says everything that its commit did. In particular, when an object is removed, the commands, signals and timers that go
// with it are in the same batch (Removed, Consumed, a timer without Due), so that whoever applies batches needs no rule about removal.
// What a batch refers to is shared by all readers, and must not be changed.
//
// # Errors
//
// A failed commit returns a *[CommitError]. Three groups matter to a caller: the transaction lost a race ([ErrConflict], [ErrFenced]: read again, or
// stop); it can never succeed ([ErrRule], [ErrInvalid], [ErrTooLarge]); the database has a problem. In the last group [ErrUnavailable] and
// [ErrClosed] say that nothing was written, and [ErrUnknown] that nobody knows: read before repeating, the preconditions make a repeat safe.
//
// # Details that engines agree on
//
//   - A transaction that writes nothing is judged and takes no revision; its receipt has the current one.
//   - A signal or timer without a UID is for whichever object has the key, and the commit fills the UID in. When there is no such object, or
//     it has another UID, that is a conflict.
//   - A command, signal or timer that a transaction writes for an object that it removes is in the feed as coming and going, and is not stored.
//   - A removed object appears in the feed in its last form; when the write names the final state (Gone), the form is in that state.
//   - A signal stands until it is consumed, also when it has expired. A raiser's condition (Seen) is judged by those that stand, with what earlier transactions
//     of its group have raised.
//   - History by kind is in the order of the commits, and a page of it never ends within one.
//   - Removal by key (Object nil) is refused while finalizers remain.
//   - UID and Created of an object never change, Generation never falls, Deleted is never taken back.
//   - A new object may be in any state that the kind's table knows. Kinds that were never registered have no rules.
//   - Within a transaction a key, a command's slot, and a consumed signal each appear once.
package store
