package postgres

import (
	"errors"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/store/storetest"
)

// Answers to vandals, by the beginning of the error: the code, and what the words say.
const (
	noRight    = "42501: "        // the role may not
	byGuard    = "SP003: "        // a guard refuses
	notOwner   = "42501: must be" // of what a superuser has made
	superseded = "SP001: "
)

// moved is SQL that moves the counter by one, as a commit does.
const moved = "UPDATE setpoint.counter SET first = revision + 1, revision = revision + 1, transaction = pg_current_xact_id();"

// fed is SQL that puts a row of the feed where the counter is.
const fed = "INSERT INTO setpoint.feed (revision, at, first_signal, committer, member, body) SELECT c.revision, clock_timestamp(), 0, 1, 999, '\\x00' FROM setpoint.counter c;"

// a way round the rules, and what each role is told. An empty answer stands for the one before it.
type vandalism struct {
	reason            string
	sql               string
	app, owner, super string
}

func (v vandalism) answers() map[string]string {
	a := map[string]string{roleApp: v.app, roleOwner: v.owner, roleSuper: v.super}
	if v.owner == "" {
		a[roleOwner] = v.app
	}
	if v.super == "" {
		a[roleSuper] = a[roleOwner]
	}
	return a
}

// vandalisms are tried in a transaction each. The application may write no table; the owner may, and meets the triggers; so does a superuser.
var vandalisms = []vandalism{
	{"an illegal transition, all else in order", moved + "UPDATE setpoint.object SET state = 'Closed', revision = (SELECT revision FROM setpoint.counter);" + fed, noRight, byGuard + `setpoint: Crate.postgres.example/ns/a: the transition from "New" to "Closed" is not allowed`, ""},
	{"a state that does not exist", moved + "UPDATE setpoint.object SET state = 'Nowhere', revision = (SELECT revision FROM setpoint.counter);" + fed, noRight, byGuard, ""},
	{"a write outside of any commit", "UPDATE setpoint.object SET spec = '{}'", noRight, byGuard + "setpoint: this is written by commits only", ""},
	{"a revision of an object set back", moved + "UPDATE setpoint.object SET revision = revision - 1;" + fed, noRight, byGuard, ""},
	{"a revision of the future", moved + "UPDATE setpoint.object SET revision = revision + 1000;" + fed, noRight, byGuard, ""},
	{"a write that keeps its revision", moved + "UPDATE setpoint.object SET spec = '{}';" + fed, noRight, byGuard, ""},
	{"the counter set back", "UPDATE setpoint.counter SET revision = revision - 1, first = revision, transaction = pg_current_xact_id()", noRight, byGuard + "setpoint: the revision moves forward", ""},
	{"a revision skipped", "UPDATE setpoint.counter SET first = revision + 2, revision = revision + 2, transaction = pg_current_xact_id()", noRight, byGuard + "setpoint: the revision moves forward", ""},
	{"the counter moved twice", moved + fed + moved, noRight, byGuard + "setpoint: the revision moves forward, once per transaction", ""},
	{"a commit that is not in the feed", moved, noRight, byGuard + "setpoint: the feed lacks", ""},
	{"a commit that is in the feed before its time", moved + fed + "INSERT INTO setpoint.feed SELECT revision + 5, at, 0, 1, 1000, body FROM setpoint.feed ORDER BY revision DESC LIMIT 1;", noRight, byGuard + "setpoint: the feed has a commit after", ""},
	{"signal numbers again", "UPDATE setpoint.counter SET signals = 0", noRight, byGuard, ""},
	{"a forgotten future", "UPDATE setpoint.counter SET compacted = revision + 1", noRight, byGuard, ""},
	{"no counter", "DELETE FROM setpoint.counter", noRight, byGuard, ""},
	{"an owned row deleted", "DELETE FROM setpoint.object", noRight, byGuard, ""},
	{"an owned row deleted in a commit", moved + "DELETE FROM setpoint.object;" + fed, noRight, byGuard + "setpoint: Crate.postgres.example/ns/a: not removed, finalizers hold it", ""},
	{"a row deleted that nobody holds, with its last form, but not what hangs on it", moved +
		"UPDATE setpoint.object SET deleted = 1, attributes = '{}', revision = (SELECT revision FROM setpoint.counter); DELETE FROM setpoint.object;" + fed, noRight, byGuard + "setpoint: Crate.postgres.example/ns/a: not removed, commands, signals or timers hang on it", ""},
	{"everything emptied", "TRUNCATE setpoint.object CASCADE", noRight, byGuard, ""},
	{"the rules emptied", "TRUNCATE setpoint.kind CASCADE", noRight, byGuard, ""},
	{"another UID", moved + "UPDATE setpoint.object SET uid = 'x', revision = (SELECT revision FROM setpoint.counter);" + fed, noRight, byGuard, ""},
	{"another name", moved + "UPDATE setpoint.object SET name = 'x', revision = (SELECT revision FROM setpoint.counter);" + fed, noRight, byGuard, ""},
	{"a generation set back", moved + "UPDATE setpoint.object SET generation = 1, revision = (SELECT revision FROM setpoint.counter);" + fed, noRight, byGuard, ""},
	{"an object without a commit", "INSERT INTO setpoint.object (kind, namespace, name, uid, shard, generation, revision, created) VALUES ('K', '', 'n', 'u', 0, 1, 1, 1)", noRight, byGuard, ""},
	{"an object in no state", moved + "INSERT INTO setpoint.object (kind, namespace, name, uid, shard, generation, revision, created, state) SELECT 'Crate.postgres.example', '', 'n', 'u', 0, 1, revision, 1, 'No' FROM setpoint.counter;" + fed, noRight, byGuard, ""},
	{"a transition made legal first", "INSERT INTO setpoint.transition VALUES ('Crate.postgres.example', 'New', 'Closed')", noRight, byGuard + "setpoint: kind Crate.postgres.example: its states and transitions are not those of its rules", ""},
	{"a kind without rules", "DELETE FROM setpoint.transition; DELETE FROM setpoint.state; DELETE FROM setpoint.kind", noRight, byGuard, ""},
	{"a command done by hand", "UPDATE setpoint.command SET phase = 'Done'", noRight, byGuard, ""},
	{"a signal changed", moved + "UPDATE setpoint.signal SET uid = 'x';" + fed, noRight, byGuard, ""},
	{"a timer removed", "DELETE FROM setpoint.timer", noRight, byGuard, ""},
	{"the feed changed", "UPDATE setpoint.feed SET body = '\\x00'", noRight, byGuard, ""},
	{"the feed cut", "DELETE FROM setpoint.feed", noRight, byGuard, ""},
	{"a partition of the feed written past the feed", "INSERT INTO setpoint.feed_0 VALUES (50, now(), 0, 1, 1, '\\x00')", noRight, byGuard, ""},
	{"a partition of the feed emptied", "TRUNCATE setpoint.feed_0", noRight, byGuard, ""},
	{"the history changed", "UPDATE setpoint.history SET writer = 'nobody'", noRight, byGuard, ""},
	{"the history removed", "DELETE FROM setpoint.history", noRight, byGuard, ""},
	{"a history that never was", "INSERT INTO setpoint.history SELECT * FROM setpoint.history", noRight, byGuard, ""},
	{"the history of today forgotten", "UPDATE setpoint.retention SET history = 'infinity'", noRight, byGuard, ""},
	{"an epoch set back", "UPDATE setpoint.lease SET counter = 0", noRight, byGuard, ""},
	{"an epoch that skips", "UPDATE setpoint.lease SET counter = counter + 5 WHERE scope = 'plane'", noRight, byGuard + "setpoint: lease plane: epochs never fall, rise by one", ""},
	{"an epoch of no incarnation", "UPDATE setpoint.lease SET incarnation = 99", noRight, byGuard, ""},
	{"another holder at the same epoch", "UPDATE setpoint.lease SET holder = 'me'", noRight, byGuard, ""},
	{"no lease row, so that counters start again", "DELETE FROM setpoint.lease", noRight, byGuard, ""},
	{"the version of assignments set back", "UPDATE setpoint.lease SET counter = 0 WHERE scope = 'shards'", noRight, byGuard + "setpoint: lease shards: it belongs to an incarnation that exists", ""},
	{"no version of assignments", "DELETE FROM setpoint.lease WHERE scope = 'shards'", noRight, byGuard, ""},
	{"a shard given to another at the same epoch", "UPDATE setpoint.lease SET holder = 'me' WHERE scope LIKE 'shard/%'", noRight, byGuard, ""},
	{"a shard's epoch that begins again", "UPDATE setpoint.lease SET counter = 0, holder = '' WHERE scope LIKE 'shard/%'", noRight, byGuard, ""},
	{"a node made silent by hand", "UPDATE setpoint.node SET expires = '-infinity'", noRight, "allowed: others may take its shards, under higher epochs", ""},
	{"no node", "DELETE FROM setpoint.node", noRight, "allowed: others may take the shards, under higher epochs", ""},
	{"a name cordoned by hand", "INSERT INTO setpoint.cordon (name) VALUES ('x')", noRight, "allowed: it asks, and keeps nobody out", ""},
	{"a pause by hand", "INSERT INTO setpoint.pause (id, by_whom, since, until) VALUES (1, 'x', now(), now() + interval '1 hour')", noRight, "allowed: it asks, has an end, and every beat brings it", ""},
	{"a committer's epoch set back", "UPDATE setpoint.committer SET epoch = epoch - 1", noRight, byGuard, ""},
	{"an older incarnation", "UPDATE setpoint.meta SET incarnation = 0", noRight, byGuard, ""},
	{"another identity", "UPDATE setpoint.meta SET database = 'x'", noRight, byGuard, ""},
	{"a verdict on another's proposal", "INSERT INTO setpoint.proposal (key, expected, patch, by_whom) VALUES ('k/n/a', 1, '{}', 'somebody')", noRight, byGuard, ""},
	{"triggers for replicas only", "SET session_replication_role = replica; UPDATE setpoint.object SET spec = '{}'", noRight, "", byGuard + "setpoint: this is written by commits only"},
	{"operators of another schema", "CREATE SCHEMA evil; CREATE FUNCTION evil.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false'; CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes);" +
		"SET search_path = evil, pg_catalog;" + moved + "UPDATE setpoint.object SET state = 'Closed', revision = (SELECT revision FROM setpoint.counter);" + fed, noRight, "", byGuard},
	{"a trigger disabled", "ALTER TABLE setpoint.object DISABLE TRIGGER guard_update", notOwner, byGuard + "setpoint: the rules rest on what would be changed: trigger setpoint.object.guard_update", ""},
	{"all triggers disabled", "ALTER TABLE setpoint.object DISABLE TRIGGER ALL", notOwner, byGuard, ""},
	{"a trigger of a partition disabled", "ALTER TABLE setpoint.feed_0 DISABLE TRIGGER guard_delete", notOwner, byGuard, ""},
	{"a trigger dropped", "DROP TRIGGER guard_update ON setpoint.object", notOwner, byGuard, ""},
	{"a guard replaced", "CREATE OR REPLACE FUNCTION setpoint.guard_object_update() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'", noRight, byGuard + "setpoint: the rules rest on what would be changed: function setpoint.guard_object_update()", ""},
	{"a guard that looks for names elsewhere", "ALTER FUNCTION setpoint.span() SET search_path = public", notOwner, byGuard, ""},
	{"a trigger that undoes", "CREATE TRIGGER z BEFORE UPDATE ON setpoint.object FOR EACH ROW EXECUTE FUNCTION setpoint.guard_never()", noRight, byGuard, ""},
	{"a rule that does something else", "CREATE RULE z AS ON UPDATE TO setpoint.object DO INSTEAD NOTHING", notOwner, byGuard, ""},
	{"rows hidden from the engine", "ALTER TABLE setpoint.object ENABLE ROW LEVEL SECURITY", notOwner, byGuard, ""},
	{"a table rewritten", "ALTER TABLE setpoint.object ALTER state TYPE text USING 'Closed'", notOwner, byGuard + "setpoint: rewriting a table would pass its guards by", ""},
	{"a column replaced", "ALTER TABLE setpoint.object DROP state; ALTER TABLE setpoint.object ADD state text DEFAULT 'Closed'", notOwner, byGuard, ""},
	{"a constraint dropped", "ALTER TABLE setpoint.object DROP CONSTRAINT object_uid", notOwner, byGuard, ""},
	{"a table moved out of the way", "ALTER TABLE setpoint.object RENAME TO elsewhere", notOwner, byGuard, ""},
	{"a table dropped", "DROP TABLE setpoint.transition", notOwner, byGuard, ""},
	{"objects in a table below", "CREATE TABLE setpoint.more () INHERITS (setpoint.object)", noRight, byGuard, ""},
	{"a feed of one's own put in", "CREATE TABLE setpoint.feed_900000 (LIKE setpoint.feed); ALTER TABLE setpoint.feed ATTACH PARTITION setpoint.feed_900000 FOR VALUES FROM (900000) TO (1000000)", noRight, byGuard, ""},
	{"a feed of one's own, with guards and commits in it", "CREATE TABLE setpoint.feed_900000 (LIKE setpoint.feed); INSERT INTO setpoint.feed_900000 VALUES (900001, now(), 0, 1, 1, '\\x00'); CALL setpoint.guard_partition('feed_900000'); " +
		"ALTER TABLE setpoint.feed ATTACH PARTITION setpoint.feed_900000 FOR VALUES FROM (900000) TO (1000000)", noRight, byGuard + "setpoint: table setpoint.feed_900000, below feed: it has rows", ""},
	{"a partition taken out", "ALTER TABLE setpoint.feed DETACH PARTITION setpoint.feed_0", notOwner, byGuard, ""},
	{"a partition dropped that is retained", "DROP TABLE setpoint.feed_0", notOwner, byGuard + "setpoint: partition feed_0 is retained", ""},
	{"everything dropped", "DROP SCHEMA setpoint CASCADE", notOwner, byGuard, ""},
	{"a right for others", "GRANT UPDATE ON setpoint.object TO setpoint_app", "allowed: a warning says that nothing is granted", byGuard + "setpoint: the rules rest on what would be changed: UPDATE on setpoint.object for setpoint_app", ""},
	{"another owner", "ALTER TABLE setpoint.object OWNER TO CURRENT_USER", notOwner, byGuard, ""},
	{"the guard of the guards dropped", "DROP EVENT TRIGGER setpoint_guard", notOwner, "", "allowed: it is a superuser's"},
	{"the guards' memory emptied", "DELETE FROM setpoint_guard.fixed", noRight, "", "allowed: it is a superuser's"},
	{"the unlocking that superusers have", "SET setpoint.unlock = 'on'; ALTER TABLE setpoint.object DISABLE TRIGGER guard_update", notOwner, byGuard, "allowed: it is what a superuser does on purpose"},
	{"a session of the owner's", "SET ROLE setpoint_owner; UPDATE setpoint.object SET spec = '{}'", noRight, byGuard, ""},
}

