package postgres

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/endpoint"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
	"github.com/setpointhq/setpoint/setpointtest"
)

// simulation is a host and an endpoint without processes, for the servers of any number of databases. Same requests in the same order get the same answers, whatever
// other databases do meanwhile.
type simulation struct {
	mu       sync.Mutex
	clusters map[string]*cluster
	// servers are those of all clusters, by name, and twice is when two of one could be written to.
	servers map[string]*simulated
	twice   []string
	// found: servers that nobody has asked for are there all the same, since the story begins in the middle; and so are those behind unknown addresses.
	found bool
}

func simulate() (*simulation, setpointtest.Setup) {
	s := &simulation{clusters: map[string]*cluster{}, servers: map[string]*simulated{}}
	hosts, proxies := setpointtest.NewSubsystem(), setpointtest.NewSubsystem()
	hosts.Answer, hosts.Deeds, hosts.Removed = s.host, isDeed, s.removed
	proxies.Answer = s.proxy
	hosts.Behind, proxies.Behind = s, s
	return s, setpointtest.Setup{
		Kinds: Kinds(), Controllers: Controllers(Secrets{Key: []byte("secret")}),
		Adapters: map[command.AdapterName]command.Adapter{"hosts": hosts, "endpoints": proxies},
	}
}

// cluster is that of a database, to which a name of a server or of an address belongs.
func (s *simulation) cluster(name string) *cluster {
	database, _, _ := strings.Cut(name, ".")
	c := s.clusters[database]
	if c == nil {
		c = newCluster(s)
		c.foreign = s.found
		s.clusters[database] = c
	}
	return c
}

// behind is the simulation behind an adapter.
func behind(outside map[command.AdapterName]setpointtest.Outside) *simulation {
	return outside["hosts"].(*setpointtest.Subsystem).Behind.(*simulation)
}

// at looks at the cluster of a database.
func (s *simulation) at(database string, look func(*cluster)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	look(s.cluster(database))
}

// isDeed tells operations from wishes for a server, a backup or a set of standbys.
func isDeed(request []byte) bool {
	var o host.Operation
	return json.Unmarshal(request, &o) == nil && o.Do != "" && o.Do != host.Backup && o.Do != host.Synchronous && o.Do != host.Credential
}

// host answers a request as the host agent does.
func (s *simulation) host(key string, request []byte, _ int) ([]byte, error) {
	var o host.Operation
	if err := json.Unmarshal(request, &o); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, name := s.cluster(key), o.Server
	if o.Do == "" {
		name = key
		var q host.ServerRequest
		if err := json.Unmarshal(request, &q); err != nil {
			return nil, err
		}
		if err := c.make(name, q); err != nil {
			return nil, err
		}
	}
	if c = s.cluster(name); c.servers[name] == nil && s.found {
		c.put(&simulated{name: name, role: host.Standby, line: name, timeline: 1, lsn: 1})
	}
	v := c.servers[name]
	if v == nil {
		return nil, fmt.Errorf("there is no server %s", name)
	}
	if o.Do != "" {
		if err := c.operate(v, o); err != nil {
			return nil, err
		}
	}
	return json.Marshal(v.result())
}

// result is what the host says of a server. Of a fenced one it knows what is outside of it only.
func (v *simulated) result() host.Result {
	r := host.Result{Server: v.name, Address: v.address(), Fenced: v.fenced}
	if !v.fenced {
		r.Role, r.Timeline, r.LSN = v.role, v.timeline, fmt.Sprintf("0/%X", v.lsn)
	}
	if v.pending && !v.fenced {
		r.PendingRestart = []string{"shared_buffers"}
	}
	return r
}

func (s *simulation) removed(key string, request []byte) {
	var o host.Operation
	s.mu.Lock()
	defer s.mu.Unlock()
	if json.Unmarshal(request, &o) == nil && o.Do == "" {
		s.cluster(key).remove(key)
	}
}

// proxy answers a request as the endpoint does.
func (s *simulation) proxy(key string, request []byte, _ int) ([]byte, error) {
	var q endpoint.Request
	if err := json.Unmarshal(request, &q); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cluster(key).point(q.Backend)
	return json.Marshal(endpoint.Result{Address: "127.0.0.1:6000", Backend: q.Backend})
}
