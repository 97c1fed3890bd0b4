package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/testkit"
)

// outside is a host that runs as a process of its own.
type outside struct {
	dir, address string
	client       *subsystem.Client
	command      *exec.Cmd
}

func startOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{dir: room(t), address: fmt.Sprintf("127.0.0.1:%d", testkit.Port(t))}
	o.client = subsystem.NewClient(subsystem.ClientOptions{URL: "http://" + o.address})
	t.Cleanup(func() { o.kill(t) })
	o.start(t)
	teach := subsystem.RestoreRequest{}
	testkit.Wait(t, "the host is taught that it has nothing", func() bool {
		teach.Memory = o.changes(t).Memory
		return o.post(t, "/v1/restore", teach) == nil
	})
	return o
}

func (o *outside) start(t *testing.T) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o.command = exec.Command(program)
	o.command.Env = append(os.Environ(), hostDir+"="+o.dir, hostAddress+"="+o.address, hostTemplate+"="+template(t))
	o.command.Stderr = os.Stderr
	if err := o.command.Start(); err != nil {
		t.Fatal(err)
	}
}

func (o *outside) kill(t *testing.T) {
	t.Helper()
	if o.command == nil {
		return
	}
	if err := o.command.Process.Kill(); err != nil {
		t.Error(err)
	}
	var killed *exec.ExitError
	if err := o.command.Wait(); !errors.As(err, &killed) || killed.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("the host ended with %v", err)
	}
	o.command = nil
}

func (o *outside) changes(t *testing.T) (c subsystem.Changes) {
	t.Helper()
	testkit.Wait(t, "the host answers", func() bool { return o.get(t, "/v1/changes?hold=1", &c) == nil })
	return c
}

// do repeats a call until it is done, as a plane would.
func (o *outside) do(t *testing.T, call command.Call) (r Result) {
	t.Helper()
	testkit.Wait(t, fmt.Sprintf("%s is done", call.Key), func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
		defer cancel()
		result := o.client.Do(ctx, call)
		if result.Class == command.Terminal {
			t.Fatalf("%s: %+v", call.Key, result)
		}
		if result.Outcome != command.OutcomeDone {
			return false
		}
		if err := json.Unmarshal(result.Body, &r); err != nil {
			t.Fatal(err)
		}
		return true
	})
	return r
}

// interrupted begins a call, kills the host when the moment has come, starts it again, and repeats the call.
func (o *outside) interrupted(t *testing.T, call command.Call, moment func() bool) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	ended := make(chan command.Result, 1)
	go func() { ended <- o.client.Do(ctx, call) }()
	testkit.Wait(t, "the moment to kill the host", moment)
	o.kill(t)
	if cut := <-ended; cut.Outcome == command.OutcomeDone {
		t.Fatalf("%s: the call ended before the host was killed", call.Key)
	}
	o.start(t)
	return o.do(t, call)
}

func calling(t *testing.T, key string, request any) command.Call {
	t.Helper()
	text, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return command.Call{Token: command.Token("token-" + key), Intent: 1, Key: key, Request: text}
}

func (o *outside) folder(server string) string {
	return filepath.Join(o.dir, "data", "servers", server)
}

// matches says that there is such a file.
func matches(t *testing.T, pattern string) func() bool {
	return func() bool {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		return len(found) > 0
	}
}

func TestAHostThatIsKilledInTheMiddleFinishesWhenAsked(t *testing.T) {
	o := startOutside(t)
	a := o.interrupted(t, calling(t, "a", primaryWish()), matches(t, o.folder("a")+"/making-*/base"))
	exec1(t, a, "CREATE TABLE kept (i int)", "INSERT INTO kept VALUES (1)")
	b := o.interrupted(t, calling(t, "b", standbyWish(a)), matches(t, o.folder("b")+"/making-*/base"))
	if b.Role != Standby {
		t.Errorf("made %+v", b)
	}
	backup := o.interrupted(t, calling(t, "backup", BackupRequest{Server: "a", Do: Backup, Name: "n"}), matches(t, filepath.Join(o.dir, "data/backups/n/data/base")))
	if backup.Backup == nil {
		t.Errorf("backed up %+v", backup)
	}
	testkit.Wait(t, "the standby has it", func() bool { return exec1(t, b, "SELECT count(*) FROM pg_class WHERE relname = 'kept'") == "1" })
	b = o.interrupted(t, calling(t, "b.unfollow", Operation{Server: "b", Do: Unfollow}), func() bool {
		text, err := os.ReadFile(o.folder("b") + "/server.json")
		if err != nil {
			t.Fatal(err)
		}
		var s state
		return json.Unmarshal(text, &s) == nil && s.Leaving != ""
	})
	if b.Role != Primary || b.Timeline != 2 {
		t.Errorf("unfollowing gave %+v", b)
	}
	exec1(t, a, "INSERT INTO kept VALUES (-2)")
	a = o.interrupted(t, calling(t, "a.follow", Operation{Server: "a", Do: Follow, Upstream: b.Address}), func() bool {
		text, err := os.ReadFile(o.folder("a") + "/server.json")
		if err != nil {
			t.Fatal(err)
		}
		var s state
		return json.Unmarshal(text, &s) == nil && s.Rewinding
	})
	if a.Role != Standby {
		t.Errorf("following gave %+v", a)
	}
	testkit.Wait(t, "the former primary has what the new one has", func() bool { return exec1(t, a, "SELECT coalesce(sum(i), 0) FROM kept") == "1" })
	lines := o.ledger(t)
	seen := map[string]int{}
	for _, line := range lines {
		seen[line.Key]++
	}
	for key, n := range seen {
		if n != 1 {
			t.Errorf("%s had %d effects: want 1", key, n)
		}
	}
	if leftovers, err := filepath.Glob(filepath.Join(o.dir, "data/servers/*/making-*")); err != nil || len(leftovers) > 0 {
		t.Errorf("left over: %v, %v", leftovers, err)
	}
}

