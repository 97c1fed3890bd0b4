package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/setpointhq/setpoint/adapter/subsystem"
)

// order is the place of a call among all calls of a plane: what was decided later has a higher one, whatever its key.
//
// The kit keeps the order of one key. But a server is turned by calls of several keys, and perhaps of several owners: it unfollows for one and follows for
// another. A call that the network, or the end of a plane, has held up must not turn back what a later one has done.
// Intents are revisions of the plane's database, and so rise over all its objects, whoever drives them; a restored database, whose revisions are earlier ones, has a
// higher incarnation.
type order struct {
	Incarnation uint64 `json:"incarnation,omitempty"`
	Intent      uint64 `json:"intent,omitempty"`
}

func orderOf(c subsystem.Change) order { return order{c.Epoch.Incarnation, c.Intent} }

// compare goes by intents alone where an incarnation is not known.
func (o order) compare(other order) int {
	if o.Incarnation == 0 || other.Incarnation == 0 {
		return cmp.Compare(o.Intent, other.Intent)
	}
	return cmp.Or(cmp.Compare(o.Incarnation, other.Incarnation), cmp.Compare(o.Intent, other.Intent))
}

// errOvertaken says that a later operation has turned the server already.
var errOvertaken = errors.New("a later operation has turned the server")

// overtaken refuses an operation that comes too late.
func (s *server) overtaken(o order) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.compare(s.turned) < 0 {
		return fmt.Errorf("%w: this one is intent %d of incarnation %d, and intent %d of %d was done", errOvertaken, o.Intent, o.Incarnation, s.turned.Intent, s.turned.Incarnation)
	}
	return nil
}

// turns notes, before anything is done, that an operation turns the server: from then on no earlier one does. It is for who has the turn.
func (s *server) turns(ctx context.Context, o order) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := s.overtaken(o); err != nil {
		return err
	}
	s.mu.Lock()
	same := o == s.turned
	s.turned = o
	s.mu.Unlock()
	if same {
		return nil
	}
	s.state.Turned = o
	return s.save()
}
