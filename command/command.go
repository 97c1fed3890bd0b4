package command

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// AdapterName names an adapter, the one way to a kind of subsystem: "dns", "hosts".
type AdapterName string

// Token is the idempotency token of one intended effect: 32 lower-case hex digits. It is computed
// once, stored with the command, and sent unchanged with every attempt and look-up. A repair is
// another intent, and has another token.
type Token string

// Slot is the identity of a command: one object keeps at most one live command per adapter and
// natural key. A new wish for the same slot replaces the old one, under a higher intent.
type Slot struct {
	Owner   resource.UID
	Adapter AdapterName
	// Key is the natural key of the effect at the subsystem: a name, a path, an address, or the
	// owner's UID where the subsystem has no better one.
	Key string
}

func (s Slot) String() string { return string(s.Adapter) + "/" + s.Key }

// Phase says how far a command has come.
type Phase string

const (
	// Pending: committed, and to be sent at NotBefore or as soon as a slot is free.
	Pending Phase = "Pending"
	// Accepted: the subsystem works on it; it is asked again at NotBefore with the same token.
	Accepted Phase = "Accepted"
	// Done: acknowledged. Result holds the answer.
	Done Phase = "Done"
	// Refused: the subsystem said no, and repeating the same request cannot help.
	Refused Phase = "Refused"
	// Exhausted: the retry policy is used up. Paused and visible, until its owner or an operator acts.
	Exhausted Phase = "Exhausted"
	// Lost: it was done, and observation has since contradicted the acknowledgement (drift, amnesia,
	// a dead process). The owner's turn decides what follows.
	Lost Phase = "Lost"
)

// Open reports whether the engine still has to send something.
func (p Phase) Open() bool { return p == Pending || p == Accepted }

// Command is one intended effect, as stored. A turn commits it; afterwards only results of its
// attempts, observations, and a new intent change it.
type Command struct {
	Slot
	// Object is the owner's key at the time of the commit.
	Object resource.Key
	// Controller is the one whose turn staged the command, and is woken by its result.
	Controller string
	// Intent orders the wishes for one natural key. It is the revision of the view that the wish was
	// computed from, or one more than the intent before where that is higher, so it rises with every new
	// wish, also when a namesake of a former owner asks. A new intent begins when the request changes, when
	// an observation contradicts an acknowledgement, and when an operator has what was given up tried
	// again; never with a further attempt.
	Intent uint64
	// Token is TokenOf(incarnation at commit, slot, intent).
	Token Token
	// Destination tells apart the instances behind one adapter (an address, a host); "" is the default.
	Destination string
	// Unit is the unit of order: of the commands of one (adapter, unit) one is under way at a time, the oldest that
	// is due first. Defaults to the natural key.
	Unit string
	// Request holds the exact bytes that every attempt sends. nil asks for absence.
	Request []byte
	// Deadline, when set, is the moment after which no further attempt is made.
	Deadline time.Time

	Phase Phase
	// Attempt counts the attempts that ended, of this intent.
	Attempt int
	// NotBefore delays the next attempt (backoff, throttling, polling of an accepted one).
	NotBefore time.Time
	// Result holds the subsystem's answer of the last acknowledgement. It is kept across a new
	// intent, so that a repair can ask for the same address again.
	Result []byte
	// Handle is the subsystem's name for accepted work.
	Handle string
	// Class and Message describe the last attempt that was not done, or the observation that made it Lost.
	Class   Class
	Message string
	// Losses counts observations that contradicted an acknowledgement in quick succession; the wait
	// before the next repair grows with it.
	Losses int
	// Unknown says that an attempt ended without an answer and no later one has settled it.
	Unknown bool
	// Created and Changed are the moments of the intent and of the last commit.
	Created, Changed time.Time
	// Revision is the commit that changed the row last, 0 when not yet stored.
	Revision resource.Revision
}

// TokenOf derives the token of an intent. The incarnation is part of it so that a restored database,
// whose revisions run over the same numbers again, cannot meet a subsystem that answers "already done" to another request.
func TokenOf(incarnation uint64, s Slot, intent uint64) Token {
	h := sha256.New()
	for _, part := range []string{
		strconv.FormatUint(incarnation, 10), string(s.Owner), string(s.Adapter), s.Key, strconv.FormatUint(intent, 10),
	} {
		fmt.Fprintf(h, "%d:%s,", len(part), part)
	}
	return Token(hex.EncodeToString(h.Sum(nil)[:16]))
}
