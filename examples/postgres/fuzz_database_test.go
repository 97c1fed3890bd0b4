package postgres

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

// layout is what a database of a variant is like when its story begins: how many replicas it has, which of them has left, and whether all have every commit at once.
type layout struct {
	replicas int
	left     string
	even     bool
}

var layouts = []layout{{replicas: 2}, {}, {replicas: 2, left: "s1-2"}, {replicas: 2, even: true}}

func (l layout) parts() (parts []string) {
	for i := range l.replicas + 1 {
		parts = append(parts, serverName(1, i))
	}
	return parts
}

// attached are the parts that have not left.
func (l layout) attached() (parts []string) {
	for _, p := range l.parts() {
		if p != l.left {
			parts = append(parts, p)
		}
	}
	return parts
}

// pending reports whether a part waits for a restart: the first and the last one do.
func (l layout) pending(part string) bool {
	return part == leader || part == serverName(1, l.replicas)
}

const leader = "s1-0"

// fuzzedDatabase tries the table of databases: with replicas, without, and with one that has left. Their servers are driven by the real driver of servers, on a simulated
// host.
func fuzzedDatabase() setpointtest.Fuzzing[DatabaseSpec, DatabaseStatus] {
	return setpointtest.Fuzzing[DatabaseSpec, DatabaseStatus]{
		Kind: Databases, Decider: databaseDecider(), Name: "database", Variants: len(layouts), Horizon: 4 * time.Hour, MayRepeat: true, Seed: 3, Cases: cases(),
		Setup: func() setpointtest.Setup {
			_, setup := simulate()
			setup.Kinds = setup.Kinds[1:]
			setup.Controllers = setup.Controllers[1:]
			return setup
		},
		Object: func(c setpointtest.Case) (DatabaseSpec, DatabaseStatus) {
			l := layouts[c.Variant]
			spec := DatabaseSpec{Replicas: l.replicas}
			if c.State == Provisioning {
				return spec, DatabaseStatus{}
			}
			status := DatabaseStatus{Address: "127.0.0.1:6000", Primary: leader, Line: 1, Timeline: 1, Members: l.attached(), Following: len(l.attached()) - 1}
			if l.left != "" {
				status.Detached = []string{l.left}
			}
			return spec, status
		},
		Beside:  besideDatabase,
		Stories: storiesOfDatabases(),
		Found:   foundForDatabase,
		Payload: payloadForDatabase,
		Check:   checkDatabase,
		Claims:  claimsOf(databaseTableClaims),
	}
}

// payloadForDatabase asks for what there is, and for the server that is behind.
func payloadForDatabase(c setpointtest.Case, s setpoint.SignalName) []byte {
	switch s {
	case NeedsPromote:
		return []byte(`{"to":"it.s1-2"}`)
	case NeedsUnfollow:
		return []byte(`{"server":"it.s1-2"}`)
	case NeedsRestore:
		return []byte(`{"backup":"it.monday"}`)
	}
	return nil
}

// besideIt makes an object beside another one.
func besideIt(o *resource.Object, def *setpoint.Definition, part string, spec, status any) *resource.Object {
	b, err := def.New("default", o.Name+"."+resource.Name(part), spec, resource.Birth{Now: o.Created, UID: func() resource.UID { return o.UID + "-" + resource.UID(part) }})
	if err == nil {
		b.Status, err = json.Marshal(status)
	}
	if err != nil {
		panic(fmt.Sprintf("%s beside %s: %v", part, o.Key, err))
	}
	return b
}

// driven has an object held by its driver, and at its setpoint.
func driven(b *resource.Object, holder resource.Finalizer) *resource.Object {
	b.Finalizers, b.Observed = []resource.Finalizer{holder}, b.Generation
	b.Conditions = []resource.Condition{{Type: resource.Ready, Status: resource.True, Reason: "AtSetpoint", Observed: b.Generation, Since: b.Created}}
	return b
}

// owned is one owner: the object that has another as a part.
func owned(o *resource.Object, part string) []resource.Owner {
	return []resource.Owner{{Key: o.Key, Version: "v1", UID: o.UID, Child: part, Controller: true, Block: true}}
}

// besideDatabase are the parts of a database, unless it is only now made, and a backup.
func besideDatabase(c setpointtest.Case, o *resource.Object) (all []*resource.Object) {
	name := func(part string) string { return "default/" + string(o.Name) + "." + part }
	child := func(def *setpoint.Definition, holder resource.Finalizer, part string, spec, status any) *resource.Object {
		b := driven(besideIt(o, def, part, spec, status), holder)
		b.Owners = owned(o, part)
		all = append(all, b)
		return b
	}
	monday := besideIt(o, Backups.Definition, "monday", BackupSpec{Database: string(o.Name)}, BackupStatus{Server: name(leader)})
	monday.Finalizers = []resource.Finalizer{"backup"}
	all = append(all, monday)
	if c.State == Provisioning {
		return all
	}
	l := layouts[c.Variant]
	for _, part := range l.parts() {
		spec, status := ServerSpec{}, ServerStatus{Address: address(name(part))}
		state := Available
		switch {
		case part == leader:
			spec.Leads, status.Made, state = true, &Making{Role: host.Primary}, c.State
			for _, p := range l.attached()[1:] {
				spec.Standbys = append(spec.Standbys, name(p))
			}
		case part == l.left:
			status.Made = &Making{Role: host.Standby, Upstream: address(name(leader))}
		default:
			spec.Upstream = address(name(leader))
			status.Made, status.Following = &Making{Role: host.Standby, Upstream: spec.Upstream}, spec.Upstream
		}
		if l.pending(part) {
			status.PendingRestart = []string{"shared_buffers"}
		}
		child(Servers.Definition, "server", part, spec, status).State = state
	}
	backend := address(name(leader))
	child(Endpoints.Definition, "endpoint", "rw", EndpointSpec{Backend: backend}, EndpointStatus{Address: "127.0.0.1:6000", Backend: backend})
	return all
}

// foundForDatabase has the servers run, as they are at the host, with clients that have written. One of them waits for a restart.
func foundForDatabase(c setpointtest.Case, o *resource.Object, outside map[command.AdapterName]setpointtest.Outside) {
	l, database := layouts[c.Variant], "default/"+string(o.Name)
	if c.State == Provisioning {
		return
	}
	behind(outside).at(database, func(its *cluster) {
		for _, part := range l.parts() {
			v := &simulated{name: database + "." + part, role: host.Standby, line: database + "." + leader, timeline: 1, lsn: 4, pending: l.pending(part)}
			switch part {
			case leader:
				v.role = host.Primary
				for _, p := range l.attached()[1:] {
					v.standbys = append(v.standbys, database+"."+p)
				}
			case l.left:
				v.role, v.left, v.timeline = host.Primary, true, 2
			default:
				v.upstream = address(database + "." + leader)
			}
			its.put(v)
		}
		its.backend, its.pointed, its.even = address(database+"."+leader), true, l.even
		its.write(false)
	})
}

func TestFuzzDatabase(t *testing.T) {
	r := setpointtest.Fuzz(t, fuzzedDatabase())
	t.Log(r)
	r.Require(t)
}
