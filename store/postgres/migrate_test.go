package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/store/storetest"
)

// emptyDatabase is one without a schema.
func emptyDatabase(t testing.TB) string {
	t.Helper()
	return pg.Shared(t).Database(t)
}

// newest is the newest step of this program.
func newest(t testing.TB) int64 {
	t.Helper()
	v, err := schemaVersion(migrations())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// withStep are the migrations of a program to come: ours and one more.
func withStep(t testing.TB, sql string) fs.FS {
	t.Helper()
	all := fstest.MapFS{}
	err := fs.WalkDir(migrations(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(migrations(), path)
		all[path] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all["00099_next.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + sql)}
	return all
}

// nothingThere fails if a database has a schema.
func nothingThere(t testing.TB, url string) {
	t.Helper()
	if got := mustPSQL(t, url, "SELECT to_regnamespace('setpoint') IS NULL AND to_regnamespace('setpoint_guard') IS NULL AND NOT EXISTS (SELECT 1 FROM pg_event_trigger)"); got != "t" {
		t.Error("something was made")
	}
}

func TestStatusAndPlanChangeNothing(t *testing.T) {
	url := emptyDatabase(t)
	st, err := ReadStatus(t.Context(), url)
	if err != nil || st.Version != 0 || st.Known != newest(t) || len(st.Migrations) != int(newest(t)) || st.Guarded || !st.Migrations[0].Applied.IsZero() {
		t.Errorf("status %+v, error %v", st, err)
	}
	if script := st.Script(); !strings.Contains(script, "-- 00001_base") || !strings.Contains(script, "CREATE TABLE setpoint.object") {
		t.Errorf("script\n%s", script)
	}
	nothingThere(t, url)
	if _, err := Open(t.Context(), Options{URL: url}); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "setpoint migrate up") {
		t.Errorf("open without a schema: %v", err)
	}
	if _, err := Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	rows, defined := everything(t, url), definitions(t, url)
	for range 2 {
		if st, err = ReadStatus(t.Context(), url); err != nil || st.Version != newest(t) || !st.Guarded || st.Migrations[newest(t)-1].Applied.IsZero() {
			t.Errorf("status %+v, error %v", st, err)
		}
		if script := st.Script(); script != "" {
			t.Errorf("with nothing to do, the script is\n%s", script)
		}
		if st, err = Migrate(t.Context(), url); err != nil || st.Version != newest(t) { // once more
			t.Errorf("migrated %+v, error %v", st, err)
		}
	}
	if everything(t, url) != rows || definitions(t, url) != defined {
		t.Error("migrating what is migrated changed something")
	}
}

func TestTwoMigrationsAtOnce(t *testing.T) {
	url := emptyDatabase(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if st, err := Migrate(t.Context(), url); err != nil || st.Version != newest(t) {
				t.Errorf("migrated %+v, error %v", st, err)
			}
		})
	}
	all.Wait()
	if n := mustPSQL(t, url, "SELECT count(*) FROM setpoint.schema_version WHERE version_id > 0"); n != itoa(int(newest(t))) {
		t.Errorf("%s steps are noted", n)
	}
}

// TestScriptIsWhatMigrateDoes gives the script to psql.
func TestScriptIsWhatMigrateDoes(t *testing.T) {
	migrated, scripted := newDatabase(t), emptyDatabase(t)
	st, err := ReadStatus(t.Context(), scripted)
	if err != nil {
		t.Fatal(err)
	}
	mustPSQL(t, scripted, st.Script())
	if want, got := definitions(t, migrated), definitions(t, scripted); got != want {
		t.Errorf("by the script\n%s\nby migrating\n%s", got, want)
	}
	if st, err = ReadStatus(t.Context(), scripted); err != nil || st.Version != newest(t) || !st.Guarded {
		t.Errorf("status %+v, error %v", st, err)
	}
	putCrate(t, open(t, func(o *Options) { o.URL = scripted }), crowdObject("a"), 0)
}

// TestScriptOfALaterStep: the owner, who may make neither roles nor schemas, adds a step to a schema that is there.
func TestScriptOfALaterStep(t *testing.T) {
	url := newDatabase(t)
	people(t, url)
	owner := as(url, roleOwner)
	st, err := ReadStatus(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	st.Known, st.Migrations = 99, append(st.Migrations, Migration{Version: 99, Name: "00099_next", SQL: nextStep})
	mustPSQL(t, owner, st.Script())
	if st, err = ReadStatus(t.Context(), owner); err != nil || st.Version != 99 || !st.Guarded {
		t.Errorf("status %+v, error %v", st, err)
	}
	putCrate(t, open(t, func(o *Options) { o.URL = url }), crowdObject("a"), 0)
}

// TestScriptsGuard: only a superuser's script sets the guard, and not over the schema of a newer program.
func TestScriptsGuard(t *testing.T) {
	for _, c := range []struct {
		reason string
		status Status
		guards bool
	}{
		{"the owner has migrated, and now a superuser comes", Status{Version: 5, Known: 5, Superuser: true}, true},
		{"the owner cannot set it", Status{Version: 5, Known: 5}, false},
		{"it is there", Status{Version: 5, Known: 5, Superuser: true, Guarded: true}, false},
		{"what a newer program guards is not known here", Status{Version: 6, Known: 5, Superuser: true}, false},
	} {
		if script := c.status.Script(); strings.Contains(script, "CREATE EVENT TRIGGER") != c.guards || (script == "") == c.guards {
			t.Errorf("%s: script %q", c.reason, script)
		}
	}
}

func TestSchemasThatDoNotFit(t *testing.T) {
	last := newest(t)
	for _, c := range []struct{ reason, change, says string }{
		{"a step is missing", fmt.Sprintf("DELETE FROM setpoint.schema_version WHERE version_id = %d", last), fmt.Sprintf("the database has version %d, this program needs %d; run `setpoint migrate up`", last-1, last)},
		{"a newer program says that ours would not understand", "INSERT INTO setpoint.schema_version (version_id, is_applied) VALUES (97, true); UPDATE setpoint.meta SET understood = 96",
			fmt.Sprintf("the database has version 97, which programs that know less than version 96 do not understand; this one knows %d: run a newer one", last)},
	} {
		url := newDatabase(t)
		mustPSQL(t, url, c.change)
		if _, err := Open(t.Context(), Options{URL: url}); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.reason, err)
		}
	}
}

