package scan

import (
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// size is how many items a batch of a scan holds.
const size = 500

// Collector collects what a scan reads. Its methods give full batches to the visitor, and then fail as the visitor does.
type Collector struct {
	visit func(store.Batch) error
	// check fails when the scan has to end.
	check func() error
	batch store.Batch
	items int

	// Visited says that the visitor was given something, Refused is its error.
	Visited bool
	Refused error
}

// New begins a scan at a revision. Before each batch is given away, check may end the scan.
func New(rev resource.Revision, check func() error, visit func(store.Batch) error) *Collector {
	return &Collector{visit: visit, check: check, batch: store.Batch{Revision: rev}}
}

// Object adds an object.
func (c *Collector) Object(o *resource.Object) error {
	if c.batch.Objects == nil {
		c.batch.Objects = make([]store.ObjectChange, 0, size)
	}
	c.batch.Objects = append(c.batch.Objects, store.ObjectChange{Object: o})
	return c.added()
}

// Command adds a command.
func (c *Collector) Command(x command.Command) error {
	c.batch.Commands = append(c.batch.Commands, store.CommandChange{Command: x})
	return c.added()
}

// Signal adds a signal that stands.
func (c *Collector) Signal(s store.Signal) error {
	c.batch.Raised = append(c.batch.Raised, s)
	return c.added()
}

// Timer adds a timer that is set.
func (c *Collector) Timer(t store.Timer) error {
	c.batch.Timers = append(c.batch.Timers, t)
	return c.added()
}

func (c *Collector) added() error {
	if c.items++; c.items < size {
		return nil
	}
	return c.Flush()
}

// Flush gives what there is to the visitor.
func (c *Collector) Flush() error {
	if err := c.check(); err != nil {
		return err
	}
	if c.items == 0 {
		return nil
	}
	full := c.batch
	c.batch, c.items, c.Visited = store.Batch{Revision: full.Revision}, 0, true
	c.Refused = c.visit(full)
	return c.Refused
}
