package postgres

import (
	"os"
	"testing"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

// cases is how many are tried: a sample, and in the soak many more.
func cases() int {
	if os.Getenv("SETPOINT_SOAK") != "" {
		return 6000
	}
	return 150
}

// Of these a server is told that a story is about: one that leads, one that follows whom it should, one that should follow another, and one that belongs to a database whose
// primary it follows.
const (
	leads = iota
	followsIt
	followsAnother
	belongs
	variantsOfServers
)

// theLeader is the primary of the database that a server of the last kind belongs to, which is called itsDatabase beside it.
const itsDatabase, theLeader = "db", "db." + leader

// fuzzedServer tries the table of servers.
func fuzzedServer() setpointtest.Fuzzing[ServerSpec, ServerStatus] {
	const upstream, other = "127.0.0.1:5001", "127.0.0.1:5002"
	made := func(role host.ServerRole, following string) ServerStatus {
		return ServerStatus{Made: &Making{Role: role, Upstream: following}, Address: "127.0.0.1:5000", Following: following}
	}
	return setpointtest.Fuzzing[ServerSpec, ServerStatus]{
		Kind: Servers, Decider: serverDecider(Secrets{Key: []byte("secret")}), Name: "server", Variants: variantsOfServers, Seed: 1, Cases: cases(),
		Setup: func() setpointtest.Setup {
			hosts, setup := simulate()
			hosts.found = true
			setup.Kinds, setup.Controllers = []*setpoint.Definition{Databases.Definition}, nil
			return setup
		},
		Object: func(c setpointtest.Case) (ServerSpec, ServerStatus) {
			switch c.Variant {
			case leads:
				return ServerSpec{Leads: true}, made(host.Primary, "")
			case followsAnother:
				return ServerSpec{Upstream: other}, made(host.Standby, upstream)
			case belongs:
				return ServerSpec{Upstream: address("it." + theLeader)}, made(host.Standby, address("it."+theLeader))
			}
			return ServerSpec{Upstream: upstream}, made(host.Standby, upstream)
		},
		Beside: besideServer,
		Found: func(c setpointtest.Case, o *resource.Object, outside map[command.AdapterName]setpointtest.Outside) {
			name := "default/" + string(o.Name)
			behind(outside).at(name, func(its *cluster) {
				v := &simulated{name: name, role: host.Standby, upstream: upstream, line: name, timeline: 1, lsn: 1}
				switch c.Variant {
				case leads:
					v.role, v.upstream = host.Primary, ""
				case belongs:
					v.upstream = address("it." + theLeader)
					its.put(&simulated{name: name + "." + theLeader, role: host.Primary, line: name, timeline: 1, lsn: 1})
				}
				its.put(v)
			})
		},
		Check:   checkServer,
		Claims:  claimsOf(serverTableClaims),
		Stories: storiesOfServers(),
	}
}

// besideServer is the database that a server belongs to, and its primary.
func besideServer(c setpointtest.Case, o *resource.Object) []*resource.Object {
	if c.Variant != belongs {
		return nil
	}
	name := "default/" + string(o.Name) + "." + theLeader
	d := besideIt(o, Databases.Definition, itsDatabase, DatabaseSpec{Replicas: 1}, DatabaseStatus{Primary: leader, Line: 1, Timeline: 1, Members: []string{leader}})
	d.State = Available
	p := driven(besideIt(o, Servers.Definition, theLeader, ServerSpec{Leads: true}, ServerStatus{Made: &Making{Role: host.Primary}, Address: address(name)}), "server")
	p.State = Available
	o.Owners = owned(d, serverName(1, 1))
	return []*resource.Object{d, p}
}

func TestFuzzServer(t *testing.T) {
	r := setpointtest.Fuzz(t, fuzzedServer())
	t.Log(r)
	r.Require(t)
}
