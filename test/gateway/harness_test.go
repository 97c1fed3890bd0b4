package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/client"
	edge "github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
)

// demo is one `setpoint dev --demo gateway` with what it has started. What a test leaves running is ended with the test.
type demo struct {
	t *testing.T
	// directory is what the program calls ".setpoint".
	directory   string
	environment []string
	// postgres and url are the database, when it is not a file.
	postgres *pg.Server
	url      string
	process  *testkit.Process
	client   *client.Client
	gateways client.Kind
	// upstream is what the gateways route to.
	upstream string
}

// newDemo makes a place for a demo, and starts nothing. The environment is "KEY=value".
func newDemo(t *testing.T, environment ...string) *demo {
	t.Helper()
	d := &demo{t: t, directory: filepath.Join(t.TempDir(), ".setpoint"), environment: environment}
	t.Cleanup(d.end)
	transport := &http.Transport{DialContext: d.dial, MaxIdleConnsPerHost: 4}
	t.Cleanup(transport.CloseIdleConnections)
	var err error
	d.client, err = client.New(client.Config{
		Server: "http://127.0.0.1", UserAgent: "customer", HTTP: &http.Client{Transport: transport},
		Attempts: 10_000, MaxPause: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// dial goes to wherever the server is now, by the file that it leaves: a client that repeats its requests finds it again after a restart.
func (d *demo) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	text, err := os.ReadFile(d.path("server"))
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	return (&net.Dialer{}).DialContext(ctx, network, strings.TrimPrefix(strings.TrimSpace(string(text)), "http://"))
}

func (d *demo) path(elements ...string) string {
	return filepath.Join(append([]string{d.directory}, elements...)...)
}

// read is the text of a file of the demo.
func (d *demo) read(elements ...string) string {
	d.t.Helper()
	text, err := os.ReadFile(d.path(elements...))
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// start runs Setpoint, and does not wait for it.
func (d *demo) start() {
	d.t.Helper()
	arguments := append(slices.Clip(d.environment), setpoint, "dev", "--demo", "gateway", "--listen", "127.0.0.1:0", "--directory", d.directory)
	if d.url != "" {
		arguments = append(arguments, "--store", d.url)
	}
	d.process = testkit.Start(d.t, "env", arguments...)
}

// introduced waits for the first gateway to be Active, as the program itself says.
func (d *demo) introduced() {
	d.t.Helper()
	d.await("the demo says that its gateway is Active", func() (string, bool) {
		output := d.process.Output()
		select {
		case <-d.process.Ended():
			d.t.Fatalf("the demo has ended: %v\n%s", d.process.Err(), output)
		default:
		}
		return output, strings.Contains(output, "Gateway shop is Active")
	})
	d.upstream = "http://" + d.read("upstream", "address")
	var err error
	if d.gateways, err = d.client.Resolve(d.t.Context(), "gateways"); err != nil {
		d.t.Fatal(err)
	}
}

// interrupt stops Setpoint in good order.
func (d *demo) interrupt() {
	d.t.Helper()
	if err := syscall.Kill(d.process.PID, syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	if err := d.process.Err(); err != nil {
		d.t.Fatalf("Setpoint was asked to stop and ended with %v\n%s", err, d.process.Output())
	}
}

// kill ends Setpoint as a power cut would. The file that says where it was is removed with it, because another program may have its port soon.
func (d *demo) kill() {
	d.t.Helper()
	if err := syscall.Kill(d.process.PID, syscall.SIGKILL); err != nil {
		d.t.Fatal(err)
	}
	<-d.process.Ended()
	if err := os.Remove(d.path("server")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.t.Fatal(err)
	}
	d.judge(d.process.Output())
}

// end stops everything, and looks through what the programs have said.
func (d *demo) end() {
	if _, err := os.Stat(d.directory); errors.Is(err, fs.ErrNotExist) {
		return
	}
	if output, err := exec.Command(setpoint, "demo-stop", d.directory).CombinedOutput(); err != nil {
		d.t.Errorf("demo-stop: %v\n%s", err, output)
	}
	if d.process != nil {
		d.judge(d.process.Output())
	}
	outputs, err := filepath.Glob(d.path("*", "output"))
	if err != nil {
		d.t.Error(err)
	}
	for _, path := range outputs {
		text, err := os.ReadFile(path)
		if err != nil {
			d.t.Error(err)
		}
		d.judge(string(text))
		if d.t.Failed() {
			d.t.Logf("%s:\n%s", path, text)
		}
	}
}

// judge fails the test for what no program may say, whatever else it does.
func (d *demo) judge(output string) {
	for _, word := range []string{"DATA RACE", "panic", "goroutine 1 ["} {
		if strings.Contains(output, word) {
			d.t.Errorf("a program says %q:\n%s", word, output)
			return
		}
	}
}

// command runs the command line of Setpoint against the demo, and returns what it prints.
func (d *demo) command(arguments ...string) string {
	d.t.Helper()
	return run(d.t, setpoint, append([]string{"--server", d.read("server")}, arguments...)...)
}

// run runs a program to its end, which must be a good one.
func run(t *testing.T, program string, arguments ...string) string {
	t.Helper()
	var problems strings.Builder
	c := exec.CommandContext(t.Context(), program, arguments...)
	c.Stderr = &problems
	output, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", c.Args, err, output, problems.String())
	}
	return string(output)
}

// stall is how long [demo.await] waits without any progress. It bounds a test that would otherwise hang.
const stall = 60 * time.Second

// await polls until look reports done. When what look sees has not changed for a long time, it fails the test, with what is known of whatever is not at rest.
func (d *demo) await(what string, look func() (seen string, done bool)) {
	d.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	limit := time.NewTimer(stall)
	defer limit.Stop()
	for last := ""; ; {
		seen, done := look()
		if done {
			return
		}
		if seen != last {
			last = seen
			limit.Reset(stall)
		}
		select {
		case <-ticker.C:
		case <-limit.C:
			d.t.Fatalf("no progress for %v towards: %s\nnow: %s\n%s", stall, what, seen, d.diagnosis())
		case <-d.t.Context().Done():
			d.t.Fatalf("the test was ended before: %s", what)
		}
	}
}

// diagnosis is what the server and its database know of the objects that are not ready.
func (d *demo) diagnosis() string {
	if _, err := os.Stat(d.path("server")); err != nil {
		return "no server: " + err.Error()
	}
	if d.url != "" {
		return "(the database has gone on)"
	}
	rows := d.sql("SELECT kind, name FROM object WHERE attributes NOT LIKE '%\"type\":\"Ready\",\"status\":\"True\"%' OR deleted <> 0 OR state IN ('Provisioning', 'Degraded', 'Deleting')")
	var b strings.Builder
	for line := range strings.Lines(rows) {
		kind, name, _ := strings.Cut(strings.TrimSpace(line), "|")
		plural := strings.ToLower(strings.SplitN(kind, ".", 2)[0])
		output, err := exec.Command(setpoint, "--server", d.read("server"), "why", plural, name).CombinedOutput()
		fmt.Fprintf(&b, "why %s %s (%v):\n%s\n", plural, name, err, output)
		fmt.Fprintln(&b, d.sql("SELECT generation, revision, deleted, state, attributes, spec, status FROM object WHERE name = '"+name+"' AND kind = '"+kind+"'"))
		fmt.Fprintln(&b, d.sql("SELECT adapter, key, phase, intent, token, revision FROM command WHERE name = '"+name+"' AND kind = '"+kind+"'"))
	}
	return b.String()
}

// spec is a wish whose upstream's answers say which version of the routes they came by.
func (d *demo) spec(name string, replicas int, version string) edge.GatewaySpec {
	return edge.GatewaySpec{
		Hostname: name + ".edge.test", Replicas: replicas,
		Routes: []edge.Route{{Path: "/", Upstream: d.upstream + "/" + version}},
	}
}
