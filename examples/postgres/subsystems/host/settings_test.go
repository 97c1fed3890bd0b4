package host

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/command"
)

func TestParametersAreReloadedAndSomeWaitForARestart(t *testing.T) {
	l := first(t, patient)
	wish := primaryWish()
	a := l.done(t, "a", wish)
	before := effects(t, l)
	if again := l.done(t, "a", wish); again.Port != a.Port || effects(t, l) != before {
		t.Errorf("the same wish gave %+v, and %d effects", again, effects(t, l)-before)
	}
	wish.Parameters = maps.Clone(small)
	wish.Parameters["work_mem"], wish.Parameters["max_connections"] = "7MB", "40"
	changed := l.done(t, "a", wish)
	if !slices.Equal(changed.PendingRestart, []string{"max_connections"}) {
		t.Errorf("pending are %v: want max_connections", changed.PendingRestart)
	}
	if got := exec1(t, a, "SHOW work_mem"); got != "7MB" {
		t.Errorf("work_mem is %s: want 7MB", got)
	}
	if got := exec1(t, a, "SHOW max_connections"); got != "30" {
		t.Errorf("max_connections is %s: want 30 still", got)
	}
	l.health(t, "a", "a restart is pending", func(h Health) bool { return slices.Equal(h.PendingRestart, []string{"max_connections"}) })
	began := exec1(t, a, "SELECT pg_postmaster_start_time()")
	if restarted := l.do(t, Operation{Server: "a", Do: Restart}); len(restarted.PendingRestart) != 0 {
		t.Errorf("after the restart pending are %v", restarted.PendingRestart)
	}
	if exec1(t, a, "SHOW max_connections") != "40" || exec1(t, a, "SELECT pg_postmaster_start_time()") == began {
		t.Error("it was not restarted, or with the former parameters")
	}

	wish.Parameters = maps.Clone(wish.Parameters)
	wish.Parameters["work_mem"] = "much"
	if refused := l.apply(t, "a", wish); refused.Class != command.Terminal || !strings.Contains(refused.Message, "work_mem") {
		t.Errorf("a value that makes no sense gave %+v", refused)
	}
	if got := exec1(t, a, "SELECT pg_reload_conf()", "SHOW work_mem"); got != "7MB" {
		t.Errorf("work_mem is %s after a refusal: want 7MB", got)
	}
	wish.Parameters["work_mem"] = "8MB"
	wish.Port = a.Port + 1
	if refused := l.apply(t, "a", wish); refused.Class != command.Terminal {
		t.Errorf("another port gave %+v", refused)
	}
}

func TestCredentialsRotate(t *testing.T) {
	l := first(t, patient)
	a := l.done(t, "a", primaryWish())
	user := func(password string) Operation {
		return Operation{Server: "a", Do: Credential, User: "shop", Password: &password, Database: "shop", MemberOf: []string{"pg_monitor"}}
	}
	verifier, err := Verifier("third")
	if err != nil {
		t.Fatal(err)
	}
	former := ""
	for _, c := range []struct{ sent, password, reason string }{
		{"first", "first", "the role is made"},
		{"second 'with' \\ things", "second 'with' \\ things", "the password is changed"},
		{verifier, "third", "a verifier is sent instead of the password"},
	} {
		l.do(t, user(c.sent))
		if got, err := l.psql(t, a, "shop", Login{"shop", c.password}, "CREATE TABLE IF NOT EXISTS kept (i int); SELECT current_user"); err != nil || !strings.HasSuffix(got, "shop") {
			t.Errorf("%s: psql gave %q, %v", c.reason, got, err)
		}
		if got, err := l.psql(t, a, "shop", Login{"shop", former}, "SELECT 1"); err == nil {
			t.Errorf("%s: the former password gives %q", c.reason, got)
		}
		former = c.password
		before := effects(t, l)
		if l.do(t, user(c.sent)); effects(t, l) != before {
			t.Errorf("%s: once more is an effect", c.reason)
		}
	}
	if text := l.server("a").logSince(0); strings.Contains(text, "second") || strings.Contains(text, scram) {
		t.Errorf("the log shows a password:\n%s", text)
	}
	lines, err := l.Kit().Ledger()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if strings.Contains(line.Detail, "second") || strings.Contains(line.Detail, scram) {
			t.Errorf("the ledger shows a password: %+v", line)
		}
	}
	if a := l.apply(t, "lend", Operation{Server: "a", Do: Credential, User: "shop", Password: new("x"), MemberOf: []string{Role}}); a.Class != command.Terminal {
		t.Errorf("lending the host's own role gave %+v", a)
	}
	l.do(t, Operation{Server: "a", Do: Credential, User: "shop"})
	if got, err := l.psql(t, a, "postgres", Login{"shop", "third"}, "SELECT 1"); err == nil {
		t.Errorf("a role that was dropped gets %q", got)
	}
	if got, err := l.psql(t, a, "shop", admin, "SELECT count(*) FROM kept"); err != nil || got != "0" {
		t.Errorf("what it owned is gone with it: %q, %v", got, err)
	}
	// The passwords of the server's own request rotate as well.
	wish := primaryWish()
	wish.Superuser = &Login{admin.User, "another"}
	l.done(t, "a", wish)
	if got, err := l.psql(t, a, "postgres", *wish.Superuser, "SELECT 1"); err != nil || got != "1" {
		t.Errorf("the administrator's new password gives %q, %v", got, err)
	}
}

