package cluster

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// node is one run of one process.
type node struct {
	*testkit.Process
	town *town
	name string
	// down: it is dead, or frozen; nobody is sent to it. Guarded by the town's lock.
	down bool
	// database and subsystems are the ways from this node.
	database   *line
	subsystems map[string]*line
	space      *namespace // nil where there are none
}

// launch says how a node is run otherwise than all are.
type launch struct {
	database string         // another address of the database
	program  string         // another program
	wrap     []string       // a program that runs it
	config   map[string]any // more of the node's configuration
	space    *namespace     // where it runs
}

// start runs another node, and does not wait for it.
func (w *town) start(o launch) *node {
	w.Helper()
	w.mu.Lock()
	n := &node{town: w, name: fmt.Sprintf("n%d", len(w.nodes)), subsystems: map[string]*line{}, down: true, space: o.space}
	w.mu.Unlock()
	toDatabase, toSubsystems, door := "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	if n.space != nil {
		toDatabase, toSubsystems, door = n.space.database+":0", n.space.subsystems+":0", n.space.node+":0"
		o.wrap = append([]string{"ip", "netns", "exec", n.space.name}, o.wrap...)
	}
	if o.database == "" {
		n.database = newLine(w.T, toDatabase, w.postgres.Address())
		o.database = strings.Replace(w.store, w.postgres.Address(), n.database.address(), 1)
	}
	via, databases := w.ways(n, toSubsystems)
	if o.program == "" {
		o.program = program.Path()
	}
	config := map[string]any{"Name": n.name, "Store": o.database, "Listen": door, "Admin": door, "Databases": databases, "Dir": w.dir, "TTL": w.ttl, "At": w.at, "Via": via}
	for k, v := range o.config {
		config[k] = v
	}
	arguments := append(o.wrap, "env", "SETPOINT_NODE="+w.encode(config), o.program, "serve")
	n.Process = testkit.Start(w.T, arguments[0], arguments[1:]...)
	w.mu.Lock()
	n.down = false
	w.nodes = append(w.nodes, n)
	w.mu.Unlock()
	w.Cleanup(func() { w.judge(n) })
	return n
}

// ways are the lines from a node to the subsystems: by their addresses, and, of those of the databases, by their names. That to the quiet one is never cut.
func (w *town) ways(n *node, near string) (via, databases map[string]string) {
	w.Helper()
	via, databases = map[string]string{}, map[string]string{}
	for name, at := range w.at {
		if name == quiet {
			apart := "127.0.0.1:0"
			if n.space != nil {
				apart = n.space.apart + ":0"
			}
			via[at] = newLine(w.T, apart, at).address()
			continue
		}
		n.subsystems[name] = newLine(w.T, near, at)
		via[at] = n.subsystems[name].address()
		if slices.Contains(agents, name) {
			databases[name] = via[at]
		}
	}
	return via, databases
}

// begin runs so many nodes, and returns when the shards are divided among them.
func (w *town) begin(count int) []*node {
	w.Helper()
	nodes := make([]*node, count)
	for i := range nodes {
		nodes[i] = w.start(launch{space: w.space()})
	}
	w.divided(nodes...)
	w.serving(nodes...)
	return nodes
}

// serving waits until nodes answer requests.
func (w *town) serving(nodes ...*node) {
	w.Helper()
	w.await("the nodes serve", func() (string, bool) {
		for _, n := range nodes {
			if n.address() == "" {
				return n.name, false
			}
		}
		return "", true
	})
}

// address is where the node serves, "" before it does.
func (n *node) address() string {
	text, err := os.ReadFile(filepath.Join(n.town.dir, n.name+".address"))
	if err != nil {
		return ""
	}
	return string(text)
}

func (n *node) signal(s syscall.Signal) {
	n.town.Helper()
	if err := syscall.Kill(n.PID, s); err != nil {
		n.town.Fatalf("signal %v to node %s: %v", s, n.name, err)
	}
}

func (n *node) mark(down bool) {
	n.town.mu.Lock()
	defer n.town.mu.Unlock()
	n.down = down
}

// kill ends the node as a power cut would.
func (n *node) kill() {
	n.town.Helper()
	n.mark(true)
	n.signal(syscall.SIGKILL)
	<-n.Ended()
}

// freeze stops the process, and thaw lets it go on.
func (n *node) freeze() {
	n.town.Helper()
	n.mark(true)
	n.signal(syscall.SIGSTOP)
}

func (n *node) thaw() {
	n.town.Helper()
	n.signal(syscall.SIGCONT)
	n.mark(false)
}

// mishap asks the node to do something to itself.
func (n *node) mishap(what string) error {
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Post("http://"+n.address()+"/mishap/"+what, "", nil)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// judge fails the test for what no program may say.
func (w *town) judge(n *node) {
	output := n.Output()
	if strings.Contains(output, "DATA RACE") || strings.Contains(output, "goroutine 1 [") {
		w.Errorf("node %s says what no program may say", n.name)
	}
}
