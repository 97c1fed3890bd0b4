package postgres

import (
	"slices"

	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
)

// deed is how an operation is done in a simulation, and whether to a fenced server too.
type deed struct {
	do     func(*cluster, *simulated, host.Operation) error
	fenced bool
}

var verbs = map[host.Verb]deed{
	host.Fence:       {do: (*cluster).fence, fenced: true},
	host.Unfence:     {do: (*cluster).unfence, fenced: true},
	host.Promote:     {do: (*cluster).promote},
	host.Follow:      {do: (*cluster).follow, fenced: true},
	host.Unfollow:    {do: (*cluster).unfollow},
	host.Restart:     {do: (*cluster).restart},
	host.Synchronous: {do: (*cluster).synchronous},
	host.Barrier:     {do: (*cluster).barrier},
	host.Inspect:     {do: func(*cluster, *simulated, host.Operation) error { return nil }, fenced: true},
}

// fence: whoever has not heard that the address leads nowhere has written up to now.
func (c *cluster) fence(v *simulated, _ host.Operation) error {
	c.write(true)
	if c.pointed && c.backend == v.address() && !v.left {
		c.wrong("%s was fenced while clients were led to it", v.part())
	}
	v.fenced = true
	return nil
}

func (c *cluster) unfence(v *simulated, _ host.Operation) error {
	v.fenced = false
	c.look()
	c.write(false)
	return nil
}

// promote lets a server lead. It must have all that clients were told is safe, and wait for others if there are any.
func (c *cluster) promote(v *simulated, _ host.Operation) error {
	if v.role == host.Primary {
		return nil
	}
	if v.lsn < c.acked[v.line] {
		c.wrong("%s was promoted at %d, where %d was acknowledged", v.part(), v.lsn, c.acked[v.line])
	}
	if len(v.standbys) == 0 && c.attached(v.line) > 1 {
		c.wrong("%s leads and waits for nobody, where there are others", v.part())
	}
	v.role, v.upstream, v.timeline = host.Primary, "", v.timeline+1
	return nil
}

// attached counts the servers of a line that have not left.
func (c *cluster) attached(line string) (n int) {
	for _, v := range c.servers {
		if v.line == line && !v.left {
			n++
		}
	}
	return n
}

// follow repeats what another one writes, from the beginning if need be.
func (c *cluster) follow(v *simulated, o host.Operation) error {
	up := c.at(o.Upstream)
	switch {
	case o.Upstream == v.address():
		c.wrong("%s was told to follow itself", v.part())
	case up == nil && !c.foreign:
		return busy("the upstream %s does not answer", o.Upstream)
	case up == nil:
	case up.fenced:
		return busy("the upstream %s is fenced", up.name)
	default:
		if c.leads(v) && up.line == v.line && v.lsn >= c.acked[v.line] && up.lsn < c.acked[v.line] {
			c.wrong("%s was told to give up what was acknowledged", v.part())
		}
		v.lsn, v.timeline, v.line = up.lsn, up.timeline, up.line
	}
	v.role, v.upstream, v.fenced, v.left = host.Standby, o.Upstream, false, false
	return nil
}

// unfollow lets a server go. Nobody may wait for it, and what was acknowledged because it had it must be on another one that is waited for.
func (c *cluster) unfollow(v *simulated, _ host.Operation) error {
	if v.role == host.Primary {
		return nil
	}
	for _, p := range c.sorted() {
		if c.leads(p) && p.line == v.line && slices.Contains(p.standbys, v.name) {
			c.wrong("%s left, and %s waits for it", v.part(), p.part())
		}
	}
	c.lessen(v)
	v.role, v.upstream, v.left, v.timeline = host.Primary, "", true, v.timeline+1
	return nil
}

func (c *cluster) restart(v *simulated, _ host.Operation) error {
	v.pending = false
	return nil
}

// synchronous changes for whom commits wait. The last one before it did as before.
func (c *cluster) synchronous(v *simulated, o host.Operation) error {
	c.write(false)
	v.standbys = o.Standbys
	return nil
}

// barrier is a commit of our own.
func (c *cluster) barrier(v *simulated, _ host.Operation) error {
	v.lsn++
	if !c.acknowledge(v, false) {
		return busy("nobody has it whom %s waits for", v.name)
	}
	return nil
}
