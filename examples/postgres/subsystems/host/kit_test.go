package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/testkit"
)

// Environment of a host process, which a test can kill: its folder, its address, and the template.
const (
	hostDir      = "HOST_TEST_DIR"
	hostAddress  = "HOST_TEST_ADDRESS"
	hostTemplate = "HOST_TEST_TEMPLATE"
)

// TestMain is also a host that a test can kill.
func TestMain(m *testing.M) {
	if dir := os.Getenv(hostDir); dir != "" {
		err := Run(context.Background(), Options{Dir: dir, Listen: os.Getenv(hostAddress), template: os.Getenv(hostTemplate), unsynced: true})
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(tested{m})
}

// tested are tests after which the template is removed.
type tested struct{ *testing.M }

// Run runs the tests.
func (m tested) Run() int {
	status := m.M.Run()
	if made.path != "" {
		if err := os.RemoveAll(filepath.Dir(made.path)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return status
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// made is the template: a fresh data folder that most clusters of the tests are copies of, because copying is faster.
var made struct {
	once sync.Once
	path string
	err  error
}

func template(t *testing.T) string {
	t.Helper()
	made.once.Do(func() {
		made.err = func() error {
			folder, err := os.MkdirTemp("", "setpoint-pg-template-")
			if err != nil {
				return err
			}
			made.path = filepath.Join(folder, "data")
			by, err := findAccount()
			if err != nil {
				return err
			}
			bin, err := findPrograms("/usr/lib/postgresql")
			if err != nil {
				return err
			}
			if err := errors.Join(os.Chmod(folder, 0o711), by.folder(made.path)); err != nil {
				return err
			}
			worker := (&Host{account: by, bin: bin}).newServer("template", folder)
			_, err = worker.tool(context.Background(), nil, "initdb", append(initdb, "--no-sync", "--pgdata="+made.path)...)
			return err
		}()
	})
	if made.err != nil {
		t.Fatal(made.err)
	}
	return made.path
}

// room is a folder that the servers' account may pass through. When the test ends, no process that works in it is left.
func room(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "setpoint-pg-host-")
	if err == nil {
		err = os.Chmod(folder, 0o711)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h := &Host{options: Options{Dir: folder}.withDefaults(), servers: map[string]*server{}, board: newBoard()}
		var err error
		if h.account, err = findAccount(); err != nil {
			t.Error(err)
		}
		folders, err := filepath.Glob(filepath.Join(h.options.Data, "servers", "*"))
		for _, path := range folders {
			s := h.newServer(filepath.Base(path), path)
			if t.Failed() {
				t.Logf("the end of the log of %s:\n%s", s.name, tail(s.logSince(0)))
			}
			err = errors.Join(err, s.kill(), freeMemory(filepath.Join(s.data(), "postmaster.pid")))
		}
		if err := errors.Join(err, os.RemoveAll(folder)); err != nil {
			t.Error(err)
		}
	})
	return folder
}

func tail(text string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-25):], "\n")
}

// life is one life of a host.
type life struct {
	*Host
	base string
	end  func()
	// intents are the latest of each key. With again, the next wish for a key is the one before once more, with its token.
	intents map[string]uint64
	again   bool
}