// TestVandalismIsRefused tries every way as the application, as the owner and as a superuser, by psql. What succeeds is rolled back: that only a superuser may, is
// what is shown, and TestWhatASuperuserCanDo does it.
func TestVandalismIsRefused(t *testing.T) {
	s := furnished(t)
	url := s.options.URL
	before, err := storetest.ScanState(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	rows, defined := everything(t, url), definitions(t, url)
	refused := map[string]int{}
	for _, v := range vandalisms {
		for role, answer := range v.answers() {
			end := "COMMIT;"
			allowed := strings.HasPrefix(answer, "allowed")
			if allowed {
				end = "ROLLBACK;"
			}
			_, failed := psql(t, as(url, role), "BEGIN;\n"+v.sql+";\n"+end)
			switch {
			case allowed && failed != "":
				t.Errorf("%s, as %s: %s (%s)\n%s", v.reason, role, failed, answer, v.sql)
			case !allowed && !strings.HasPrefix(failed, answer):
				t.Errorf("%s, as %s: answer %q, want %q\n%s", v.reason, role, failed, answer, v.sql)
			case !allowed:
				refused[role]++
			}
		}
		if now := everything(t, url); now != rows {
			t.Fatalf("%s: something changed\n%s\nnow\n%s", v.reason, rows, now)
		}
	}
	if now := definitions(t, url); now != defined {
		t.Errorf("definitions changed\n%s\nnow\n%s", defined, now)
	}
	t.Logf("%d ways round the rules; refused %v", len(vandalisms), refused)
	putCrate(t, s, crate("b"), 0)
	after, err := storetest.ScanState(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	delete(after.Objects, crate("b").Key)
	if after.Revision != before.Revision+1 || after.String() != before.String() {
		t.Errorf("before (%d)\n%s\nafter (%d)\n%s", before.Revision, before, after.Revision, after)
	}
}

// TestNamesAreLookedUpWhereTheyAreMeant: every function says where.
func TestNamesAreLookedUpWhereTheyAreMeant(t *testing.T) {
	url := newDatabase(t)
	got := mustPSQL(t, url, `SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace IN ('setpoint'::regnamespace, 'setpoint_guard'::regnamespace)
		AND NOT coalesce(p.proconfig, '{}') @> '{"search_path=pg_catalog, pg_temp"}'`)
	if got != "" {
		t.Errorf("functions without a search_path of their own: %s", got)
	}
}

// TestVandalsThroughTheDoor calls the functions that commit, which the application may: they judge.
func TestVandalsThroughTheDoor(t *testing.T) {
	s := furnished(t)
	url := s.options.URL
	object := func(change map[string]string) map[string]string {
		o := map[string]string{
			"o_member": "'{1}'", "o_kind": "'{Crate.postgres.example}'", "o_namespace": "'{ns}'", "o_name": "'{a}'", "o_uid": "'{uid-a}'", "o_shard": "(SELECT ARRAY[shard::int] FROM setpoint.object)", "o_hash": "'{1}'",
			"o_expect": "(SELECT ARRAY[revision] FROM setpoint.object)", "o_removed": "'{f}'", "o_generation": "'{3}'", "o_created": "(SELECT ARRAY[created] FROM setpoint.object)", "o_deleted": "'{0}'", "o_state": "'{New}'", "o_since": "'{0}'",
			"o_attributes": "(SELECT ARRAY[attributes] FROM setpoint.object)", "o_spec": "'{\"{}\"}'", "o_status": "'{NULL}'", "o_gone": `'{""}'`, "o_reason": `'{""}'`,
		}
		for k, v := range change {
			o[k] = v
		}
		return o
	}
	rows := everything(t, url)
	for _, v := range []struct {
		reason  string
		given   map[string]string
		failed  string
		verdict string
	}{
		{"an illegal transition", object(map[string]string{"o_state": "'{Closed}'"}), "", "{0}|{3}|{7}|{New}"},
		{"a revision that is not the object's", object(map[string]string{"o_expect": "'{7}'"}), "", "{0}|{3}|{1}|{\"\"}"},
		{"a revision of nothing, for what exists", object(map[string]string{"o_expect": "'{0}'"}), "", "{0}|{3}|{1}|{\"\"}"},
		{"another UID", object(map[string]string{"o_uid": "'{x}'"}), "", "{0}|{3}|{2}|{uid-a}"},
		{"a generation set back", object(map[string]string{"o_generation": "'{1}'"}), "", "{0}|{3}|{4}|{3}"},
		{"an owned object removed that is held", object(map[string]string{"o_removed": "'{t}'"}), byGuard + "setpoint: Crate.postgres.example/ns/a: not removed, finalizers hold it", ""},
		{"a fence with an epoch that is not the lease's", map[string]string{"f_member": "'{1}'", "f_scope": "'{plane}'", "f_incarnation": "'{1}'", "f_counter": "'{2}'"}, "", "{0}|{1}|{1}|{1:1:n1}"},
		{"a committer's epoch forged", map[string]string{"p_epoch": "99"}, superseded, ""},
		{"a committer that is not there", map[string]string{"p_committer": "99"}, superseded, ""},
		{"a committer that is not there, at no epoch", map[string]string{"p_committer": "99", "p_epoch": "NULL"}, superseded, ""},
	} {
		for _, role := range []string{roleApp, roleOwner, roleSuper} {
			for _, function := range []string{commitV1, commitV2} {
				out, failed := psql(t, as(url, role), callCommit(t, url, function, v.given))
				if !strings.HasPrefix(failed, v.failed) || (failed == "") != (v.failed == "") || strings.TrimSpace(out) != v.verdict {
					t.Errorf("%s, as %s by %s: verdict %q, error %q; want %q, %q", v.reason, role, function, out, failed, v.verdict, v.failed)
				}
			}
		}
		if now := everything(t, url); now != rows {
			t.Fatalf("%s: something changed\n%s\nnow\n%s", v.reason, rows, now)
		}
	}
	if _, failed := psql(t, as(url, roleRead), callCommit(t, url, commitV2, nil)); !strings.HasPrefix(failed, noRight) {
		t.Errorf("a role that reads commits: %q", failed)
	}
	if n := mustPSQL(t, as(url, roleRead), "SELECT count(*) FROM setpoint.object"); n != "1" {
		t.Errorf("a role that reads sees %s objects", n)
	}
}

// TestWhatASuperuserCanDo is what docs/reference/postgresql.md says: a superuser gets by, on purpose; servers notice what is not as it was, and do not start.
func TestWhatASuperuserCanDo(t *testing.T) {
	s := furnished(t)
	url := s.options.URL
	mustPSQL(t, url, "SET setpoint.unlock = 'on'; ALTER TABLE setpoint.object DISABLE TRIGGER guard_update; "+
		"UPDATE setpoint.object SET state = 'Closed'; ALTER TABLE setpoint.object DROP CONSTRAINT object_uid")
	_, err := Open(t.Context(), Options{URL: url})
	if !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "object.guard_update") {
		t.Errorf("a server starts without a guard: %v", err)
	}
	mustPSQL(t, url, "SET setpoint.unlock = 'on'; UPDATE setpoint.object SET state = 'New'; ALTER TABLE setpoint.object ENABLE ALWAYS TRIGGER guard_update")
	_, err = Open(t.Context(), Options{URL: url})
	if !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "constraint setpoint.object.object_uid") {
		t.Errorf("a server starts without a constraint: %v", err)
	}
	mustPSQL(t, url, "SET setpoint.unlock = 'on'; ALTER TABLE setpoint.object ADD CONSTRAINT object_uid UNIQUE (uid)")
	again := open(t, func(o *Options) { o.URL = url })
	putCrate(t, again, crate("b"), 0)
	mustPSQL(t, url, "SET setpoint.unlock = 'on'; DROP SCHEMA setpoint CASCADE")
	mustPSQL(t, url, "CREATE TABLE public.mine (a int)") // the guards, left alone, hinder nobody
}

