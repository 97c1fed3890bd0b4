package postgres

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
	"github.com/setpointhq/setpoint/setpointtest"
)

// cluster is the servers of one database as they are at the hosts, its address, and its clients, who write whenever that can do harm. It knows what must never be,
// and writes down when it is.
type cluster struct {
	servers map[string]*simulated
	// backend is where the address leads; pointed says that there is an address.
	backend string
	pointed bool
	// acked is how far the log of each line went of which clients were told that it is safe. fresh are lines that begin with a backup, to which nobody has been led yet.
	acked map[string]uint64
	fresh map[string]bool
	// foreign: addresses that are no server's here are those of others, which always answer.
	foreign bool
	// even: all who are waited for have every commit at once.
	even bool
	its  *simulation
	// deeds are what was done, in order, and wrongs what must never be. misled is where clients were led that they cannot write to: operators who abandon an action may do that.
	deeds, wrongs, misled []string
	// lessened is where a server went with what was acknowledged because it had it. When the database is deleted all servers go, in any order.
	lessened []string
	// gone are the addresses of servers that were removed.
	gone []string
}

// simulated is one server.
type simulated struct {
	name     string
	role     host.ServerRole
	fenced   bool
	line     string // the name of the server with which its history began
	left     bool   // it was told to leave: what is written there is nobody's
	pending  bool   // parameters wait for a restart
	upstream string
	standbys []string
	timeline uint32
	lsn      uint64
}

func newCluster(s *simulation) *cluster {
	return &cluster{its: s, servers: map[string]*simulated{}, acked: map[string]uint64{}, fresh: map[string]bool{}}
}

func (c *cluster) wrong(format string, args ...any) {
	c.wrongs = append(c.wrongs, fmt.Sprintf(format, args...)+" (after "+strings.Join(c.deeds, ", ")+")")
}

func (c *cluster) put(v *simulated) { c.servers[v.name], c.its.servers[v.name] = v, v }

// address is another one for each part of a database, and the same for the same part of each.
func address(name string) string {
	_, part, _ := strings.Cut(name, ".")
	h := fnv.New32a()
	if _, err := h.Write([]byte(part)); err != nil {
		panic(err) // a hash never fails
	}
	return fmt.Sprintf("127.0.0.1:%d", 20000+h.Sum32()%10000)
}

func (v *simulated) address() string { return address(v.name) }

// part is the name of the server as a part.
func (v *simulated) part() string {
	_, part, _ := strings.Cut(v.name, ".")
	return part
}

// at is the server behind an address.
func (c *cluster) at(address string) *simulated {
	for _, v := range c.sorted() {
		if v.address() == address {
			return v
		}
	}
	return nil
}

// sorted are the servers, by name.
func (c *cluster) sorted() (all []*simulated) {
	for _, name := range slices.Sorted(maps.Keys(c.servers)) {
		all = append(all, c.servers[name])
	}
	return all
}

// leads reports whether clients can write to a server, and what they write counts.
func (c *cluster) leads(v *simulated) bool {
	return v.role == host.Primary && !v.fenced && !v.left && !c.fresh[v.line]
}

// receiving are the standbys that a server waits for and that follow it.
func (c *cluster) receiving(p *simulated) (all []*simulated) {
	for _, v := range c.sorted() {
		if slices.Contains(p.standbys, v.name) && v.role == host.Standby && !v.fenced && v.upstream == p.address() {
			all = append(all, v)
		}
	}
	return all
}

// write is a client's commit, on every server that takes one. It is acknowledged when one of those has it who are waited for: always the last one, so that the others are
// behind, except for the last commit before all is over, which the first one has: whoever was asked too early knows nothing of it.
func (c *cluster) write(over bool) {
	for _, p := range c.sorted() {
		if c.leads(p) {
			p.lsn++
			c.acknowledge(p, over)
		}
	}
}

