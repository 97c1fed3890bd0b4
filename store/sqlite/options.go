package sqlite

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"time"
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

// Caps are sizes in bytes above which a transaction is refused with store.ErrTooLarge, before anything is written.
type Caps struct {
	// Object is the JSON of spec, status and attributes together. Default 1 MiB.
	Object int
	// Command is request and result together. Default 2 MiB.
	Command int
	// Signal is the payload. Default 64 KiB.
	Signal int
	// Text is any name, reason or message. Default 4 KiB.
	Text int
	// Transaction is everything together. Default 16 MiB.
	Transaction int
}

// Hooks let a test stand where crashes happen. They run on the writer's goroutine.
type Hooks struct {
	// BeforeCommit runs when a group is written and not yet committed. An error fails the group; nothing is written.
	BeforeCommit func(GroupStats) error
	// AfterCommit runs when the group is durable, before anyone is told. An error is what the committers get, as
	// store.ErrUnknown: the acknowledgement is lost. The feed has the commits all the same.
	AfterCommit func(GroupStats) error
}

// GroupStats describes one group.
type GroupStats struct {
	// Members is how many transactions were judged, Committed how many of them were accepted.
	Members, Committed int
	// First and Last are the revisions given; both 0 when none was.
	First, Last uint64
	// Statements and Bytes went to the database.
	Statements, Bytes uint64
	// Singly says that a rule in the database stopped the group, and its members were run one by one.
	Singly bool
	// Duration is the time from the first statement to the acknowledgement of the disk.
	Duration time.Duration
}

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
	orDefault(&o.Caps.Object, 1<<20)
	orDefault(&o.Caps.Command, 2<<20)
	orDefault(&o.Caps.Signal, 64<<10)
	orDefault(&o.Caps.Text, 4<<10)
	orDefault(&o.Caps.Transaction, 16<<20)
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
