package store

import "time"

// Caps are sizes in bytes above which a transaction is refused with [ErrTooLarge], before anything is written. A zero takes the default.
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

// WithDefaults fills in what is zero.
func (c Caps) WithDefaults() Caps {
	for _, cap := range []struct {
		at    *int
		value int
	}{{&c.Object, 1 << 20}, {&c.Command, 2 << 20}, {&c.Signal, 64 << 10}, {&c.Text, 4 << 10}, {&c.Transaction, 16 << 20}} {
		if *cap.at == 0 {
			*cap.at = cap.value
		}
	}
	return c
}

// GroupStats describes one group of transactions that an engine committed together.
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
