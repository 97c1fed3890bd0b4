package postgres

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
)

// held is what a child that holds the counter says of itself.
type held struct{ PID uint32 }

// commitOfNothing is SQL of a commit, for a child that has it in its environment.
const commitOfNothing = "SETPOINT_TEST_SQL"

// holdTheCounter is the part of a process that is in the midst of a commit, and then does nothing.
func holdTheCounter(ctx context.Context, out io.Writer) (err error) {
	conn, err := pgx.Connect(ctx, os.Getenv(contenderURL))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.Background())) }()
	for _, sql := range []string{"BEGIN", os.Getenv(commitOfNothing)} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if err := printJSON(out, held{conn.PgConn().PID()}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// remembered is a log that tests look into.
type remembered struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (r *remembered) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines.Write(b)
}

func (r *remembered) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines.String()
}

// impatient is a store with short time-outs, and what it logs.
func impatient(t *testing.T) (*Store, *remembered) {
	t.Helper()
	log := &remembered{}
	s := open(t, func(o *Options) {
		o.LockTimeout, o.Patience = time.Second, 20*time.Second
		o.Logger = slog.New(slog.NewTextHandler(io.MultiWriter(log, t.Output()), nil))
	})
	people(t, s.options.URL)
	putCrate(t, s, crowdObject("first"), 0)
	return s, log
}

// others commits with two stores while somebody stands in the way, and returns when all are done.
func others(t *testing.T, stores ...*Store) {
	t.Helper()
	began := time.Now()
	var all sync.WaitGroup
	for i, s := range stores {
		for j := range 4 {
			all.Go(func() {
				o := crowdObject(strings.Repeat("x", 1+i*4+j))
				putCrate(t, s, o, 0)
			})
		}
	}
	all.Wait()
	t.Logf("%d commits of others waited for %s", 4*len(stores), time.Since(began).Round(time.Millisecond))
}

// named waits until a log names a session as one that others wait for.
func named(t *testing.T, log *remembered, pid, role, ended string) {
	t.Helper()
	testkit.Wait(t, "the log names session "+pid, func() bool {
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "a commit waits for another session") && strings.Contains(line, "pid="+pid) && strings.Contains(line, "role="+role) && strings.Contains(line, "ended="+ended) {
				return true
			}
		}
		return false
	})
}

// TestFrozenInATransaction stops a process that has called commit_v1 in a transaction of its own. Nobody can tell it anything; its session is ended.
func TestFrozenInATransaction(t *testing.T) {
	s, log := impatient(t)
	second := open(t, func(o *Options) { *o = s.options; o.Name = "second" })
	child := startChild(t, "freezer", contenderURL+"="+as(s.options.URL, roleApp), commitOfNothing+"="+callCommit(t, s.options.URL, commitV2, nil))
	var h held
	child.line(t, &h)
	if err := child.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	before := counterAt(t, s.options.URL)
	others(t, s, second)
	named(t, log, itoa(int(h.PID)), roleApp, "true")
	if s.Blocked() == 0 {
		t.Error("nobody is counted as blocked")
	}
	if n := mustPSQL(t, s.options.URL, "SELECT count(*) FROM pg_stat_activity WHERE pid = "+itoa(int(h.PID))); n != "0" {
		t.Error("the session of the frozen process is still there")
	}
	if got := counterAt(t, s.options.URL); got != before+8 {
		t.Errorf("revision %d, want %d: the frozen commit is none", got, before+8)
	}
}

// TestFrozenSuperuser cannot be ended by the engine. It is named, and its own time-out ends it.
func TestFrozenSuperuser(t *testing.T) {
	s, log := impatient(t)
	child := startChild(t, "freezer", contenderURL+"="+s.options.URL, commitOfNothing+"="+callCommit(t, s.options.URL, commitV2, nil))
	var h held
	child.line(t, &h)
	if err := child.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	others(t, s)
	named(t, log, itoa(int(h.PID)), roleSuper, "false")
}

// TestFrozenInTheProtocol holds back the last message of an exchange: the server has executed the commit and waits for its client to say that this was all. No time-out of
// the server's covers that; the session is ended by those who wait.
func TestFrozenInTheProtocol(t *testing.T) {
	s, log := impatient(t)
	proxy := pg.NewProxy(t, pg.Shared(t).Address())
	never := make(chan struct{})
	defer close(never)
	bound := false // touched by the one connection only
	proxy.OnClient(func(_ int, m pg.Message) pg.Action {
		switch {
		case m.Type() == 'B':
			bound = true
		case m.Type() == 'S' && bound:
			return pg.Delay(never)
		}
		return pg.Pass()
	})
	call := callCommit(t, s.options.URL, commitV2, nil)
	conn, err := pgx.Connect(t.Context(), proxy.URL(as(s.options.URL, roleApp)))
	if err != nil {
		t.Fatal(err)
	}
	pid := itoa(int(conn.PgConn().PID()))
	if _, err := conn.Prepare(t.Context(), "commit", strings.TrimSuffix(call, ";")); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- conn.PgConn().ExecPrepared(context.Background(), "commit", nil, nil, nil).Read().Err
	}()
	testkit.Wait(t, "the commit is executed and not ended", func() bool {
		select {
		case err := <-done:
			t.Fatalf("the commit was ended: %v", err)
		default:
		}
		return mustPSQL(t, s.options.URL, "SELECT count(*) FROM pg_stat_activity WHERE pid = "+pid+" AND state = 'active' AND wait_event = 'ClientRead' AND backend_xid IS NOT NULL") == "1"
	})
	before := counterAt(t, s.options.URL)
	others(t, s)
	named(t, log, pid, roleApp, "true")
	if got := counterAt(t, s.options.URL); got != before+4 {
		t.Errorf("revision %d, want %d: the commit that was never ended is none", got, before+4)
	}
	proxy.Cut()
	if err := <-done; err == nil {
		t.Error("the commit that was never ended succeeded")
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Logf("closing the client's broken connection: %v", err)
	}
}

// TestBlockersOfBlockers names who stands at the end of a queue: a committer that waits for a committer that waits.
func TestBlockersOfBlockers(t *testing.T) {
	s, log := impatient(t)
	second := open(t, func(o *Options) { *o = s.options; o.Name = "second"; o.Logger = testLog(t) })
	tx, err := connectAs(t, s.options.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "BEGIN; SET LOCAL ROLE setpoint_owner; SELECT 1 FROM setpoint.counter FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() { putCrate(t, second, crowdObject("b"), 0) })
	all.Go(func() { putCrate(t, s, crowdObject("a"), 0) })
	named(t, log, itoa(int(tx.PgConn().PID())), roleSuper, "false")
	if _, err := tx.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	all.Wait()
}

// connectAs is a session of the test's own.
func connectAs(t *testing.T, url string) (*pgx.Conn, error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err == nil {
		t.Cleanup(func() {
			if err := conn.Close(context.Background()); err != nil {
				t.Errorf("close a session: %v", err)
			}
		})
	}
	return conn, err
}
