package cli_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/setpointhq/setpoint/cli"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// sink is an output that can be read while it is written.
type sink struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// running is a command line that has been started.
type running struct {
	out, err sink
	stop     context.CancelFunc
	code     chan int
}

func start(t *testing.T, s *server, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{stop: cancel, code: make(chan int, 1)}
	p := cli.Program{
		Stdin: strings.NewReader(""), Stdout: &r.out, Stderr: &r.err,
		Environ: func() []string { return []string{"SETPOINT_SERVER=" + s.URL} },
	}
	go func() { r.code <- cli.Run(ctx, p, args) }()
	t.Cleanup(cancel)
	return r
}

// shows waits until the output contains a text.
func (r *running) shows(t *testing.T, text string) {
	t.Helper()
	testkit.Wait(t, "the output contains "+text, func() bool { return strings.Contains(r.out.String(), text) })
}

// ends stops a command and returns its exit code.
func (r *running) ends() int {
	r.stop()
	return <-r.code
}

func newServer(t *testing.T) *server {
	t.Helper()
	s, stop, err := startServer(t.TempDir(), gateways, records, zones)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// run runs a command line to its end.
func run(t *testing.T, s *server, stdin string, args ...string) (code int, out, errors string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = cli.Run(t.Context(), cli.Program{
		Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr,
		Environ: func() []string { return []string{"SETPOINT_SERVER=" + s.URL} },
	}, args)
	return code, stdout.String(), stderr.String()
}

func apply(t *testing.T, s *server, name string) resource.Key {
	t.Helper()
	text := "apiVersion: edge.example/v1\nkind: Gateway\nmetadata: {name: " + name + "}\nspec: {host: " + name + ".example}\n"
	if code, _, problem := run(t, s, text, "apply", "-f", "-"); code != 0 {
		t.Fatal(problem)
	}
	return gateways.Key("default", resource.Name(name))
}

func (s *server) to(t *testing.T, key resource.Key, state lifecycle.State) {
	t.Helper()
	if err := s.act(key, func(o *resource.Object) { o.State = state }); err != nil {
		t.Fatal(err)
	}
}

// TestWatchGoesOn: a watch shows a line for each change, and goes on after its connection is cut.
func TestWatchGoesOn(t *testing.T) {
	s := newServer(t)
	shop := apply(t, s, "shop")
	w := start(t, s, "watch", "gateways")
	w.shows(t, "ADDED     default/shop  @1  state Pending")
	s.to(t, shop, "Active")
	w.shows(t, "MODIFIED  default/shop  @2  state Pending→Active")
	s.CloseClientConnections()
	apply(t, s, "mail")
	w.shows(t, "ADDED     default/mail")
	if code, _, problem := run(t, s, "", "delete", "gw", "shop"); code != 0 {
		t.Fatal(problem)
	}
	w.shows(t, "DELETED   default/shop")
	if code := w.ends(); code != cli.ExitInterrupted {
		t.Errorf("exit code %d, want %d", code, cli.ExitInterrupted)
	}
	for _, once := range []string{"state Pending→Active", "DELETED"} {
		if n := strings.Count(w.out.String(), once); n != 1 {
			t.Errorf("%d lines say %q, want 1:\n%s", n, once, w.out.String())
		}
	}
	if !strings.Contains(w.err.String(), "Reconnecting: ") {
		t.Errorf("nothing is said of the cut connection: %q", w.err.String())
	}
}

// TestWatchOutputs: each form of output is one record for each change.
func TestWatchOutputs(t *testing.T) {
	s := newServer(t)
	apply(t, s, "shop")
	for output, want := range map[string]string{
		"json": `{"type":"ADDED","object":{"apiVersion":"edge.example/v1"`, "yaml": "---\ntype: ADDED\n",
		"name": "gateway.edge.example/shop\n", "jsonpath={.type}": "ADDED\n",
	} {
		w := start(t, s, "watch", "gateway/shop", "-o", output)
		w.shows(t, want)
		w.ends()
	}
}

// TestGetWatch: get -w shows a table, and a row for each change after it.
func TestGetWatch(t *testing.T) {
	s := newServer(t)
	shop := apply(t, s, "shop")
	w := start(t, s, "get", "gw", "-w")
	w.shows(t, "NAME   HOST           STATE     AGE\nshop   shop.example   Pending   ")
	s.to(t, shop, "Active")
	w.shows(t, "\nshop   shop.example   Active    ")
	w.ends()
	w = start(t, s, "get", "gw", "-w", "-o", "name")
	w.shows(t, "gateway.edge.example/shop\n")
	apply(t, s, "mail")
	w.shows(t, "gateway.edge.example/mail\n")
	w.ends()
}

// TestDeleteWaits: delete --wait returns when the object is gone, not before.
func TestDeleteWaits(t *testing.T) {
	s := newServer(t)
	shop := apply(t, s, "shop")
	if err := s.act(shop, func(o *resource.Object) { o.Finalizers = []resource.Finalizer{"dns"} }); err != nil {
		t.Fatal(err)
	}
	d := start(t, s, "delete", "gw", "shop", "--wait")
	d.shows(t, "gateway.edge.example/shop deleting\n")
	if err := s.act(shop, func(o *resource.Object) { o.Finalizers = nil }); err != nil {
		t.Fatal(err)
	}
	if code := <-d.code; code != cli.ExitOK {
		t.Errorf("exit code %d: %s", code, d.err.String())
	}
	if want := "gateway.edge.example/shop deleting\ngateway.edge.example/shop deleted\n"; d.out.String() != want {
		t.Errorf("output %q, want %q", d.out.String(), want)
	}
}

// TestCompletesFromServer: a shell is offered the kinds and objects that there are.
func TestCompletesFromServer(t *testing.T) {
	s := newServer(t)
	apply(t, s, "shop")
	for _, test := range []struct {
		args   []string
		want   string
		reason string
	}{
		{[]string{"get", "gat"}, "gateways\n", "the first argument is a kind"},
		{[]string{"get", "gw", "s"}, "shop\n", "then come names"},
		{[]string{"wait", "gateway/"}, "gateway/shop\n", "or both as one word"},
		{[]string{"kinds", "zo"}, "zones\n", "kinds takes a kind"},
	} {
		code, out, _ := run(t, s, "", append([]string{"__complete"}, test.args...)...)
		if code != 0 || !strings.HasPrefix(out, test.want) {
			t.Errorf("%v: %d %q, want %q: %s", test.args, code, out, test.want, test.reason)
		}
	}
}

// TestHostileText: what a server sends cannot move the terminal's cursor.
func TestHostileText(t *testing.T) {
	s := newServer(t)
	key := apply(t, s, "shop")
	err := s.act(key, func(o *resource.Object) {
		o.Observed = 1
		o.SetCondition(resource.Condition{Type: resource.Ready, Status: resource.False, Reason: "Bad", Message: "red \x1b[31m\nnext", Observed: 1, Since: o.Created})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"describe", "gw", "shop"}, {"why", "gw", "shop"}, {"wait", "gw/shop", "--timeout", "500ms"}} {
		_, out, problem := run(t, s, "", args...)
		if strings.ContainsRune(out+problem, '\x1b') {
			t.Errorf("%v: an escape sequence came through: %q", args, out+problem)
		}
	}
}
