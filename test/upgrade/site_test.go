package upgrade

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store/postgres"
	"github.com/setpointhq/setpoint/test/internal/program"
	"github.com/setpointhq/setpoint/test/internal/verdict"
)

// site is a database, the machines, and the nodes.
type site struct {
	*testing.T
	database verdict.Database
	machines *machines
	nodes    []*node

	mu    sync.Mutex
	dials map[string]int // connections that were made, by client
}

// node is a place for a process: a name and an address that stay while programs come and go.
type node struct {
	site    *site
	name    string
	address string
	client  *client.Client // to this one
	*testkit.Process
}

// newSite makes a database, with the schema that the old program knows, and so many nodes, which do not run yet.
func newSite(t *testing.T, count int) *site {
	t.Helper()
	program.Depend()
	next, err := filepath.Glob("testdata/next/*")
	for _, file := range next { // the go tool sees that the test depends on them
		if _, missing := os.Stat(file); missing != nil {
			err = missing
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &site{T: t, machines: newMachines(t), dials: map[string]int{}}
	server := pg.Start(t, pg.Setting("max_connections", "200"))
	s.database = verdict.Database{T: t, URL: server.Database(t)}
	for i := range count {
		n := &node{site: s, name: fmt.Sprintf("edge-%d", i), address: fmt.Sprintf("127.0.0.1:%d", testkit.Port(t))}
		c, err := client.New(client.Config{Server: "http://" + n.address, HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
		if err != nil {
			t.Fatal(err)
		}
		n.client = c
		s.nodes = append(s.nodes, n)
	}
	return s
}

// prepared brings the schema to what the old program knows.
func (s *site) prepared() {
	s.Helper()
	if _, err := postgres.Migrate(s.Context(), s.database.URL); err != nil {
		s.Fatal(err)
	}
}

// start runs a program in a node's place, and does not wait for it.
func (n *node) start(path string) {
	n.site.Helper()
	n.Process = testkit.Start(n.site.T, "env", "MACHINES=http://"+n.site.machines.address, path, "serve",
		"--store", n.site.database.URL, "--listen", n.address, "--directory", filepath.Join(n.site.TempDir(), n.name),
		"--postgres-name", n.name, "--lease-ttl", "2s", "--grace", "2s")
	process := n.Process
	n.site.Cleanup(func() {
		if output := process.Output(); strings.Contains(output, "DATA RACE") || strings.Contains(output, "goroutine 1 [") {
			n.site.Errorf("%s says what no program may say", n.name)
		}
	})
}

// stop is what a supervisor does: SIGTERM, and to wait. The process must end in good order.
func (n *node) stop() {
	n.site.Helper()
	if err := syscall.Kill(n.PID, syscall.SIGTERM); err != nil {
		n.site.Fatalf("stop %s: %v", n.name, err)
	}
	if err := n.Err(); err != nil {
		n.site.Errorf("%s was told to stop, and ended with %v", n.name, err)
	}
}

// other is a node beside one, to be asked about it.
func (s *site) other(n *node) *node {
	for _, o := range s.nodes {
		if o != n {
			return o
		}
	}
	return n
}

// cli runs a command line of the program setpoint, and returns what it prints and its exit code.
func (s *site) cli(arguments ...string) (stdout, stderr string, code int) {
	s.Helper()
	var out, problems bytes.Buffer
	c := exec.CommandContext(s.Context(), programs.setpoint, arguments...)
	c.Stdout, c.Stderr = &out, &problems
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.Fatalf("%v: %v", c.Args, err)
	}
	return out.String(), problems.String(), c.ProcessState.ExitCode()
}

// setpoint runs a command line that must succeed.
func (s *site) setpoint(arguments ...string) string {
	s.Helper()
	stdout, stderr, code := s.cli(arguments...)
	if code != 0 {
		s.Fatalf("setpoint %v: exit code %d\n%s%s\n%s", arguments, code, stdout, stderr, s.diagnosis())
	}
	return stdout
}

// at is the flag by which a command asks a node.
func at(n *node) string { return "--server=http://" + n.address }

// ready waits until a node does its work. `setpoint health` says so.
func (n *node) ready() {
	n.site.Helper()
	program.Await(n.site.T, n.name+" is ready", func() (string, bool) {
		select {
		case <-n.Ended():
			n.site.Fatalf("%s has ended: %v\n%s", n.name, n.Err(), n.Output())
		default:
		}
		err := n.client.Ready(n.site.Context())
		return fmt.Sprint(err), err == nil
	}, n.site.diagnosis)
	n.site.setpoint("health", at(n))
}

// divided waits until every node has its share, and each is of a version. `setpoint nodes` says so.
func (s *site) divided(versions ...string) {
	s.Helper()
	program.Await(s.T, fmt.Sprintf("the shards are divided among nodes of %v", versions), func() (string, bool) {
		all, err := s.nodes[0].client.Nodes(s.Context())
		least, sum, found := resource.Shards, 0, map[string]string{}
		for _, n := range all.Items {
			if n.Member {
				least, sum, found[n.Name] = min(least, n.Shards), sum+n.Shards, n.Version
			}
		}
		done := err == nil && len(found) == len(s.nodes) && sum == resource.Shards && least >= resource.Shards/len(s.nodes)
		for i, n := range s.nodes {
			done = done && found[n.name] == versions[i]
		}
		return fmt.Sprint(found, least, sum, err), done
	}, s.diagnosis)
	table := s.setpoint("nodes", at(s.nodes[0]))
	if n := strings.Count(table, "Ready"); n != len(s.nodes) {
		s.Errorf("setpoint nodes says:\n%s", table)
	}
}

// client is one that knows the addresses of all nodes, and goes to any that takes a connection. It keeps its connections, and its retries are those of the package.
func (s *site) client(name string) *client.Client {
	s.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		s.mu.Lock()
		s.dials[name]++
		s.mu.Unlock()
		return s.dial(ctx, network)
	}}
	s.Cleanup(transport.CloseIdleConnections)
	c, err := client.New(client.Config{Server: "http://setpoint.test", UserAgent: name, HTTP: &http.Client{Transport: transport}})
	if err != nil {
		s.Fatal(err)
	}
	return c
}

// dial tries the addresses in any order, as it is done with a name that has several.
func (s *site) dial(ctx context.Context, network string) (connection net.Conn, err error) {
	for _, i := range rand.Perm(len(s.nodes)) {
		if connection, err = (&net.Dialer{}).DialContext(ctx, network, s.nodes[i].address); err == nil {
			return connection, nil
		}
	}
	return nil, err
}

// dialed is how many connections a client has made.
func (s *site) dialed(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials[name]
}

// holder is the name of the node that has the shard of an object of this name.
func (s *site) holder(name string) string {
	s.Helper()
	shard := resource.Shard("default", resource.Name(name))
	id, _, _ := strings.Cut(s.database.Query(fmt.Sprintf("SELECT holder FROM setpoint.lease WHERE scope = 'shard/%d'", shard))[0][0], "#")
	return id
}

// findings are what `setpoint doctor` says, by its codes.
func (s *site) findings() map[string]string {
	s.Helper()
	stdout, stderr, _ := s.cli("doctor", "-o", "json", at(s.nodes[0]))
	var report struct{ Findings []struct{ Code, What string } }
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		s.Fatalf("setpoint doctor: %v\n%s%s", err, stdout, stderr)
	}
	found := map[string]string{}
	for _, f := range report.Findings {
		found[f.Code] = f.What
	}
	return found
}

// diagnosis is what the database knows when a wait has failed.
func (s *site) diagnosis() string {
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	var b strings.Builder
	for _, statement := range []string{
		"SELECT name, version, trouble, expires - clock_timestamp() FROM setpoint.node ORDER BY joined",
		"SELECT holder, count(*) FROM setpoint.lease WHERE scope LIKE 'shard/%' GROUP BY holder",
		"SELECT kind, name, state, attributes, spec, status FROM setpoint.object WHERE attributes NOT LIKE '%\"type\":\"Ready\",\"status\":\"True\"%' LIMIT 10",
		"SELECT adapter, key, phase, intent, revision FROM setpoint.command WHERE phase NOT IN ('Done') LIMIT 20",
	} {
		rows, err := pg.Query(ctx, s.database.URL, statement)
		fmt.Fprintln(&b, statement, err)
		for _, row := range rows {
			fmt.Fprintf(&b, "  %.600s\n", fmt.Sprint(row))
		}
	}
	return b.String()
}