// nextStep is what the schema of a program to come may have besides, which this one does not know of.
const nextStep = `ALTER TABLE setpoint.object ADD note text DEFAULT 'none'; CREATE TABLE setpoint.more (a int PRIMARY KEY);
	ALTER TABLE setpoint.feed ADD extra json; ALTER TABLE setpoint.command ADD weight int NOT NULL DEFAULT 1;
	CREATE FUNCTION setpoint.commit_v2() RETURNS int LANGUAGE sql AS 'SELECT 2';`

// nextDatabase is one that a program to come has migrated. The conformance suite runs on it.
func nextDatabase(t testing.TB) string {
	t.Helper()
	return pg.Shared(t).DatabaseLike(t, "next", func(url string) error {
		_, err := migrateTo(t.Context(), url, withStep(t, nextStep))
		return err
	})
}

// TestNewerSchemaThatUnderstandsUs is a rolling upgrade half way: the schema becomes the next program's, and this one goes on working.
func TestNewerSchemaThatUnderstandsUs(t *testing.T) {
	old := furnished(t) // a process of today's, which does not stop for it
	url := old.options.URL
	before := counterAt(t, url)
	if st, err := migrateTo(t.Context(), url, withStep(t, nextStep)); err != nil || st.Version != 99 || !st.Guarded {
		t.Fatalf("migrated to %+v, error %v", st, err)
	}
	putCrate(t, old, crate("after"), 0)
	defined := definitions(t, url)
	if st, err := Migrate(t.Context(), url); err != nil || st.Version != 99 || st.Known != newest(t) {
		t.Errorf("the older program migrates: %+v, %v", st, err)
	}
	if now := definitions(t, url); now != defined {
		t.Errorf("the older program changes what is newer\n%s\nnow\n%s", defined, now)
	}
	again := open(t, func(o *Options) { o.URL = url })
	putCrate(t, again, crate("again"), 0)
	state, err := storetest.ScanState(t.Context(), again)
	if err != nil || int(state.Revision) != before+2 || len(state.Objects) != 3 || len(state.Commands) != 1 || len(state.Signals) != 1 || len(state.Timers) != 1 {
		t.Errorf("state %+v, error %v", state, err)
	}
}

