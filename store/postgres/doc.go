// Package postgres is the engine for many machines: [store.Store] on PostgreSQL 14 or newer.
//
//	err := postgres.Migrate(ctx, "postgres://owner@db/plane")   // once, and with every new version
//	s, err := postgres.Open(ctx, postgres.Options{URL: "postgres://app@db/plane"})
//	defer s.Close()
//
// # The way of a commit
//
// [Store.Commit] makes a draft on the caller's goroutine and queues it. One goroutine, the committer (committer.go), draws a group of drafts that touch
// different things, lays them out in columns (columns.go) and sends them by one call of one function, setpoint.commit_v2. The function locks the counter, and only then, in statements that see
// everything committed before, judges each transaction, writes those that hold, and returns a verdict for each. The call is a transaction of its own: one round trip, one
// flush of the log, however many transactions are in the group.
//
// # When no answer comes
//
// A connection that ends after a group was sent leaves its outcome unknown. The committer connects again, waits for the counter, and raises its own epoch, which every group
// states and the function checks: now what is not there never will be. Then it looks: every commit in the feed carries the committer's number of it. Members that are found get their
// receipts, the others go into a new group (doubt.go).
//
// # The feed
//
// A commit that follows the last one known is given to the watchers at once, as the very objects that were written. Otherwise, and for commits of other processes, the
// follower (follow.go) reads the table, woken by a notification per group. A notification that gets lost costs one period of renewal at most: renewing a lease, or a
// node's beat, also tells the newest revision (hints.go).
//
// # The work of many nodes
//
// A shard's assignment is a row of the table of leases, whose holder is a node (shards.go, nodes.go), so that commit_v2 checks its epoch as it checks any. Taking one waits for the counter, as every change
// of a holder does: a commit under the former epoch is either before the revision that the taker is told, or refused. A beat is one statement, writes one row that is the node's own, and
// stands for the heartbeat of the store; assignments come with it only when their version is another one. Changes are announced on a channel of their own, and the session that listens says
// so also when it begins, since some may have been missed. See migrations/00007_shards.sql for how old and new programs keep apart.
//
// # When another server becomes the primary
//
// The URL names the servers; the one that takes writes is looked for whenever a connection ends. A former primary that nobody told still takes writes: a process that has seen its successor
// refuses it, by the timeline (lineage.go), and one that has not gets no acknowledgement there while synchronous_standby_names makes its commits wait. A new session may lead to a server that lacks
// what was published, because its standby was behind: before anything more is published the newest commit is compared, and if it is another one, readers are told to scan again.
//
// # The rules
//
// The application's role owns no table and may write none. It calls functions, which judge. Below them, triggers hold every writer to the rules: see migrations/00002_guards.sql
// and docs/reference/postgresql.md, which also says what a superuser can do.
package postgres