func TestAHostThatComesBackAdoptsWhatRunsAndStartsNothing(t *testing.T) {
	options := patient
	options.Dir = room(t)
	l := first(t, options)
	a := l.done(t, "a", primaryWish())
	l.done(t, "b", standbyWish(a))
	l.done(t, "c", standbyWish(a))
	pid := pidOf(t, l.server("a"))
	l.do(t, Operation{Server: "b", Do: Fence})
	if err := l.server("c").kill(); err != nil { // it dies, and stays dead
		t.Fatal(err)
	}
	l.health(t, "c", "missed", Health.Missed)
	l.end()
	l = begin(t, options)
	l.health(t, "a", "answers", healthy)
	if now := pidOf(t, l.server("a")); now != pid {
		t.Errorf("the primary is process %d: want the same, %d", now, pid)
	}
	l.health(t, "b", "fenced", func(h Health) bool { return h.Fenced && !h.Running })
	l.health(t, "c", "missed", Health.Missed)
	if _, _, err := Open(t.Context(), Options{Dir: options.Dir}); err == nil {
		t.Error("two hosts use one folder")
	}
	if c := l.done(t, "c", standbyWish(a)); c.Role != Standby {
		t.Errorf("wishing for a dead server gave %+v: want it started", c)
	}
	l.health(t, "c", "streams", streaming)
	// Data that has vanished is announced.
	s := l.server("c")
	if err := s.clear(); err != nil {
		t.Fatal(err)
	}
	l.end()
	if err := os.RemoveAll(s.data()); err != nil {
		t.Fatal(err)
	}
	options.StopServers = true
	l = begin(t, options)
	c, err := l.Kit().Changes(t.Context(), "", 0)
	if err != nil || len(c.Lost) != 1 || c.Lost[0].Key != "c" {
		t.Errorf("announced %+v, %v: want c", c.Lost, err)
	}
	l.end()
	if found, err := l.server("a").processes(); err != nil || len(found) > 0 {
		t.Errorf("servers outlive a host that was to stop them: %v, %v", found, err)
	}
}

func TestForgettingRemovesEverything(t *testing.T) {
	l := first(t, patient)
	a := l.done(t, "a", primaryWish())
	l.done(t, "backup", BackupRequest{Server: "a", Do: Backup, Name: "n"})
	request, err := json.Marshal(primaryWish())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Kit().Forget(); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"servers", "backups", "archives"} {
		if left, err := os.ReadDir(filepath.Join(l.options.Data, folder)); err != nil || len(left) > 0 {
			t.Errorf("%s holds %v, %v", folder, left, err)
		}
	}
	answer, err := l.Kit().Restore(subsystem.RestoreRequest{Memory: l.Kit().Memory(), Items: []subsystem.RestoreItem{
		{Key: "a", Token: "a-1", Intent: 1, Request: request},
		{Key: "op", Token: "op-1", Intent: 1, Request: json.RawMessage(`{"server":"a","do":"promote"}`)},
	}})
	if err != nil || answer.Restored != 1 || len(answer.Lost) != 1 || answer.Lost[0].Key != "a" {
		t.Errorf("teaching gave %+v, %v: want a lost, and the operation taken for done", answer, err)
	}
	if exists(l.archive(a.Server)) {
		t.Error("an archive is left")
	}
}

func (o *outside) ledger(t *testing.T) []subsystem.LedgerLine {
	t.Helper()
	lines, err := subsystem.ReadLedger(filepath.Join(o.dir, "kit", subsystem.LedgerFile))
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
