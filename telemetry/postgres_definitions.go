package telemetry

var pgTable = label("table")

// What is served beside the others on PostgreSQL.
var (
	pgUp = Metric{
		Name: "setpoint_postgres_up", Kind: Gauge, Help: "1 when the database has said how it stands, 0 when it did not answer in time.",
		Use: "While it is 0 the other metrics about the database are missing. Commits say more about whether it works: setpoint_commits_total.",
	}
	pgLive = Metric{
		Name: "setpoint_postgres_live_rows", Kind: Gauge, Help: "Rows of a table, as the server estimates them.", Labels: []Label{pgTable},
		Use: "object is how many objects there are. timer, signal and command follow the work under way.",
	}
	pgDead = Metric{
		Name: "setpoint_postgres_dead_rows", Kind: Gauge, Help: "Rows of a table that vacuuming has not removed yet, as the server estimates them.", Labels: []Label{pgTable},
		Use: "counter, lease, object and command are written all the time. More dead than live rows for long: an old transaction or a slot keeps vacuuming from them (setpoint_postgres_oldest_transaction_seconds), or autovacuum does not get round.",
	}
	pgBytes = Metric{
		Name: "setpoint_postgres_table_bytes", Kind: Gauge, Help: "What a table takes on disk, with its indexes and partitions.", Labels: []Label{pgTable},
		Use: "feed is bounded by postgres.retain-revisions. history grows for ever unless postgres.retain-history is set.",
	}
	pgPartitions = Metric{
		Name: "setpoint_postgres_partitions", Kind: Gauge, Help: "Partitions of a table.", Labels: []Label{pgTable},
		Use: "Growing without end: nothing is dropped, because nothing is retained for a bounded time.",
	}
	pgFeedAhead = Metric{
		Name: "setpoint_postgres_feed_ahead_revisions", Kind: Gauge, Help: "How many commits the feed's partitions made so far have room for.",
		Use: "Near 0: making partitions fails; the log says why. Commits go on, into a partition that is not dropped as a whole.",
	}
	pgHistoryAhead = Metric{
		Name: "setpoint_postgres_history_ahead_seconds", Kind: Gauge, Help: "How much time the history's partitions made so far have room for.",
		Use: "Partitions are made when commits call for them: below 0 in a database where something is committed, making them fails.",
	}
	pgOldest = Metric{
		Name: "setpoint_postgres_oldest_transaction_seconds", Kind: Gauge, Help: "Age of the transaction that has run longest on the server, prepared ones included.",
		Use: "Alert above some minutes: vacuuming keeps all that it might see, and the hot tables swell. Somebody's forgotten BEGIN, as a rule. It needs the guard that a superuser's migration sets, to see other roles.",
	}
	pgWaiting = Metric{
		Name: "setpoint_postgres_lock_waits", Kind: Gauge, Help: "Sessions on the database that wait for a lock.",
		Use: "Committers of several nodes wait for each other for moments. More than there are nodes, for long: somebody holds a lock; the log names who holds up a commit.",
	}
	pgProposals = Metric{
		Name: "setpoint_postgres_proposals_waiting", Kind: Gauge, Help: "Proposals without a verdict.",
		Use: "Above 0 for long: no server admits them, or the database fails it; the log says which.",
	}
	pgBlocked = Metric{
		Name: "setpoint_postgres_blocked_total", Kind: Counter, Help: "How often a commit was found to wait for another session for a second.",
		Use: "The log names the session. Anything above 0 deserves a look.",
	}
	pgHints = Metric{
		Name: "setpoint_postgres_hints_lost_total", Kind: Counter, Help: "Commits of other processes that became known by asking, not by a notification.",
		Use: "Each was seen late, by one heartbeat at most. A connection pooler that loses LISTEN shows here.",
	}
	pgResolved = Metric{
		Name: "setpoint_postgres_unknown_resolved_total", Kind: Counter, Help: "Transactions that were sent and not answered, and then looked up.",
		Use: "Connections that break during a commit. What cannot be looked up is counted as unknown in setpoint_commits_total.",
	}
	pgReconnects = Metric{
		Name: "setpoint_postgres_reconnects_total", Kind: Counter, Help: "Sessions for commits, leases and notifications that were made anew.",
		Use: "Restarts and fail-overs show as a few. A steady rate is the network, or somebody who ends sessions.",
	}
)

// PostgresDefinitions are the metrics that a server on PostgreSQL serves beside [Definitions].
func PostgresDefinitions() []Metric {
	return []Metric{
		pgUp, pgLive, pgDead, pgBytes, pgPartitions, pgFeedAhead, pgHistoryAhead, pgOldest, pgWaiting, pgProposals,
		pgBlocked, pgHints, pgResolved, pgReconnects,
	}
}
