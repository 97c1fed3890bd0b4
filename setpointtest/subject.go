package setpointtest

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// subject is the object of a case.
type subject struct {
	Case
	key     resource.Key
	uid     resource.UID
	entries []sighting
	calls   []Made
	made    map[command.Slot]int // how many calls there were, by adapter and key
	away    map[command.Slot]time.Time
	tokens  map[command.Token]bool
	signals map[store.SignalID]*seenSignal
	guards  map[decide.GuardName]bool
	raises  []Raised
	parts   map[resource.Key]*resource.Object // what is beside it, in its last form
	// raisesMade is how many of them are in commits that were made.
	raisesMade int
	crashed    map[int]bool   // by order
	commits    map[string]int // how many there were, by what they were of; see apart
	later      time.Duration  // than the first case of the world
	wild       bool           // it was written more often than a case can be worth
}

// sighting is one commit that was about a subject.
type sighting struct {
	revision, seen resource.Revision
	at             time.Time
	byDriver       bool
	cause          string
	// object is as it was written, nil when it was not; gone is the final state that it reached.
	object   *resource.Object
	gone     lifecycle.State
	reason   string
	consumed []store.SignalID
	// guards are the answers to the guards of the table since the commit before.
	guards map[decide.GuardName]bool
	// left is what was there outside, by step, when an action ended.
	left map[string]string
	// trespass is what the driver was refused to do.
	trespass string
}

// seenSignal is a signal as the witness knows it.
type seenSignal struct {
	store.Signal
	consumed resource.Revision // 0 while it stands
}

// A subject may be written so often: by what happens at once, and by what fails, is begun again after a pause of the engine, and fails again, as long as that can go on.
const (
	commitsAtOnce   = 150
	commitsPerPause = 20
	longestPause    = 5 * time.Minute // as the engine rests at most between actions that fail
)

// most is how often the subject may have been written by now.
func (s *subject) most() int {
	if len(s.entries) == 0 {
		return commitsAtOnce
	}
	return commitsAtOnce + commitsPerPause*int(time.Since(s.entries[0].at)/longestPause)
}

// written counts the commits of the driver that wrote the object.
func (s *subject) written() (n int) {
	for i := range s.entries {
		if s.entries[i].byDriver && s.entries[i].object != nil {
			n++
		}
	}
	return n
}

// troubled counts those of them in which something may go wrong still: what repeats without end is written long after.
func (s *subject) troubled() (n int) {
	for i := range s.entries {
		if e := &s.entries[i]; e.byDriver && e.object != nil && e.at.Sub(s.entries[0].at) < troubled {
			n++
		}
	}
	return n
}

// latest is the newest form of the object.
func (s *subject) latest() *resource.Object {
	for i := len(s.entries) - 1; i >= 0; i-- {
		if o := s.entries[i].object; o != nil {
			return o
		}
	}
	return nil
}

// plain writes what belongs to a subject as if the subject were called "it".
func (s *subject) plain(text string) string {
	text = strings.ReplaceAll(text, string(s.key.Name), "it")
	return strings.ReplaceAll(text, string(s.uid), "uid-of-it")
}

// named writes the name of a subject where a text of JSON speaks of "it", or of something beside it.
func (s *subject) named(text []byte) []byte {
	text = bytes.ReplaceAll(text, []byte(`"it"`), []byte(`"`+s.key.Name+`"`))
	return bytes.ReplaceAll(text, []byte(`"it.`), []byte(`"`+s.key.Name+`.`))
}

func (s *subject) plainJSON(text json.RawMessage) json.RawMessage {
	if text == nil {
		return nil
	}
	return json.RawMessage(s.plain(string(text)))
}
