package host

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/testkit"
)

func TestFailoverAndReturn(t *testing.T) {
	l := first(t, patient)
	a := l.done(t, "shop/a", primaryWish())
	if a.Role != Primary || a.Timeline != 1 || a.System == "" || a.Port == 0 {
		t.Fatalf("made %+v", a)
	}
	b, c := l.done(t, "shop/b", standbyWish(a)), l.done(t, "shop/c", standbyWish(a))
	if b.Role != Standby || b.System != a.System {
		t.Fatalf("made %+v", b)
	}
	l.health(t, "shop/b", "streams", streaming)
	l.health(t, "shop/c", "streams", streaming)
	l.do(t, Operation{Server: "shop/a", Do: Synchronous, Standbys: []string{"shop/b", "shop/c"}})
	if got := exec1(t, a, "CREATE TABLE kept (i int)", "INSERT INTO kept VALUES (1)",
		"SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'"); got != "2" {
		t.Errorf("%s standbys may acknowledge a commit: want 2", got)
	}

	// The primary freezes. The fence does not wait for it.
	if err := unix.Kill(pidOf(t, l.server("shop/a")), unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	l.health(t, "shop/a", "missed", Health.Missed)
	if fenced := l.do(t, Operation{Server: "shop/a", Do: Fence}); !fenced.Fenced {
		t.Errorf("fencing gave %+v", fenced)
	}
	l.health(t, "shop/a", "fenced", func(h Health) bool { return h.Fenced && !h.Running && h.Missed() })
	if kept := l.done(t, "shop/a", primaryWish()); !kept.Fenced {
		t.Errorf("wishing for a fenced server gave %+v: want it to stay down", kept)
	}
	if refused := l.apply(t, "restart", Operation{Server: "shop/a", Do: Restart}); refused.Class != command.Terminal {
		t.Errorf("restarting a fenced server gave %+v", refused)
	}

	// Of the standbys, the one that has more is promoted.
	seen := l.do(t, Operation{Server: "shop/b", Do: Inspect})
	if at, err := Position(seen.LSN); err != nil || at == 0 {
		t.Errorf("inspection gave %+v, %v", seen, err)
	}
	b = l.do(t, Operation{Server: "shop/b", Do: Promote})
	if b.Role != Primary || b.Timeline != 2 {
		t.Fatalf("promotion gave %+v", b)
	}
	if c = l.do(t, Operation{Server: "shop/c", Do: Follow, Upstream: b.Address}); c.Way != Streamed || c.Role != Standby {
		t.Errorf("following gave %+v: want it to go on", c)
	}
	l.do(t, Operation{Server: "shop/b", Do: Synchronous, Standbys: []string{"shop/a", "shop/c"}})
	exec1(t, b, "INSERT INTO kept VALUES (2)")
	if passed := l.do(t, Operation{Server: "shop/b", Do: Barrier}); passed.LSN == "" {
		t.Errorf("a barrier gave %+v", passed)
	}
	if refused := l.apply(t, "barrier", Operation{Server: "shop/c", Do: Barrier}); refused.Outcome == command.OutcomeDone {
		t.Errorf("a barrier on a standby gave %+v: nothing can be committed there", refused)
	}
	a = l.do(t, Operation{Server: "shop/a", Do: Follow, Upstream: b.Address})
	if a.Way != Rewound || a.Role != Standby || a.Fenced {
		t.Errorf("following gave %+v: want it rewound, and no fence", a)
	}
	back := l.health(t, "shop/a", "streams", streaming)
	if back.Upstream != b.Address || back.Timeline != 2 {
		t.Errorf("it is %+v: want it to follow %s", back, b.Address)
	}
	testkit.Wait(t, "the former primary has what was written since", func() bool { return exec1(t, a, "SELECT count(*) FROM kept") == "2" })

	for _, o := range []Operation{
		{Server: "shop/b", Do: Promote},
		{Server: "shop/a", Do: Follow, Upstream: b.Address},
		{Server: "shop/b", Do: Synchronous, Standbys: []string{"shop/a", "shop/c"}},
	} {
		before := effects(t, l)
		if again := l.do(t, o); again.Way != "" {
			t.Errorf("%s again gave %+v", o.Do, again)
		}
		if after := effects(t, l); after != before {
			t.Errorf("%s again had %d effects", o.Do, after-before)
		}
	}
	if got := l.apply(t, "x", Operation{Server: "shop/b", Do: Follow, Upstream: b.Address}); got.Class != command.Terminal {
		t.Errorf("following itself gave %+v", got)
	}
}

// effects counts the lines of the ledger.
func effects(t *testing.T, l *life) int {
	t.Helper()
	lines, err := l.Kit().Ledger()
	if err != nil {
		t.Fatal(err)
	}
	return len(lines)
}

func TestWhatAFormerPrimaryHasTooMuchIsGivenUp(t *testing.T) {
	l := first(t, patient)
	a := l.done(t, "a", primaryWish())
	b := l.done(t, "b", standbyWish(a))
	exec1(t, a, "CREATE TABLE kept (i int)", "INSERT INTO kept VALUES (1)")
	// It leaves the line, and both go on writing.
	testkit.Wait(t, "the standby has it", func() bool { return exec1(t, b, "SELECT count(*) FROM pg_class WHERE relname = 'kept'") == "1" })
	b = l.do(t, Operation{Server: "b", Do: Unfollow})
	if b.Role != Primary || b.Timeline != 2 {
		t.Fatalf("unfollowing gave %+v", b)
	}
	if l.archiveOf(t, "a") == l.archiveOf(t, "b") {
		t.Error("a server that has left its line shares the archive")
	}
	exec1(t, a, "INSERT INTO kept VALUES (-2), (-3)")
	exec1(t, b, "INSERT INTO kept VALUES (2)")
	a = l.do(t, Operation{Server: "a", Do: Follow, Upstream: b.Address})
	if a.Way != Rewound {
		t.Errorf("following gave %+v: want it rewound", a)
	}
	testkit.Wait(t, "the former primary has the other's rows and not its own", func() bool {
		return exec1(t, a, "SELECT sum(i) FROM kept") == "3"
	})
	if l.archiveOf(t, "a") != l.archiveOf(t, "b") {
		t.Error("servers of one line have two archives")
	}

	// A server of another cluster has nothing to be rewound to.
	l.options.template = ""
	strange := l.done(t, "strange", primaryWish())
	if strange.System == b.System {
		t.Fatal("two clusters have one identifier")
	}
	strange = l.do(t, Operation{Server: "strange", Do: Follow, Upstream: b.Address})
	if strange.Way != Copied || strange.System != b.System {
		t.Errorf("following gave %+v: want a copy", strange)
	}
	// Nor has one whose rewinding was cut off.
	l.do(t, Operation{Server: "a", Do: Fence})
	s := l.server("a")
	s.state.Rewinding = true
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	if a = l.do(t, Operation{Server: "a", Do: Follow, Upstream: b.Address}); a.Way != Copied || s.state.Rewinding {
		t.Errorf("following gave %+v: want a copy", a)
	}
	// And an upstream that is not there costs nobody anything.
	nobody := l.apply(t, "nobody", Operation{Server: "a", Do: Follow, Upstream: "127.0.0.1:1"})
	if nobody.Class != command.Retry || exec1(t, a, "SELECT sum(i) FROM kept") != "3" {
		t.Errorf("following nobody gave %+v", nobody)
	}
}

func (l *life) archiveOf(t *testing.T, server string) string {
	t.Helper()
	name, err := readArchive(l.server(server).data())
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestAFencedServerThatIsStartedByHandIsKilled(t *testing.T) {
	l := first(t, patient)
	l.done(t, "a", primaryWish())
	l.do(t, Operation{Server: "a", Do: Fence})
	s := l.server("a")
	if _, err := s.launch(t.Context()); err != nil { // behind the host's back
		t.Fatal(err)
	}
	testkit.Wait(t, "it is dead again", func() bool {
		found, err := s.processes()
		return err == nil && len(found) == 0
	})
	if up := l.do(t, Operation{Server: "a", Do: Unfence}); up.Fenced || up.Role != Primary {
		t.Errorf("unfencing gave %+v", up)
	}
	l.health(t, "a", "answers", healthy)
	before := l.CheckIns(t.Context(), "", 0)
	absent := l.apply(t, "a", nil)
	if absent.Outcome != command.OutcomeDone || exists(s.folder) || len(l.all()) != 0 {
		t.Errorf("removing gave %+v", absent)
	}
	after := l.CheckIns(t.Context(), before.Agent, before.Sequence)
	if after.Servers != 0 || len(after.Health) != 1 || !after.Health[0].Gone {
		t.Errorf("checked in %+v: want a gone", after)
	}
	if again := l.apply(t, "a", nil); again.Outcome != command.OutcomeDone {
		t.Errorf("removing it again gave %+v", again)
	}
	if no := l.apply(t, "y", Operation{Server: "a", Do: Promote}); no.Class != command.Terminal {
		t.Errorf("promoting what is not there gave %+v", no)
	}
}

func TestHalfwayIsFinishedByTheSameToken(t *testing.T) {
	l := first(t, patient)
	halfway := func(key string, request any) Result {
		t.Helper()
		if err := l.Kit().SetFaults(subsystem.Faults{Halfway: 1}); err != nil {
			t.Fatal(err)
		}
		if a := l.apply(t, key, request); a.Outcome != command.OutcomeFailed {
			t.Fatalf("%s: got %+v: want failed", key, a)
		}
		if err := l.Kit().SetFaults(subsystem.Faults{}); err != nil {
			t.Fatal(err)
		}
		l.again = true
		return l.done(t, key, request)
	}
	a := halfway("a", primaryWish())
	b := halfway("b", standbyWish(a))
	halfway("1", Operation{Server: "a", Do: Restart})
	halfway("2", Operation{Server: "a", Do: Fence})
	b = halfway("3", Operation{Server: "b", Do: Promote})
	halfway("4", Operation{Server: "b", Do: Synchronous, Standbys: []string{"a"}})
	halfway("5", Operation{Server: "a", Do: Follow, Upstream: b.Address})
	exec1(t, b, "CREATE TABLE kept ()") // waits for a
	halfway("6", Operation{Server: "b", Do: Credential, User: "u", Password: new("secret"), MemberOf: []string{"pg_monitor"}})
	halfway("7", BackupRequest{Server: "b", Do: Backup, Name: "n"})
	halfway("8", Operation{Server: "a", Do: Unfollow})
	halfway("b", nil)
}
