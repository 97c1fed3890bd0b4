package pg

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// orphaning makes the test binary one that starts a server and waits to be killed.
const orphaning = "SETPOINT_PG_ORPHAN"

func TestMain(m *testing.M) {
	if os.Getenv(orphaning) != "" {
		orphan()
	}
	Main(m)
}

// orphan starts a server, prints its process identifier and its folder, and never returns.
func orphan() {
	s, err := create()
	if err == nil {
		err = s.launch()
	}
	if err != nil {
		println("error", err.Error())
		os.Exit(1)
	}
	if _, err := os.Stdout.WriteString(strconv.Itoa(s.PID()) + " " + s.folder.path + "\n"); err != nil {
		os.Exit(1)
	}
	select {}
}

func TestNothingIsLeftOfAKilledTestProcess(t *testing.T) {
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), orphaning+"=1")
	output, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	victim.Stderr = &complaints
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 200)
	n, err := output.Read(line)
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints.String())
	}
	word, path, _ := strings.Cut(strings.TrimSpace(string(line[:n])), " ")
	pid, err := strconv.Atoi(word)
	if err != nil {
		t.Fatal(err)
	}
	postmaster, err := readStat(pid)
	if err != nil || !postmaster.alive() {
		t.Fatalf("the postmaster is not running: %v", err)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := victim.Wait(); err == nil {
		t.Error("the process ended well, though it was killed")
	}
	testkit.Wait(t, "the postmaster has ended", func() bool { return !postmaster.alive() })
	if _, err := os.Stat(filepath.Join(path, "data")); err != nil {
		t.Fatalf("who has removed the folder? %v", err)
	}
	Start(t)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the folder %s is still there: %v", path, err)
	}
}

func TestCommittedRowsSurviveEveryKindOfStop(t *testing.T) {
	s := Start(t)
	s.Exec(t, "postgres", "CREATE TABLE kept (how text)")
	stops := []struct {
		name, reason string
		stop         func(testing.TB)
	}{
		{"fast", "a checkpoint is made", s.StopFast},
		{"immediate", "the log is replayed", s.StopImmediate},
		{"kill -9", "a dead postmaster's lock file and shared memory are in the way", s.Kill9},
	}
	for i, c := range stops {
		s.Exec(t, "postgres", "INSERT INTO kept VALUES ('"+c.name+"')")
		before := s.PID()
		c.stop(t)
		if s.accepts() {
			t.Fatalf("%s: still accepts connections", c.name)
		}
		s.Launch(t) // a start may be cut short as well
		s.Kill9(t)
		s.Start(t)
		if s.PID() == before {
			t.Errorf("%s: the postmaster is the same", c.name)
		}
		rows := s.Exec(t, "postgres", "SELECT count(*) FROM kept")
		if rows[0][0] != strconv.Itoa(i+1) {
			t.Errorf("%s: %s rows, want %d (%s)", c.name, rows[0][0], i+1, c.reason)
		}
	}
}

func TestDatabasesOfTheSharedServerAreApart(t *testing.T) {
	s := Shared(t)
	first, second := s.Database(t), s.Database(t)
	if _, err := Query(t.Context(), first, "CREATE TABLE mine (i int)", "INSERT INTO mine VALUES (NULL)"); err != nil {
		t.Fatal(err)
	}
	rows, err := Query(t.Context(), first, "SELECT i FROM mine")
	if err != nil || len(rows) != 1 || rows[0][0] != Null {
		t.Errorf("got %q, %v", rows, err)
	}
	if _, err := Query(t.Context(), second, "SELECT i FROM mine"); err == nil {
		t.Error("the second database has the first one's table")
	}
}

func TestSettingsAreInForce(t *testing.T) {
	s := Start(t, Setting("synchronous_commit", "remote_apply"), Setting("search_path", `"it's", public`), OwnIdentity())
	for _, c := range []struct{ name, want, reason string }{
		{"synchronous_commit", "remote_apply", "the test's setting precedes the kit's"},
		{"search_path", `"it's", public`, "quotes are kept"},
		{"fsync", "on", "durability is what tests test"},
		{"server_encoding", "UTF8", "as in production"},
		{"lc_collate", "C", "the same order on every machine"},
		{"port", strconv.Itoa(s.Port()), "the port is the kit's"},
	} {
		if got := s.Exec(t, "postgres", "SELECT current_setting('"+c.name+"')")[0][0]; got != c.want {
			t.Errorf("%s is %s, want %s: %s", c.name, got, c.want, c.reason)
		}
	}
	s.Configure(t, Setting("work_mem", "9MB"))
	if got := s.Exec(t, "postgres", "SHOW work_mem")[0][0]; got != "9MB" {
		t.Errorf("work_mem is %s after it was configured", got)
	}
	const identity = "SELECT system_identifier FROM pg_control_system()"
	own, copied := s.Exec(t, "postgres", identity), Shared(t).Exec(t, "postgres", identity)
	if own[0][0] == copied[0][0] {
		t.Error("a server with an identity of its own has the template's")
	}
}

func TestTerminateEndsWhatMatches(t *testing.T) {
	s := Shared(t)
	database := s.Database(t)
	mine := "datname = '" + database[strings.LastIndex(database, "/")+1:strings.Index(database, "?")] + "'"
	ended := make(chan error)
	go func() {
		_, err := Query(t.Context(), database, "SELECT pg_sleep(1000)")
		ended <- err
	}()
	testkit.Wait(t, "the session sleeps", func() bool {
		return len(s.Exec(t, "postgres", "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND "+mine)) == 1
	})
	if n := s.Terminate(t, mine+" AND false"); n != 0 {
		t.Errorf("terminated %d that do not match", n)
	}
	if n := s.Terminate(t, mine); n != 1 {
		t.Errorf("terminated %d, want 1", n)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "57P01") {
		t.Errorf("the session ended with %v, want it terminated by the administrator", err)
	}
}
