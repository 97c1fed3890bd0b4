package setpoint

import "context"

// Note is a line that a write leaves in the history of its object, by the same commit: there is one exactly if there is the other.
type Note struct {
	// Reason is a CamelCase word, Message a sentence.
	Reason, Message string
}

// UpdateNoted is [Plane.Update] with a note, by which whoever comes later can tell that this very write was done: after a crash, for example, that left
// open whether it was. A write that changes nothing leaves none.
func (p *Plane) UpdateNoted(ctx context.Context, by string, key Key, change Change, n Note) (*Object, error) {
	return p.update(ctx, write{by: by, why: n.Message, note: n}, key, change)
}
