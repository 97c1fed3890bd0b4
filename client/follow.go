package client

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/setpointhq/setpoint/resource"
)

// Follow lists what there is (each object as [Added], then one [Synced]), then streams changes. When the position is not retained any more it
// lists again and delivers the differences, so that the reader sees every object's latest form and every deletion, though not every form between.
// From and Tables are not used. The loop ends when it is left, and after the first error: that of ctx, or of a list.
func (c *Client) Follow(ctx context.Context, k Kind, o WatchOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f := follower{known: map[resource.UID]*Object{}, yield: yield}
		// A server that forgets faster than this client reads must not be asked for lists without a pause.
		for expired := 0; ; expired++ {
			if expired > 0 {
				if err := c.config.Pause(ctx, c.backoff(expired)); err != nil {
					yield(Event{}, fmt.Errorf("follow %s: %w", k, err))
					return
				}
			}
			list, err := c.whole(ctx, k, o.ListOptions)
			switch {
			case errors.Is(err, ErrExpired): // between two pages
				continue
			case err != nil:
				yield(Event{}, err)
				return
			case !f.listed(list.Items):
				return
			}
			o.From, f.events = list.Version, 0
			if !f.watch(ctx, c, k, o) {
				return
			}
			if f.events > 0 {
				expired = 0
			}
		}
	}
}

// follower knows what its reader has been told.
type follower struct {
	known map[resource.UID]*Object
	yield func(Event, error) bool
	// events counts what the present watch has delivered.
	events int
}

// listed delivers the differences to what is known. It reports whether to go on.
func (f *follower) listed(items []*Object) bool {
	exists := make(map[resource.UID]bool, len(items))
	for _, o := range items {
		exists[o.Metadata.UID] = true
	}
	for uid, o := range f.known {
		if !exists[uid] && !f.tell(Deleted, o) {
			return false
		}
	}
	for _, o := range items {
		have, seen := f.known[o.Metadata.UID]
		switch {
		case !seen && !f.tell(Added, o):
			return false
		case seen && have.Metadata.ResourceVersion != o.Metadata.ResourceVersion && !f.tell(Modified, o):
			return false
		}
	}
	return f.yield(Event{Type: Synced}, nil)
}

func (f *follower) tell(t EventType, o *Object) bool {
	if t == Deleted {
		delete(f.known, o.Metadata.UID)
	} else {
		f.known[o.Metadata.UID] = o
	}
	return f.yield(Event{Type: t, Object: o, Raw: o.Raw}, nil)
}

// watch streams until the position has expired, and reports whether to list again.
func (f *follower) watch(ctx context.Context, c *Client, k Kind, o WatchOptions) bool {
	o.Tables = false
	for e, err := range c.Watch(ctx, k, o) {
		f.events++
		switch {
		case errors.Is(err, ErrExpired):
			f.events--
			return true
		case err != nil:
			f.yield(Event{}, err)
			return false
		case e.Type == Bookmark:
			if !f.yield(e, nil) {
				return false
			}
		case !f.tell(e.Type, e.Object):
			return false
		}
	}
	return false
}
