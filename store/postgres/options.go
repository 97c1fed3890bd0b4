package postgres

import (
	"errors"
	"log/slog"
	"time"

	"github.com/setpointhq/setpoint/store"
)

var (
	// ErrSchema says that the database's schema does not fit this program: it is missing, older, or too new.
	ErrSchema = errors.New("schema does not fit")
	// ErrPrivilege says that the user of the connection may not do what is asked.
	ErrPrivilege = errors.New("privilege missing")
)

// Role names. Migrate creates the roles; log in as one that is a member of them.
const (
	// RoleOwner owns the schema. Migrate runs as it.
	RoleOwner = "setpoint_owner"
	// RoleApp is what the engine runs as: it reads, and writes through functions.
	RoleApp = "setpoint_app"
	// RoleRead reads.
	RoleRead = "setpoint_read"
)

// Options configure [Open]. Only URL is required; every other zero value takes the default named beside it.
type Options struct {
	// URL names the database, as "postgres://user:password@host:5432/database?sslmode=verify-full". It may name several hosts, separated by commas: the one that
	// takes writes is used, and looked for again after a fail-over.
	URL string
	// Name tells this process from others, in pg_stat_activity and in messages. Default: the host's name and the process number.
	Name string
	// Logger hears what is worth knowing. Default: nothing is said.
	Logger *slog.Logger
	// Readers is the most connections for reading. Besides them there are six: for commits, for leases, for membership, for notifications, for following the feed and for administrators. Default 4.
	Readers int
	// GroupMax is the most transactions in one group. Default 256.
	GroupMax int
	// RingBytes bounds the commits kept in memory for watchers that keep up. Default 32 MiB.
	RingBytes int
	// RetainRevisions is how many commits the feed keeps for watchers that fell behind. Partitions of PartitionRevisions are dropped when all in them is
	// older. Default 1,000,000. Negative keeps all, until Compact.
	RetainRevisions int
	// RetainHistory is how long history is kept: partitions of PartitionHistory are dropped when all in them is older. Default 0: for ever.
	RetainHistory time.Duration
	// PartitionRevisions is the number of commits in a partition of the feed. Default 100,000. It must not change for a database.
	PartitionRevisions int
	// PartitionHistory is the time in a partition of the history. Default 24 h.
	PartitionHistory time.Duration
	// LockTimeout bounds how long a group waits for the counter before it is given up, and who holds it is named. Default 5 s.
	LockTimeout time.Duration
	// StatementTimeout bounds a group as a whole. Default 30 s.
	StatementTimeout time.Duration
	// Patience is how long a commit waits for a database that is away, before it fails with store.ErrUnavailable. Default 5 s.
	Patience time.Duration
	// Heartbeat is how often the newest revision is asked for when no lease is renewed meanwhile. Default 3 s.
	Heartbeat time.Duration
	// Caps are the sizes above which a transaction is refused.
	Caps store.Caps
	// Observe, when set, is called after every group, by the committer: it must return quickly.
	Observe func(store.GroupStats)
}

func (o Options) withDefaults() Options {
	orDefault(&o.Logger, slog.New(slog.DiscardHandler))
	orDefault(&o.Name, store.ProcessName())
	orDefault(&o.Readers, 4)
	orDefault(&o.GroupMax, 256)
	orDefault(&o.RingBytes, 32<<20)
	orDefault(&o.RetainRevisions, 1_000_000)
	orDefault(&o.PartitionRevisions, 100_000)
	orDefault(&o.PartitionHistory, 24*time.Hour)
	orDefault(&o.LockTimeout, 5*time.Second)
	orDefault(&o.StatementTimeout, 30*time.Second)
	orDefault(&o.Patience, 5*time.Second)
	orDefault(&o.Heartbeat, 3*time.Second)
	o.Caps = o.Caps.WithDefaults()
	return o
}

func orDefault[T comparable](at *T, value T) {
	var zero T
	if *at == zero {
		*at = value
	}
}
