package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// The people who try: each logs in by a role of its own.
const (
	roleApp   = "vandal_app"   // a member of setpoint_app
	roleOwner = "vandal_owner" // a member of setpoint_owner
	roleRead  = "vandal_read"  // a member of setpoint_read
	roleNone  = "vandal_none"  // a member of nothing
	roleSuper = "postgres"
)

// people makes the login roles, once per server; the roles they are members of are there.
func people(t testing.TB, url string) {
	t.Helper()
	script := ""
	for role, of := range map[string]string{roleApp: "IN ROLE setpoint_app", roleOwner: "IN ROLE setpoint_owner", roleRead: "IN ROLE setpoint_read", roleNone: ""} {
		script += fmt.Sprintf("SELECT 'CREATE ROLE %s LOGIN %s' WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '%s') \\gexec\n", role, of, role)
	}
	mustPSQL(t, url, script)
}

// psql runs a script as a person would, and returns what psql prints, rows unaligned, and the error it ends with: "SP003: words", empty for none.
func psql(t testing.TB, url, script string) (out, failed string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-f", "-", url)
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = append(os.Environ(), "PGOPTIONS=-c client_min_messages=warning", "PGCONNECT_TIMEOUT=30")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run psql: %v", err)
	}
	if err == nil {
		return stdout.String(), ""
	}
	_, words, found := strings.Cut(stderr.String(), "ERROR:  ")
	if !found {
		t.Fatalf("psql ended with %v without an error of the server: %s", err, stderr.String())
	}
	line, _, _ := strings.Cut(words, "\n")
	return stdout.String(), line
}

func mustPSQL(t testing.TB, url, script string) string {
	t.Helper()
	out, failed := psql(t, url, script)
	if failed != "" {
		t.Fatalf("psql: %s\n%s", failed, script)
	}
	return strings.TrimSpace(out)
}

