package sqlite

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"

	"github.com/setpointhq/setpoint/store"
)

var (
	// ErrInUse says that another process, or this one, has the database open for writing.
	ErrInUse = errors.New("database in use")
	// ErrNewerSchema says that a newer program wrote the database.
	ErrNewerSchema = errors.New("database from a newer version")
	// ErrDamaged says that a backup or a database does not pass the integrity check.
	ErrDamaged = errors.New("database damaged")
)

// Options configure [Open]. Only Path is required; every other zero value takes the default named beside it.
type Options struct {
	// Path is the database file, on a local file system. Its folder must exist; "-wal", "-shm" and ".lock" appear beside it.
	Path string
	// NewUID makes the identity of a new database. Default: 128 random bits in hexadecimal.
	NewUID func() string
	// Logger hears what is worth knowing. Default: nothing is said.
	Logger *slog.Logger
	// Hooks are for tests and fault drivers.
	Hooks Hooks
	// RetainRevisions is how many commits the feed keeps for watchers that fell behind; older ones are forgotten as new ones come.
	// Default 100,000. Negative keeps all, until Compact.
	RetainRevisions int
	// GroupMax is the most transactions in one group. Default 256.
	GroupMax int
	// RingBytes bounds the commits kept in memory for watchers that keep up. Default 32 MiB.
	RingBytes int
	// Readers is the most connections for reading. Default 4.
	Readers int
	// Caps bound what is accepted.
	Caps Caps
	// Observe, when set, is called after every group, by the writer: it must return quickly.
	Observe func(GroupStats)
}

// Caps are the sizes above which a transaction is refused.
type Caps = store.Caps

// Hooks let a test stand where crashes happen. They run on the writer's goroutine.
type Hooks struct {
	// BeforeCommit runs when a group is written and not yet committed. An error fails the group; nothing is written.
	BeforeCommit func(GroupStats) error
	// AfterCommit runs when the group is durable, before anyone is told. An error is what the committers get, as
	// store.ErrUnknown: the acknowledgement is lost. The feed has the commits all the same.
	AfterCommit func(GroupStats) error
}

// GroupStats describes one group.
type GroupStats = store.GroupStats

func (o Options) withDefaults() Options {
	if o.NewUID == nil {
		o.NewUID = randomID
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	orDefault(&o.RetainRevisions, 100_000)
	orDefault(&o.GroupMax, 256)
	orDefault(&o.RingBytes, 32<<20)
	orDefault(&o.Readers, 4)
	o.Caps = o.Caps.WithDefaults()
	return o
}

func orDefault(n *int, value int) {
	if *n == 0 {
		*n = value
	}
}

func randomID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails, by its documentation
	return hex.EncodeToString(id[:])
}
