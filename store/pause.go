package store

import (
	"fmt"
	"time"
)

// LongestPause bounds how long one [Sharded].Pause may last. Who needs longer asks again.
const LongestPause = 7 * 24 * time.Hour

// Pause is the mark that the take-up stands still, on all nodes: what they have gained is theirs, and they give the objects in it no turn for that alone until the pause is over. The zero value is no pause.
//
// It always has an end. Nobody sees that something is not looked at, as somebody sees a node without shards, so a pause that is forgotten has to end by itself.
type Pause struct {
	// By is who asked for it last, in words.
	By string
	// Since is when the take-up began to stand still, Until when it goes on, by the database's clock.
	Since, Until time.Time
	// Left is the time until then, at the moment of the answer. It is positive while there is a pause.
	Left time.Duration
}

// On reports whether there is a pause, at the moment of the answer.
func (p Pause) On() bool { return p.Left > 0 }

// CheckPause judges the arguments of [Sharded].Pause, for engines. The error is an [ErrInvalid].
func CheckPause(by string, length time.Duration) error {
	switch {
	case length < 0 || length > LongestPause:
		return fmt.Errorf("%w: a pause of %s: want one of up to %s, or 0 to end the one that there is", ErrInvalid, length, LongestPause)
	case length > 0 && by == "":
		return fmt.Errorf("%w: a pause without a word of who asks for it", ErrInvalid)
	}
	return nil
}