// TestWhatTheOwnerCanAdd is what migrations do that need no superuser.
func TestWhatTheOwnerCanAdd(t *testing.T) {
	s := furnished(t)
	owner := as(s.options.URL, roleOwner)
	mustPSQL(t, owner, "CREATE TABLE setpoint.more (a int PRIMARY KEY); ALTER TABLE setpoint.object ADD note text DEFAULT 'none'; CREATE INDEX ON setpoint.object (note); "+
		"CREATE FUNCTION setpoint.more_v1() RETURNS int LANGUAGE sql AS 'SELECT 1'; GRANT SELECT ON setpoint.more TO setpoint_read; UPDATE setpoint.meta SET incarnation = incarnation + 1")
	putCrate(t, s, crate("b"), 0)
	again := open(t, func(o *Options) { o.URL = s.options.URL })
	if got := again.Info().Incarnation; got != 2 {
		t.Errorf("incarnation %d, want 2", got)
	}
	if _, err := again.Object(t.Context(), crate("b").Key); err != nil {
		t.Error(err)
	}
}

func TestPropose(t *testing.T) {
	s := furnished(t)
	app := as(s.options.URL, roleApp)
	for _, c := range []struct{ reason, key, revision, patch, says string }{
		{"a key has three parts", "a", "1", "{}", `"a" is no key; it has the form kind/namespace/name`},
		{"a key has three parts, not four", "k/n/a/b", "1", "{}", "is no key"},
		{"a proposal says what it was made for", "k/n/a", "0", "{}", "0 is no revision"},
		{"a patch is an object", "k/n/a", "1", "[1]", "the patch is a JSON object"},
		{"a patch is JSON", "k/n/a", "1", "{", "22P02: invalid input syntax for type json"},
		{"a patch has the size of an object at most", "k/n/a", "1", `{"a":"` + strings.Repeat("x", 1<<20) + `"}`, "the limit is 1048576"},
	} {
		_, failed := psql(t, app, "SELECT setpoint.propose('"+c.key+"', "+c.revision+", '"+c.patch+"')")
		if !strings.Contains(failed, c.says) || !strings.HasPrefix(failed, "SP002: setpoint:") && !strings.HasPrefix(failed, "22P02") {
			t.Errorf("%s: %q, want %q", c.reason, failed, c.says)
		}
	}
	if _, failed := psql(t, as(s.options.URL, roleRead), "SELECT setpoint.propose('k/n/a', 1, '{}')"); !strings.HasPrefix(failed, noRight) {
		t.Errorf("a role that reads proposes: %q", failed)
	}
	inbox := s.Proposals()
	for len(inbox.Arrived()) > 0 { // the session that listens has begun
		<-inbox.Arrived()
	}
	if n := mustPSQL(t, app, `SELECT setpoint.propose('Crate.postgres.example/ns/a', 1, '{"spec":{"size":3}}')`); n != "1" {
		t.Fatalf("the first proposal has number %s", n)
	}
	select {
	case <-inbox.Arrived():
	case <-t.Context().Done():
	}
	waiting, err := inbox.Waiting(t.Context())
	if err != nil || len(waiting) != 1 || waiting[0].Key != crate("a").Key || waiting[0].Expected != 1 || string(waiting[0].Patch) != `{"spec":{"size":3}}` || waiting[0].By != roleApp {
		t.Fatalf("waiting %+v, error %v", waiting, err)
	}
	for _, verdict := range []string{"refused: spec.size: 3 is more than 2", "admitted"} { // the first one stays
		if err := inbox.Judge(t.Context(), 1, verdict == "admitted", 9, verdict); err != nil {
			t.Fatal(err)
		}
	}
	if got := mustPSQL(t, app, "SELECT admitted, verdict FROM setpoint.proposal WHERE id = 1"); got != "f|refused: spec.size: 3 is more than 2" {
		t.Errorf("verdict %q", got)
	}
	if waiting, err := inbox.Waiting(t.Context()); err != nil || len(waiting) != 0 {
		t.Errorf("waiting %+v, error %v", waiting, err)
	}
	mustPSQL(t, app, "SELECT count(setpoint.propose('k/n/a', 1, '{}')) FROM generate_series(1, 1000)")
	if _, failed := psql(t, app, "SELECT setpoint.propose('k/n/a', 1, '{}')"); !strings.Contains(failed, "SP002: setpoint: 1000 proposals wait already") {
		t.Errorf("the inbox has no end: %q", failed)
	}
	if _, failed := psql(t, as(s.options.URL, roleOwner), "UPDATE setpoint.proposal SET admitted = true WHERE id = 1"); !strings.HasPrefix(failed, byGuard) {
		t.Errorf("the owner judges again: %q", failed)
	}
}
