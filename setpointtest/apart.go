package setpointtest

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Nothing in a trial may depend on which of two goroutines comes first: a case that is told again must take the same course, or a chance is taken for a difference. Virtual time moves on only
// when everybody waits, so two things come in one order for ever if they are at two moments. So each commit of a plane waits for a moment of its own before it is made, which depends on what it is
// of, and on the seed; and each case is a little later than the one before it in its world, so that what cases have in common (the jitter of pauses, workers) they have in one order too.

// moment is less than any call takes, and longer than any commit waits for its own.
const moment = time.Millisecond

// later is how much each case is later than the one before it, with each commit and each call.
const later = 100 * time.Nanosecond

// apart waits until the moment of a commit. Two commits of the driver of a case's object are at least a moment apart, in which what the first has begun is sent. What belongs to no case does not wait.
func (w *witness) apart(tx *store.Transaction) {
	if wait := w.until(tx); wait > 0 {
		time.Sleep(wait)
	}
}

// until is how long a commit has to wait.
func (w *witness) until(tx *store.Transaction) time.Duration {
	object := about(tx)
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.owned(object)
	if s == nil || !ofPlane(tx.Writer) {
		return 0
	}
	name := s.plain(fmt.Sprintln(w.program.seed, tx.Writer.Name, object.Kind, object.Name))
	for i := range tx.Commands {
		name += s.plain(tx.Commands[i].Command.Key)
	}
	s.commits[name]++
	wait := s.later + within(fmt.Sprintln(name, s.commits[name]), moment)
	if tx.Writer.Name == w.program.writer && object == s.key {
		wait += max(0, time.Until(s.entries[len(s.entries)-1].at.Add(moment)))
	}
	return wait
}

// about is the object that a commit is of.
func about(tx *store.Transaction) resource.Key {
	switch {
	case !tx.Writer.Object.IsZero():
		return tx.Writer.Object
	case len(tx.Commands) > 0:
		return tx.Commands[0].Command.Object
	case len(tx.Objects) > 0 && tx.Objects[0].Object != nil:
		return tx.Objects[0].Object.Key
	case len(tx.Raise) > 0:
		return tx.Raise[0].Object
	}
	return resource.Key{}
}

// ofPlane reports whether a plane's turns or workers commit, not the test or a client.
func ofPlane(writer store.Writer) bool {
	return strings.HasPrefix(writer.Name, "controller/") || strings.HasPrefix(writer.Name, "adapter/")
}

// within is a duration that belongs to a name, shorter than a limit.
func within(name string, limit time.Duration) time.Duration {
	h := fnv.New64a()
	if _, err := h.Write([]byte(name)); err != nil {
		panic(err) // a hash never fails
	}
	return time.Duration(h.Sum64() % uint64(limit))
}
