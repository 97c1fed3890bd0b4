package control

import (
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// Controller is a compare over objects of one kind: what an author's function becomes, with how it is to be run. Make one with
// [Kind.Driver] or [Kind.Controller].
type Controller struct {
	name   string
	writer string
	kind   *resource.Definition
	driver bool
	run    func(*Turn) Outcome

	err      error                 // what is wrong with it, to be reported when it is registered
	adapters []command.AdapterName // those that it cannot do without

	workers   int
	deadline  time.Duration
	base, cap time.Duration
	// everywhere: it runs on every node.
	everywhere bool
}

// ControllerOption tunes how a controller runs.
type ControllerOption func(*Controller)

// Workers sets how many turns of a controller run at once, never two for one object. Workers mostly wait for their commits, which
// the store makes in groups, so many of them make large groups and cost little. The default is 64.
func Workers(n int) ControllerOption { return func(c *Controller) { c.workers = max(1, n) } }

// TurnDeadline sets how long a turn may take before its worker is reported as stuck and replaced. Turns call nothing, so
// the default of 10 s is long.
func TurnDeadline(d time.Duration) ControllerOption { return func(c *Controller) { c.deadline = d } }

// Backoff sets the window in which failed turns are repeated: from base, doubling, to limit. The default is 100 ms to 1 min.
func Backoff(base, limit time.Duration) ControllerOption {
	return func(c *Controller) { c.base, c.cap = base, limit }
}

// Everywhere lets a controller run on every node, for all objects, outside of what keeps two nodes from the same work: for what keeps others alive, and should not wait until a node that
// has died is replaced. Its commits carry no fence, only the versions that every write names: where several nodes come to the same conclusion, one commits it, and the
// others find it done. A call of such a controller may be made by several nodes, under one token, and with an epoch that is the same for all; so it has one effect where the subsystem remembers tokens, and
// nothing but its intent orders it. It is begun only by a process that the store has told, no longer than 3 s ago, that the call is wanted: one that is cut off makes none. On a store with one process it makes no difference.
func Everywhere() ControllerOption { return func(c *Controller) { c.everywhere = true } }

func newController(name string, def *resource.Definition, driver bool, run func(*Turn) Outcome, opts []ControllerOption) Controller {
	c := Controller{
		name: name, writer: "controller/" + name, kind: def, driver: driver, run: run,
		workers: 64, deadline: 10 * time.Second, base: 100 * time.Millisecond, cap: time.Minute,
	}
	for _, opt := range opts {
		opt(&c)
	}
	return c
}

// Name is the controller's name, unique in a plane. It is also the finalizer under which it holds objects.
func (c Controller) Name() string { return c.name }

// Kind is the kind the controller drives or watches.
func (c Controller) Kind() *resource.Definition { return c.kind }

// IsDriver reports whether the controller is the one that may move its kind's objects between states.
func (c Controller) IsDriver() bool { return c.driver }