func TestMigratingNeedsRights(t *testing.T) {
	url := emptyDatabase(t)
	people(t, newDatabase(t))
	if _, err := Migrate(t.Context(), as(url, roleNone)); !errors.Is(err, ErrPrivilege) || !strings.Contains(err.Error(), "migrate as a member of role setpoint_owner") {
		t.Errorf("by nobody: %v", err)
	}
	if _, err := Migrate(t.Context(), as(url, roleOwner)); !errors.Is(err, ErrPrivilege) || !strings.Contains(err.Error(), "create the schema setpoint") {
		t.Errorf("by an owner who may not make a schema: %v", err)
	}
	nothingThere(t, url)
	database := url[strings.LastIndex(url, "/")+1 : strings.Index(url, "?")]
	mustPSQL(t, url, "GRANT CREATE ON DATABASE "+database+" TO setpoint_owner")
	if st, err := Migrate(t.Context(), as(url, roleOwner)); err != nil || st.Version != newest(t) || st.Guarded {
		t.Errorf("by an owner: %+v, %v", st, err)
	}
	people(t, url)
	for role, want := range map[string]error{roleNone: ErrPrivilege, roleRead: ErrPrivilege, roleApp: nil} {
		s, err := Open(t.Context(), Options{URL: as(url, role)})
		if !errors.Is(err, want) {
			t.Errorf("open as %s: %v, want %v", role, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "GRANT setpoint_app TO "+role) {
			t.Errorf("open as %s does not say what to do: %v", role, err)
		}
		if err == nil {
			err = s.Close()
		}
		if err != nil && want == nil {
			t.Error(err)
		}
	}
	for role, want := range map[string]error{roleNone: ErrPrivilege, roleRead: nil, roleApp: nil, roleOwner: nil} {
		st, err := ReadStatus(t.Context(), as(url, role))
		if !errors.Is(err, want) || want == nil && st.Version != newest(t) {
			t.Errorf("status as %s: %+v, %v; want %v", role, st, err, want)
		}
	}
}

// TestGuardAndMigrations: with a superuser's guard, an owner's migration may add, and not change what is fixed.
func TestGuardAndMigrations(t *testing.T) {
	url := newDatabase(t)
	people(t, url)
	change := withStep(t, "-- +goose StatementBegin\nCREATE OR REPLACE FUNCTION setpoint.guard_span() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM setpoint.span(); RETURN NULL; END';\n-- +goose StatementEnd\n")
	if _, err := migrateTo(t.Context(), as(url, roleOwner), change); !errors.Is(err, ErrPrivilege) || !strings.Contains(err.Error(), "function setpoint.guard_span()") || !strings.Contains(err.Error(), "migrate as a superuser") {
		t.Errorf("the owner replaces a guard: %v", err)
	}
	if st, err := migrateTo(t.Context(), url, change); err != nil || st.Version != 99 || !st.Guarded {
		t.Errorf("a superuser replaces a guard: %+v, %v", st, err)
	}
	open(t, func(o *Options) { o.URL = url }) // it knows that this was meant
	other := newDatabase(t)
	if st, err := migrateTo(t.Context(), as(other, roleOwner), withStep(t, "CREATE TABLE setpoint.more (a int);")); err != nil || st.Version != 99 || !st.Guarded {
		t.Errorf("the owner adds a table: %+v, %v", st, err)
	}
}

// TestMigrationIsOneSession: when its session ends, a migration does not go on in another one, without the role and the lock.
func TestMigrationIsOneSession(t *testing.T) {
	url := newDatabase(t)
	cut := withStep(t, "SELECT pg_terminate_backend(pg_backend_pid());")
	if _, err := migrateTo(context.Background(), url, cut); err == nil {
		t.Error("a migration whose session ended succeeded")
	}
	if st, err := ReadStatus(t.Context(), url); err != nil || st.Version != newest(t) {
		t.Errorf("status %+v, error %v", st, err)
	}
}