func TestVerifierIsWhatPostgreSQLMakes(t *testing.T) {
	l := first(t, patient)
	a := l.done(t, "a", primaryWish())
	exec1(t, a, "CREATE ROLE theirs LOGIN PASSWORD 'pencil'")
	theirs := exec1(t, a, "SELECT rolpassword FROM pg_authid WHERE rolname = 'theirs'")
	for _, c := range []struct {
		kept, password string
		want           bool
		reason         string
	}{
		{theirs, "pencil", true, "it is PostgreSQL's verifier of this password"},
		{theirs, "pen", false, "it is another password"},
		{theirs, theirs, true, "a verifier is itself"},
		{"", "pencil", false, "there is none"},
		{"md5abc", "pencil", false, "it is of another sort"},
	} {
		if got := verifies(c.kept, c.password); got != c.want {
			t.Errorf("%s: got %v", c.reason, got)
		}
	}
}

func TestBackupAndRestoreToAMoment(t *testing.T) {
	l := first(t, patient)
	a := l.done(t, "a", primaryWish())
	exec1(t, a, "CREATE TABLE kept (i int)", "INSERT INTO kept VALUES (1)")
	backup := BackupRequest{Server: "a", Do: Backup, Name: "monday"}
	got := l.done(t, "shop/monday", backup)
	if got.Backup == nil || got.Backup.Bytes == 0 || len(got.Backup.Segment) != 24 || got.System != a.System {
		t.Fatalf("backing up gave %+v", got)
	}
	exec1(t, a, "INSERT INTO kept VALUES (2)")
	lsn := exec1(t, a, "SELECT pg_current_wal_lsn()")
	at := exec1(t, a, "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
	exec1(t, a, "INSERT INTO kept VALUES (3)")
	moment := parseTime(t, at)
	for _, c := range []struct {
		name    string
		restore Restore
		want    string
		reason  string
	}{
		{"time", Restore{Time: &moment}, "2", "the third row is of later"},
		{"lsn", Restore{LSN: lsn}, "2", "the third row is behind it in the log"},
		{"latest", Restore{}, "3", "all that was archived is restored"},
	} {
		wish := primaryWish()
		wish.Restore = &c.restore
		wish.Restore.Backup = "monday"
		r := l.done(t, c.name, wish)
		if r.Role != Primary || r.Timeline < 2 || r.System != a.System {
			t.Errorf("%s: restored as %+v", c.reason, r)
		}
		if got := exec1(t, r, "SELECT count(*) FROM kept"); got != c.want {
			t.Errorf("%s: %s rows, want %s", c.reason, got, c.want)
		}
		exec1(t, r, "INSERT INTO kept VALUES (4)")
		if again := l.done(t, c.name, wish); again.Timeline != r.Timeline || exec1(t, r, "SELECT max(i) FROM kept") != "4" {
			t.Errorf("%s: wishing again restored again: %+v", c.reason, again)
		}
		if l.archiveOf(t, c.name) == l.archiveOf(t, "a") {
			t.Errorf("%s: it writes into the archive that it was restored from", c.reason)
		}
	}
	wish := primaryWish()
	wish.Restore = &Restore{Backup: "monday", Point: "never"}
	if a := l.apply(t, "never", wish); a.Class != command.Retry || !strings.Contains(a.Message, "before configured recovery target") {
		t.Errorf("a point that was never reached gave %+v", a)
	}
	wish.Restore = &Restore{Backup: "tuesday"}
	if a := l.apply(t, "tuesday", wish); a.Class != command.Terminal {
		t.Errorf("a backup that is not there gave %+v", a)
	}
	if again := l.done(t, "shop/monday", backup); !again.Backup.Ended.Equal(got.Backup.Ended) {
		t.Errorf("backing up again gave %+v: want the backup that is there", again)
	}
	if other := l.apply(t, "other", backup); other.Class != command.Terminal {
		t.Errorf("the same name by another key gave %+v", other)
	}
	for range 2 {
		if gone := l.apply(t, "shop/monday", nil); gone.Outcome != command.OutcomeDone || exists(l.backupFolder("monday")) {
			t.Errorf("removing gave %+v", gone)
		}
	}
	archive := l.archive(l.archiveOf(t, "a"))
	old := time.Now().Add(-2 * l.options.Keep)
	for _, c := range []struct {
		file, reason string
		at           time.Time
		kept         bool
	}{
		{"0000000100000000000000FD", "no backup needs it, and no standby comes that late", old, false},
		{"0000000100000000000000FE", "a standby may need it", time.Now(), true},
		{"0000000F.history", "histories say which timelines there are", old, true},
	} {
		path := filepath.Join(archive, c.file)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, c.at, c.at), l.pruneArchive(t.Context(), filepath.Base(archive))); err != nil {
			t.Fatal(err)
		}
		if exists(path) != c.kept {
			t.Errorf("%s: %s is kept: %v", c.reason, c.file, !c.kept)
		}
	}
	l.apply(t, "a", nil)
	if exists(archive) {
		t.Error("the archive outlives its last server and backup")
	}
}

func parseTime(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
