package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/internal/testkit/script"
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

// TestMain makes the test binary the program "setpoint" of the scripts: each command of a script is a process.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"setpoint": main})
}

// TestScripts runs the scripts of testdata/script, each with an empty database on a PostgreSQL server. $owner is its URL as the superuser, $app as a user who is only a
// member of setpoint_app once there is a schema, and $nobody as one without rights. $other is another empty database.
func TestScripts(t *testing.T) {
	server := pg.Start(t)
	server.Exec(t, "postgres", "CREATE ROLE app LOGIN", "CREATE ROLE nobody LOGIN")
	psql := server.Program("psql")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			owner := server.Database(t)
			name := owner[strings.LastIndex(owner, "/")+1 : strings.Index(owner, "?")]
			env.Setenv("owner", owner)
			env.Setenv("app", server.URLAs("app", name))
			env.Setenv("nobody", server.URLAs("nobody", name))
			env.Setenv("away", fmt.Sprintf("postgres://postgres@127.0.0.1:%d/x?sslmode=disable", testkit.Port(t)))
			env.Setenv("other", server.Database(t))
			env.Setenv("psql", psql)
			env.Setenv("pgbin", filepath.Dir(psql))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": script.Exits, "await": await, "url": url, "verdict": verdict, "metric": metric},
	})
}

// await waits until a file is there: await FILE
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await FILE")
	}
	path := ts.MkAbs(args[0])
	limit, tick := patience()
	for {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			ts.Check(err)
			return
		}
		select {
		case <-tick:
		case <-limit:
			ts.Fatalf("%s does not come", args[0])
		}
	}
}

// url sets a variable to what a file says: url VARIABLE FILE
func url(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: url VARIABLE FILE")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// verdict waits for the verdict on a proposal, which must contain a text: verdict NUMBER TEXT
func verdict(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: verdict NUMBER TEXT")
	}
	limit, tick := patience()
	for {
		rows, err := pg.Query(context.Background(), ts.Getenv("owner"), "SELECT verdict FROM setpoint.proposal WHERE admitted IS NOT NULL AND id = "+args[0])
		ts.Check(err)
		if len(rows) > 0 {
			if !strings.Contains(rows[0][0], args[1]) {
				ts.Fatalf("the verdict is %q", rows[0][0])
			}
			return
		}
		select {
		case <-tick:
		case <-limit:
			ts.Fatalf("proposal %s has no verdict", args[0])
		}
	}
}

// metric looks up a metric of the server at $SETPOINT_SERVER: metric NAME [VALUE]
func metric(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: metric NAME [VALUE]")
	}
	r, err := http.Get(ts.Getenv("SETPOINT_SERVER") + "/metrics")
	ts.Check(err)
	text, err := io.ReadAll(r.Body)
	ts.Check(errors.Join(err, r.Body.Close()))
	http.DefaultClient.CloseIdleConnections()
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == args[0] && (len(args) == 1 || value == args[1]) {
			return
		}
	}
	ts.Fatalf("%v is not served:\n%s", args, text)
}

// patience is the moment at which to give up, and the moments at which to look.
func patience() (limit, tick <-chan time.Time) {
	return time.After(testkit.Patience), time.Tick(10 * time.Millisecond)
}
