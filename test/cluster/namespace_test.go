package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// namespaces are the networks of nodes, where the test may make some: it has to be root.
type namespaces struct {
	ip   string // the program; "" when there are none
	made int
}

// namespace is the network of one node: a wire to the test's, whose far end has an address for each thing that the node may be cut off from.
type namespace struct {
	name                              string
	apart, node, database, subsystems string // apart is for what is never cut off
}

// inNamespaces has nodes run in networks of their own from now on, if that is possible.
func (w *town) inNamespaces() {
	w.Helper()
	if os.Geteuid() != 0 {
		w.Log("the test is not root: nodes have no networks of their own, and are cut off by the forwarders only")
		return
	}
	w.ip = testkit.Package(w.T, "iproute2", "ip")
	probe := fmt.Sprintf("setpoint-%d-probe", os.Getpid())
	if output, err := exec.Command(w.ip, "netns", "add", probe).CombinedOutput(); err != nil {
		w.Logf("no network can be made here, and nodes are cut off by the forwarders only: %v %s", err, output)
		w.ip = ""
		return
	}
	w.run("netns", "del", probe)
}

func (w *town) run(arguments ...string) {
	w.Helper()
	if output, err := exec.Command(w.ip, arguments...).CombinedOutput(); err != nil {
		w.Errorf("ip %s: %v %s", strings.Join(arguments, " "), err, output)
	}
}

// space makes the network of another node, nil when there are none. It is removed with the test.
func (w *town) space() *namespace {
	w.Helper()
	if w.ip == "" {
		return nil
	}
	w.made++
	// 198.18.0.0/15 is for testing networks (RFC 2544). Each node has sixteen addresses of it, other ones than the nodes of a test process beside this one.
	at := (os.Getpid()*64 + w.made) % (1 << 13) * 16
	address := func(host int) string {
		return fmt.Sprintf("198.%d.%d.%d", 18+(at+host)>>16, (at+host)>>8&255, (at+host)&255)
	}
	s := &namespace{name: fmt.Sprintf("setpoint-%d-%d", os.Getpid(), w.made), apart: address(1), node: address(10), database: address(2), subsystems: address(3)}
	near := fmt.Sprintf("sp%d-%d", os.Getpid()%1_000_000, w.made)
	w.run("netns", "add", s.name)
	w.Cleanup(func() { w.run("netns", "del", s.name) })
	w.run("link", "add", near, "type", "veth", "peer", "name", "up0", "netns", s.name)
	for _, host := range []int{1, 2, 3} {
		w.run("address", "add", address(host)+"/28", "dev", near)
	}
	w.run("link", "set", near, "up")
	w.run("-n", s.name, "address", "add", s.node+"/28", "dev", "up0")
	w.run("-n", s.name, "link", "set", "up0", "up")
	w.run("-n", s.name, "link", "set", "lo", "up")
	return s
}

// swallow has a route lose everything that a node sends to an address, or ends that: what was sent meanwhile, TCP sends again.
func (w *town) swallow(s *namespace, address string, on bool) {
	w.Helper()
	verb := "del"
	if on {
		verb = "add"
	}
	w.run("-n", s.name, "route", verb, "blackhole", address+"/32")
}