func begin(t *testing.T, o Options) *life {
	t.Helper()
	o.Log, o.template, o.unsynced = quiet, template(t), true
	ctx, cancel := context.WithCancel(context.Background())
	h, listener, err := Open(ctx, o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(ctx, listener) }()
	var once sync.Once
	l := &life{Host: h, base: "http://" + listener.Addr().String(), intents: map[string]uint64{}}
	l.end = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("host: %v", err)
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

// first is a host's first life, which knows that it has nothing.
func first(t *testing.T, o Options) *life {
	t.Helper()
	if o.Dir == "" {
		o.Dir = room(t)
	}
	l := begin(t, o)
	if _, err := l.Kit().Restore(subsystem.RestoreRequest{Memory: l.Kit().Memory()}); err != nil {
		t.Fatal(err)
	}
	return l
}

// intent is the latest of all, as that of a plane is: what is decided later has a higher one, whatever its key.
var intent atomic.Uint64

// call is the next wish for a key.
func (l *life) call(t *testing.T, key string, request any) subsystem.ApplyRequest {
	t.Helper()
	text, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	if !l.again {
		l.intents[key] = intent.Add(1)
	}
	l.again = false
	return subsystem.ApplyRequest{
		Token: command.Token(fmt.Sprintf("%s-%d", key, l.intents[key])), Intent: l.intents[key], Key: key, Request: text,
	}
}

func (l *life) apply(t *testing.T, key string, request any) subsystem.ApplyAnswer {
	t.Helper()
	a, err := l.Kit().Apply(l.call(t, key, request))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// done insists.
func (l *life) done(t *testing.T, key string, request any) Result {
	t.Helper()
	return resultOf(t, key, l.apply(t, key, request))
}

func resultOf(t *testing.T, key string, a subsystem.ApplyAnswer) (r Result) {
	t.Helper()
	if a.Outcome != command.OutcomeDone {
		t.Fatalf("%s: got %s %s: %s: want done", key, a.Outcome, a.Class, a.Message)
	}
	if a.Result != nil {
		if err := json.Unmarshal(a.Result, &r); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// do is an operation with a key of its own.
func (l *life) do(t *testing.T, o Operation) Result {
	t.Helper()
	return l.done(t, o.Server+"."+string(o.Do), o)
}

var (
	small = map[string]string{"shared_buffers": "16MB", "max_connections": "30", "max_wal_size": "64MB", "min_wal_size": "32MB"}
	admin = Login{"postgres", "secret of the administrator"}
	repl  = Login{"replicator", "secret 'of' \\the standbys"}
)

func primaryWish() ServerRequest {
	return ServerRequest{Role: Primary, Parameters: small, Superuser: &admin, Replication: repl}
}

func standbyWish(of Result) ServerRequest {
	return ServerRequest{Role: Standby, Upstream: of.Address, Parameters: small, Replication: repl}
}

// sql runs statements as a client from outside.
func sql(ctx context.Context, address string, by Login, statements ...string) (rows [][]string, err error) {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(by.User, by.Password), Host: address, Path: "/postgres", RawQuery: "sslmode=disable"}
	c, err := pgconn.Connect(ctx, u.String())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	for _, statement := range statements {
		results, err := c.Exec(ctx, statement).ReadAll()
		if err != nil {
			return nil, err
		}
		rows = nil
		for _, row := range results[len(results)-1].Rows {
			var texts []string
			for _, value := range row {
				texts = append(texts, string(value))
			}
			rows = append(rows, texts)
		}
	}
	return rows, nil
}

func exec1(t *testing.T, at Result, statements ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	rows, err := sql(ctx, at.Address, admin, statements...)
	if err != nil {
		t.Fatalf("server %s: %v: %v", at.Server, statements, err)
	}
	if len(rows) == 0 {
		return ""
	}
	return rows[0][0]
}

// psql runs the program that people use.
func (l *life) psql(t *testing.T, at Result, database string, by Login, statement string) (string, error) {
	t.Helper()
	c := exec.Command(l.program("psql"), "--no-psqlrc", "--no-password", "-Atc", statement,
		fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=%s", at.Port, by.User, database))
	c.Env = append(os.Environ(), "PGPASSWORD="+by.Password)
	text, err := c.CombinedOutput()
	return strings.TrimSpace(string(text)), err
}

// health waits until the check-ins say of a server what is wanted.
func (l *life) health(t *testing.T, server, what string, so func(Health) bool) (found Health) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	var agent string
	var since uint64
	for ctx.Err() == nil {
		c := l.CheckIns(ctx, agent, since)
		agent, since = c.Agent, c.Sequence
		for _, h := range c.Health {
			if h.Server == server {
				found = h
			}
		}
		if so(found) {
			return found
		}
	}
	t.Fatalf("server %s: still not so: %s; it is %+v", server, what, found)
	return found
}

func healthy(h Health) bool { return h.Running && h.Answering && h.Planned == "" }

func streaming(h Health) bool { return healthy(h) && h.Role == Standby && h.Receiving }

func pidOf(t *testing.T, s *server) int {
	t.Helper()
	pid, _ := s.postmaster()
	if pid == 0 {
		t.Fatalf("server %s does not run", s.name)
	}
	return pid
}

// patient are the options of most tests: health is asked for more often than in earnest.
var patient = Options{Grace: 5 * time.Second, ReadyIn: testkit.Patience, Every: 100 * time.Millisecond, MissAfter: 400 * time.Millisecond}