// counterAt is the last revision that a database has. What a store knows may be a moment older.
func counterAt(t testing.TB, url string) int {
	t.Helper()
	n, err := strconv.Atoi(mustPSQL(t, url, "SELECT revision FROM setpoint.counter"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// everything is a digest of all rows of all tables, proposals aside.
func everything(t testing.TB, url string) string {
	t.Helper()
	return mustPSQL(t, url, `SELECT format('SELECT %L, md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '''')) FROM %s t', c.oid::regclass, c.oid::regclass)
		FROM pg_class c WHERE c.relnamespace = 'setpoint'::regnamespace AND c.relkind = 'r' AND c.relname <> 'proposal' ORDER BY 1 \gexec`)
}

// definitions is a digest of what is defined in the schema and of who may do what with it.
func definitions(t testing.TB, url string) string {
	t.Helper()
	return mustPSQL(t, url, `SELECT item || ': ' || definition FROM setpoint_guard.items() ORDER BY 1;
		SELECT c.relname, c.relkind, c.relacl, c.reloptions FROM pg_class c WHERE c.relnamespace = 'setpoint'::regnamespace ORDER BY 1;
		SELECT p.oid::regprocedure, p.proacl FROM pg_proc p WHERE p.pronamespace = 'setpoint'::regnamespace ORDER BY 1;
		SELECT evtname, evtevent, evtenabled FROM pg_event_trigger ORDER BY 1;
		SELECT name, parent FROM setpoint_guard.partition ORDER BY 1`)
}

// The functions that commit: of older programs, and of this one.
const (
	commitV1 = "commit_v1"
	commitV2 = "commit_v2"
)

// callCommit is SQL that calls one of the functions that commit for one transaction, in the newest committer's name; what is not given is empty.
func callCommit(t testing.TB, url, function string, given map[string]string) string {
	t.Helper()
	arguments := map[string]string{
		"p_committer": "(SELECT id FROM setpoint.committer ORDER BY since DESC LIMIT 1)", "p_epoch": "(SELECT epoch FROM setpoint.committer ORDER BY since DESC LIMIT 1)", "p_first_member": "1000000",
		"m_body": `'{"\\x00"}'`, "m_signals": "'{0}'", "m_writer": "'{psql}'", "m_writer_object": `'{""}'`, "m_cause_revision": "'{0}'", "m_cause": `'{""}'`,
	}
	names := mustPSQL(t, url, "SELECT string_agg(n, ' ' ORDER BY i) FROM pg_proc, unnest(proargnames, proargmodes) WITH ORDINALITY a(n, m, i) WHERE proname = '"+function+"' AND m = 'i'")
	var list []string
	for _, name := range strings.Fields(names) {
		value := "'{}'"
		if v, ok := arguments[name]; ok {
			value = v
		}
		if v, ok := given[name]; ok {
			value = v
		}
		list = append(list, name+" => "+value)
	}
	return "SELECT revisions, bad_part, bad_code, bad_words FROM setpoint." + function + "(" + strings.Join(list, ", ") + ");"
}

const crateKind resource.KindID = "Crate.postgres.example"

var crateTable = lifecycle.Table{
	{State: "New", To: lifecycle.To("Open", "Closing")},
	{State: "Open", Healthy: true, To: lifecycle.To("Closing")},
	{State: "Closing", Deleting: true, To: lifecycle.To("Closed")},
	{State: "Closed", Final: true},
}

var crateEpoch = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// crate is a new object with a lifecycle.
func crate(name string) *resource.Object {
	return &resource.Object{
		Meta: resource.Meta{
			Key: resource.Key{Kind: crateKind, Namespace: "ns", Name: resource.Name(name)}, UID: resource.UID("uid-" + name),
			Generation: 3, Created: crateEpoch, State: "New", StateSince: crateEpoch,
			Attributes: resource.Attributes{
				Owners:     []resource.Owner{{Key: resource.Key{Kind: crateKind, Namespace: "ns", Name: "parent"}, UID: "uid-parent", Child: "crate"}},
				Finalizers: []resource.Finalizer{"crate"},
			},
		},
		Spec: []byte(`{"size":1}`),
	}
}

func putCrate(t testing.TB, s *Store, o *resource.Object, expect resource.Revision) resource.Revision {
	t.Helper()
	r, err := s.Commit(t.Context(), store.Transaction{Writer: store.Writer{Name: "controller/crate"}, Objects: []store.ObjectWrite{{Object: o, Expect: expect}}})
	if err != nil {
		t.Fatal(err)
	}
	return r.Revision
}

// furnished is a store with one of everything: an owned crate that a finalizer holds, with a command, a signal and a timer, and a lease.
func furnished(t testing.TB) *Store {
	t.Helper()
	s := open(t, nil)
	people(t, s.options.URL)
	if err := s.Register(t.Context(), []store.Rules{{Kind: crateKind, Lifecycle: crateTable}}); err != nil {
		t.Fatal(err)
	}
	o := crate("a")
	putCrate(t, s, o, 0)
	if _, err := s.Acquire(t.Context(), "plane", "n1", time.Hour); err != nil {
		t.Fatal(err)
	}
	beats(t, s, "n1")
	if _, err := s.Acquire(t.Context(), store.ShardScope(1), "n1", time.Hour); err != nil { // as a shard that was taken, beside the lease of the plane
		t.Fatal(err)
	}
	slot := command.Slot{Owner: o.UID, Adapter: "dns", Key: "x"}
	_, err := s.Commit(t.Context(), store.Transaction{
		Commands: []store.CommandWrite{{Command: command.Command{Slot: slot, Object: o.Key, Intent: 1, Phase: command.Pending, Token: command.TokenOf(1, slot, 1)}}},
		Raise:    []store.Signal{{Object: o.Key, Name: "Poke"}},
		Timers:   []store.Timer{{Controller: "c", Object: o.Key, Due: crateEpoch}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func itoa(n int) string { return strconv.Itoa(n) }
