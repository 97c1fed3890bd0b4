package cli_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/cli"
	"github.com/setpointhq/setpoint/internal/testkit/script"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/server/location"
)

// leakChecked fails when goroutines are left after the tests.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// TestMain makes the test binary the program "setpoint" of the scripts.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){
		"setpoint": func() { os.Exit(cli.Main(program())) },
	})
}

// program is one whose servers say what they were told, and end.
func program() cli.Program {
	tell := func(_ context.Context, c cli.ServeConfig) error {
		if err := c.Listening("http://" + c.Listen); err != nil {
			return err
		}
		left, err := os.ReadFile(c.Directory + "/server")
		if err != nil && c.Directory != "" {
			return err
		}
		_, err = fmt.Fprintf(c.Stdout, "listen=%s directory=%s store=%s migrate=%t postgres=%+v alertmanager=%v webhook=%v key=%s plane=%s grace=%s level=%s format=%s left=%s\n",
			c.Listen, c.Directory, location.Redacted(c.Store), c.Migrate, c.Postgres, c.Alertmanagers, c.Alert.Webhooks, c.Alert.WebhookKey, c.Alert.Plane, c.Grace, c.Log.Level, c.Log.Format, strings.TrimSpace(string(left)))
		return err
	}
	return cli.Program{
		Version: "v9.8.7",
		Serve:   tell,
		Schema:  toySchema{},
		Demos:   map[string]cli.Demo{"gateway": {Summary: "gateways, and all that belongs to them", Start: tell}},
		Restore: func(_ context.Context, backup, target string) error {
			text, err := os.ReadFile(backup)
			if err != nil {
				return err
			}
			return os.WriteFile(target, text, 0o600)
		},
	}
}

// toySchema keeps the schemas of made-up databases in files: the database of postgres://h/NAME has done as many steps as NAME.steps says.
type toySchema struct{}

func (toySchema) Status(_ context.Context, url string) (cli.SchemaStatus, error) {
	name := url[strings.LastIndex(url, "/")+1:]
	st := cli.SchemaStatus{Database: "h:5432/" + name, Known: 2}
	text, err := os.ReadFile(name + ".steps")
	if err != nil {
		return st, &cli.Failure{Code: cli.ExitUnavailable, Err: fmt.Errorf("connect to %s: %w", st.Database, err)}
	}
	if st.Version, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err != nil {
		return st, err
	}
	for v := range int64(2) {
		step := cli.SchemaStep{Version: v + 1, Name: fmt.Sprintf("%05d_step", v+1)}
		if v < st.Version {
			step.Applied = time.Date(2026, 11, 21, 12, 0, int(v), 0, time.UTC)
		}
		st.Steps = append(st.Steps, step)
	}
	st.Guarded = st.Version == 2
	return st, nil
}

func (s toySchema) Up(ctx context.Context, url string) (cli.SchemaStatus, error) {
	name := url[strings.LastIndex(url, "/")+1:]
	steps, err := "2", error(nil)
	if name == "halfway" {
		steps, err = "1", errors.New("step 2 of halfway: the disk is full")
	}
	if err := os.WriteFile(name+".steps", []byte(steps), 0o600); err != nil {
		return cli.SchemaStatus{}, err
	}
	st, unread := s.Status(ctx, url)
	return st, errors.Join(err, unread)
}

func (s toySchema) Plan(ctx context.Context, url string) (sql string, err error) {
	st, err := s.Status(ctx, url)
	for _, step := range st.Steps {
		if step.Applied.IsZero() {
			sql += "-- " + step.Name + "\n"
		}
	}
	return sql, err
}

// TestScripts runs every script of testdata/script against a server of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			folder := t.TempDir()
			s, stop, err := startServer(folder, gateways, records, zones, databases)
			if err != nil {
				return err
			}
			env.Values["server"] = s
			env.Setenv("SETPOINT_SERVER", s.URL)
			// Under the race detector a process that ends sleeps for a second, in which races of others might be seen. A script runs dozens of them.
			env.Setenv("GORACE", "atexit_sleep_ms=10")
			env.Defer(func() {
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"engine": engine, "cluster": lonely, "exits": script.Exits},
	})
}

// engine plays the controllers: engine KIND/NAME CHANGE…, where a change is state=S, ready=True|False, wait=CODE, action=NAME, note=TEXT (of
// the signals that stand), hold=FINALIZER, release, or owner=KIND/NAME.
func engine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: engine KIND/NAME CHANGE…")
	}
	s := ts.Value("server").(*server)
	find := func(arg string) resource.Key {
		kind, name, _ := strings.Cut(arg, "/")
		d, err := s.kinds.Resolve(kind)
		ts.Check(err)
		if !d.Namespaced() {
			return d.Key("", resource.Name(name))
		}
		return d.Key("default", resource.Name(name))
	}
	ts.Check(s.act(find(args[0]), func(o *resource.Object) {
		for _, change := range args[1:] {
			what, value, _ := strings.Cut(change, "=")
			applyChange(ts, s, o, what, value, find)
		}
	}))
}

// lonely puts the server on a database of one process: cluster alone.
func lonely(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || args[0] != "alone" {
		ts.Fatalf("usage: cluster alone")
	}
	c := ts.Value("server").(*server).cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alone = true
}

func applyChange(ts *testscript.TestScript, s *server, o *resource.Object, what, value string, find func(string) resource.Key) {
	now := time.Now()
	switch what {
	case "state":
		o.State, o.StateSince = lifecycle.State(value), now
	case "ready":
		o.Observed = o.Generation
		o.SetCondition(resource.Condition{
			Type: resource.Ready, Status: resource.Truth(value), Reason: "Tested", Message: "as the script says", Observed: o.Generation, Since: now,
		})
	case "wait":
		o.Waits = []resource.Wait{{Controller: "gateway", Code: value, Message: "for the test", Since: now, Until: now.Add(time.Hour)}}
	case "action":
		o.Action = &resource.Action{
			Name: value, Run: o.Revision, From: o.State, Since: now.Add(-time.Hour), Deadline: now.Add(time.Hour), Phase: resource.ActionUnwinding, Halt: resource.HaltPaused,
			Message: "ada asked for a pause", End: resource.OutcomeCanceled, Steps: []resource.ActionStep{
				{Name: "fence", Phase: resource.StepUndoing, Since: now.Add(-time.Hour), Adapter: "hosts", Key: "fence"},
				{Name: "promote", Phase: resource.StepUndone, Since: now.Add(-time.Minute)},
			},
		}
		o.Last = &resource.ActionEnd{Name: "Follow", Run: 1, Outcome: resource.OutcomeFailed, Message: "the leader is gone", At: now.Add(-3 * time.Hour)}
	case "note":
		_, standing, _ := s.Signals(o.Key)
		for _, sig := range standing {
			o.Signals = append(o.Signals, resource.StandingSignal{Name: sig.Name, By: sig.By, At: sig.At, Why: sig.Why, Note: value})
		}
	case "hold":
		o.Finalizers = append(o.Finalizers, resource.Finalizer(value))
	case "release":
		o.Finalizers = nil
	case "address":
		o.Status = []byte(`{"address":"` + value + `"}`)
	case "owner":
		key := find(value)
		owner, ok := s.view.Get(key)
		if !ok {
			ts.Fatalf("there is no %s", key)
		}
		o.Owners = []resource.Owner{{Key: key, UID: owner.UID, Controller: true, Version: "v1"}}
	default:
		ts.Fatalf("no change %q", what)
	}
}
