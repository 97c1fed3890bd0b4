// Package sqlite is the embedded engine: a [store.Store] on one SQLite file, without cgo and without a server.
//
//	s, err := sqlite.Open(ctx, sqlite.Options{Path: "setpoint.db"})
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//
// # How it works
//
// One goroutine owns the connection that writes (writer.go). Transactions that wait are drained into one database transaction, a group (group.go);
// each is judged against the rows as those before it left them (judge.go), and written (apply.go) or refused, by itself. The group is one COMMIT, with
// an fsync, and every member that was accepted gets a revision of its own. Members named "api:…" enter the next group first. What
// can be done without the database (checking, encoding) was done on the goroutine of whoever commits (store/internal/draft).
//
// After the COMMIT the group goes to the feed in memory (store/internal/feed), as the very objects that were written, and only then do the committers hear. A
// watcher that keeps up reads there and costs no statement; one that fell behind reads the table feed (stream.go). Reads go
// to connections of their own (readers.go), each inside one read transaction. A store at rest executes nothing: no ticker, no renewal.
//
// # One process
//
// An exclusive lock on "<path>.lock" makes this the one process that writes; a second Open is refused with the number of the first. Since
// the kernel frees the lock of a dead process, and only then, whoever opens knows that every earlier holder of a lease is dead: leases are free at
// once, without waiting for their time, and epochs rise all the same. Leases live by the clock of this process, so renewing one writes nothing.
//
// # Nodes and shards
//
// [Store] is a [store.Sharded] too, so that a plane can be run the same way on one file: then usually one node has all shards, and several in tests. A shard's assignment is a row of the table of
// leases, freed like every lease when the file is opened. Only a node's first beat writes; its membership is kept in memory, lives by the clock of this process, and dies with it. Triggers count the
// version of assignments and cordons, so that one made by hand is noticed as well.
//
// # A person with a shell
//
// The rules are in the file (migrations/): triggers refuse an illegal transition, a version that does not move by one commit, a changed identity, an
// epoch that falls, JSON that is none, and every write to what only the engine keeps, with messages that say what to do instead. A change
// that keeps the rules is welcome, as one transaction:
//
//	BEGIN;
//	UPDATE meta SET revision = revision + 1;
//	UPDATE object SET state = 'Failed', revision = (SELECT revision FROM meta) WHERE kind = '…' AND name = '…';
//	COMMIT;
//
// The engine sees with its next group ([Store.Refresh] makes one) that another connection has committed (PRAGMA data_version), gives such commits their places in the
// feed and the history under the writer's name [ForeignWriter], and reads leases and rules again. The triggers guard against mistakes, not against
// the owner of the file, who can drop them.
//
// # When the disk fails
//
// A statement that fails before COMMIT has written nothing: [store.ErrUnavailable]. When COMMIT itself fails, the log may hold the transaction or not, and a
// restart could bring it back. The engine then makes one further commit that succeeds or fails (doubt.go): its success settles what
// came before, and the database is asked. Only if that fails too is the answer [store.ErrUnknown]; nothing else is written until it is settled.
//
// # Backup
//
// [Store.Backup] copies while writing goes on; [Restore] makes a database from a copy, in a new incarnation, whose epochs are above all that anyone has seen.
//
// # Limits
//
// One writing process, on a local file system, on a Unix system (the lock is flock). A COMMIT costs an fsync: 6,500 lone commits/s on a calm disk,
// 20,000 and more when many wait. Nodes on several machines need a database server.
package sqlite