// acknowledge tells the client, and reports whether that was possible.
func (c *cluster) acknowledge(p *simulated, over bool) bool {
	receiving := c.receiving(p)
	switch n := len(receiving); {
	case n > 0:
		by := receiving[n-1]
		if over {
			by = receiving[0]
		}
		by.lsn, by.timeline = p.lsn, p.timeline
		for _, v := range receiving {
			if c.even {
				v.lsn, v.timeline = p.lsn, p.timeline
			}
		}
	case len(p.standbys) > 0:
		return false // the client waits
	}
	c.acked[p.line] = max(c.acked[p.line], p.lsn)
	return true
}

// make makes a server that is not there.
func (c *cluster) make(name string, q host.ServerRequest) error {
	if v := c.servers[name]; v != nil {
		return nil
	}
	v := &simulated{name: name, role: q.Role, upstream: q.Upstream, line: name, timeline: 1, lsn: 1}
	c.fresh[name] = q.Restore != nil
	if v.role == host.Standby && !c.foreign {
		up := c.at(v.upstream)
		if up == nil {
			return busy("the upstream %s does not answer", v.upstream)
		}
		v.timeline, v.lsn, v.line = up.timeline, up.lsn, up.line
	}
	c.put(v)
	return nil
}

// operate does something to a server.
func (c *cluster) operate(v *simulated, o host.Operation) error {
	c.deeds = append(c.deeds, string(o.Do)+" "+v.part())
	how, ok := verbs[o.Do]
	if v.fenced && ok && !how.fenced {
		return fmt.Errorf("%s is fenced", v.name)
	}
	if ok {
		if err := how.do(c, v, o); err != nil {
			return err
		}
	}
	c.look()
	return nil
}

func busy(format string, args ...any) error {
	return &setpointtest.Refusal{Class: command.Retry, Message: fmt.Sprintf(format, args...)}
}

// look notes when two servers take writes that count.
func (c *cluster) look() {
	var writers []string
	for _, v := range c.sorted() {
		if c.leads(v) {
			writers = append(writers, v.part())
		}
	}
	if len(writers) > 1 {
		c.wrong("%s can all be written to", strings.Join(writers, " and "))
		c.its.twice = append(c.its.twice, c.wrongs[len(c.wrongs)-1])
	}
}

// point leads clients to a server, who write at once.
func (c *cluster) point(backend string) {
	c.deeds = append(c.deeds, "point "+backend)
	same := c.pointed && c.backend == backend
	c.backend, c.pointed = backend, true
	v := c.at(backend)
	switch {
	case v == nil && (backend == "" || c.foreign || slices.Contains(c.gone, backend)):
	case v == nil:
		c.wrong("clients are led to %s, where nothing is", backend)
	case c.fresh[v.line] && v.role == host.Primary:
		delete(c.fresh, v.line)
	case !c.leads(v):
		c.misled = append(c.misled, fmt.Sprintf("clients are led to %s, which cannot be written to (after %s)", v.part(), strings.Join(c.deeds, ", ")))
	}
	c.look()
	if !same {
		c.write(false)
	}
}

// remove takes a server away.
func (c *cluster) remove(name string) {
	if v := c.servers[name]; v != nil {
		c.deeds = append(c.deeds, "remove "+v.part())
		c.gone = append(c.gone, v.address())
		delete(c.servers, name)
		delete(c.its.servers, name)
		c.lessen(v)
	}
}

// lessen notes when a server goes that has what was acknowledged, and none of those has it who are still waited for.
func (c *cluster) lessen(v *simulated) {
	for _, p := range c.sorted() {
		if !c.leads(p) || p.line != v.line || v.lsn < c.acked[p.line] || len(p.standbys) == 0 {
			continue
		}
		if !slices.ContainsFunc(p.standbys, func(name string) bool { s := c.servers[name]; return s != nil && s != v && s.lsn >= c.acked[p.line] }) {
			c.lessened = append(c.lessened, fmt.Sprintf("%s went with what was acknowledged because it had it (after %s)", v.part(), strings.Join(c.deeds, ", ")))
		}
	}
}
