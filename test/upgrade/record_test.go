package upgrade

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// record is what the feed of the database has about orders and commands, commit by commit.
type record struct {
	mu     sync.Mutex
	orders []string // each change, as a watch tells it
	spent  []string // commands with an attempt that was not the first, or not a good one
	done   map[command.Token]bool
}

// order is the kind of the load's orders.
const order resource.KindID = "Order.upgrade.example"

// see takes note of a commit.
func (r *record) see(b store.Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range b.Objects {
		if o.Object.Key.Kind == order {
			r.orders = append(r.orders, told(eventOf(o), string(o.Object.Key.Name), fmt.Sprint(b.Revision)))
		}
	}
	for _, change := range b.Commands {
		c := change.Command
		if c.Phase == command.Done {
			r.done[c.Token] = true
		}
		clean := c.Phase == command.Done && c.Attempt == 1 || c.Phase.Open() && c.Attempt == 0 && (c.Message == "" || c.Phase == command.Accepted)
		if !clean || c.Class != "" || c.Unknown || c.Losses > 0 {
			r.spent = append(r.spent, fmt.Sprintf("revision %d: %s %s: %s after %d attempts, %s %q", b.Revision, c.Slot, c.Token, c.Phase, c.Attempt, c.Class, c.Message))
		}
	}
}

func eventOf(o store.ObjectChange) client.EventType {
	switch {
	case o.Removed:
		return client.Deleted
	case o.Created:
		return client.Added
	}
	return client.Modified
}

func told(what client.EventType, name, version string) string {
	return string(what) + " " + name + " " + version
}

// count is how many changes of orders there were.
func (r *record) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.orders)
}

// viewer watches orders from a version on, through whichever nodes there are.
type viewer struct {
	name string
	end  context.CancelFunc
	over chan error

	mu   sync.Mutex
	seen []string
}

// watch begins to watch what changes from now on. Nothing may be changing yet.
func (l *load) watch(name string) *viewer {
	l.site.Helper()
	c, k := l.site.client(name), l.kinds["orders"]
	list, err := c.List(l.site.Context(), k, client.ListOptions{})
	if err != nil {
		l.site.Fatal(err)
	}
	ctx, cancel := context.WithCancel(l.site.Context())
	v := &viewer{name: name, end: cancel, over: make(chan error, 1)}
	l.site.Cleanup(cancel)
	go func() {
		for e, err := range c.Watch(ctx, k, client.WatchOptions{From: list.Version}) {
			if err != nil {
				v.over <- err
				return
			}
			v.see(e)
		}
		v.over <- nil
	}()
	return v
}

func (v *viewer) see(e client.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seen = append(v.seen, told(e.Type, string(e.Object.Metadata.Name), string(e.Object.Metadata.ResourceVersion)))
}

func (v *viewer) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.seen)
}

// stop ends the watch, which must not have ended by itself.
func (v *viewer) stop() error {
	v.end()
	if err := <-v.over; !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the watch has ended: %w", err)
	}
	return nil
}
