package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/resource"
)

// prompt is an SQL prompt on a server's database.
type prompt struct {
	t *testing.T
	// url is that of the superuser, ada that of a person who may propose.
	url, ada string
}

// newPrompt makes a role for a person. Call it when there is a schema. Roles are the whole cluster's: each test has its own person.
func newPrompt(t *testing.T, url, person string) *prompt {
	t.Helper()
	p := &prompt{t: t, url: url, ada: strings.Replace(url, "//postgres@", "//"+person+"@", 1)}
	p.ask(url, fmt.Sprintf("CREATE ROLE %s LOGIN IN ROLE setpoint_app", person))
	t.Cleanup(func() { p.ask(url, "DROP ROLE "+person) })
	return p
}

func (p *prompt) ask(url, sql string) [][]string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.t.Context()), testkit.Patience) // also in a cleanup
	defer cancel()
	rows, err := pg.Query(ctx, url, sql)
	if err != nil {
		p.t.Fatal(err)
	}
	return rows
}

// propose asks for a change, as a person does, and returns the proposal's number.
func (p *prompt) propose(key string, at uint64, patch string) string {
	p.t.Helper()
	return p.ask(p.ada, fmt.Sprintf("SELECT setpoint.propose('%s', %d, '%s')", key, at, patch))[0][0]
}

// verdict waits for the verdict on a proposal.
func (p *prompt) verdict(number string) (admitted bool, revision uint64, words string) {
	p.t.Helper()
	testkit.Wait(p.t, "proposal "+number+" has a verdict", func() bool {
		row := p.ask(p.ada, "SELECT admitted, coalesce(revision, 0), verdict FROM setpoint.proposal WHERE id = "+number)[0]
		admitted, words = row[0] == "t", row[2]
		n, err := strconv.ParseUint(row[1], 10, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		revision = n
		return row[0] != pg.Null
	})
	return admitted, revision, words
}

// settled waits until the controller has measured a note, and returns the revision it has then. It tells by the length: a text has another one than that before it.
func (p *prompt) settled(name, text string) (revision uint64) {
	p.t.Helper()
	testkit.Wait(p.t, name+" is measured", func() bool {
		rows := p.ask(p.ada, fmt.Sprintf(`SELECT revision FROM setpoint.object WHERE name = '%s' AND spec::jsonb->>'text' = '%s' AND status::jsonb->>'length' = '%d'`, name, text, len(text)))
		if len(rows) == 0 {
			return false
		}
		n, err := strconv.ParseUint(rows[0][0], 10, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		revision = n
		return true
	})
	return revision
}

// writeNote creates a note by the API.
func writeNote(t *testing.T, url, name, text string) (*client.Client, client.Kind) {
	t.Helper()
	c, err := client.New(client.Config{Server: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	kind, err := c.Resolve(t.Context(), "notes")
	if err != nil {
		t.Fatal(err)
	}
	spec, err := json.Marshal(noteSpec{text})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create(t.Context(), kind, &client.Object{
		APIVersion: "test.example/v1", Kind: "Note", Metadata: client.Metadata{Name: resource.Name(name), Namespace: "default"}, Spec: spec,
	}, client.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	return c, kind
}

const noteKey = "Note.test.example/default/n"

// TestProposals: what is asked for at a prompt is judged like a request, in words.
func TestProposals(t *testing.T) {
	database := pg.Shared(t).Database(t)
	url, stop := start(t, database)
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	p := newPrompt(t, database, "ada")
	c, kind := writeNote(t, url, "n", "hello")

	at := p.settled("n", "hello")
	number := p.propose(noteKey, at, `{"spec": {"text": "by ada"}, "metadata": {"labels": {"a": "b"}}}`)
	admitted, revision, words := p.verdict(number)
	if !admitted || revision <= at || words != fmt.Sprintf("admitted at revision %d", revision) {
		t.Fatalf("a good proposal: %t at %d: %q", admitted, revision, words)
	}
	now := p.settled("n", "by ada")
	o, err := c.Get(t.Context(), kind, client.Ref{Namespace: "default", Name: "n"})
	if err != nil || !strings.Contains(string(o.Spec), "by ada") || o.Metadata.Labels["a"] != "b" {
		t.Errorf("after a good proposal the API shows %s %v: %v", o.Spec, o.Metadata.Labels, err)
	}
	entries, err := c.History(t.Context(), kind, client.Ref{Namespace: "default", Name: "n"}, client.HistoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n := notesOf(entries, number); n != 1 {
		t.Errorf("the history has %d notes of the proposal, want 1: %+v", n, entries)
	}

	for _, x := range []struct {
		reason, key string
		at          uint64
		patch       string
		admitted    bool
		says        []string
	}{
		{"what changes nothing is fine", noteKey, now, `{"spec": {"text": "by ada"}}`, true, []string{"it changes nothing", "stays at revision " + strconv.FormatUint(now, 10)}},
		{"the kind's own rule names the field", noteKey, now, `{"spec": {"text": "far too long for a small note"}}`, false, []string{"refused", "spec.text", "at most 20 letters"}},
		{"so does the schema", noteKey, now, `{"spec": {"text": 7}}`, false, []string{"refused", "spec.text"}},
		{"a field that the kind lacks is not passed over", noteKey, now, `{"spec": {"txt": "x"}}`, false, []string{"refused", "spec.txt"}},
		{"a name that no text of the database can hold stops nobody", noteKey, now, `{"spec": {"a\u0000b": "x"}}`, false, []string{"refused", "spec[a"}},
		{"a status is not a person's", noteKey, now, `{"status": {"length": 1}}`, false, []string{"refused", "status", "what controllers report"}},
		{"a name stays", noteKey, now, `{"metadata": {"name": "m"}}`, false, []string{"refused", "metadata.name", "immutable"}},
		{"an older revision is a conflict", noteKey, at, `{"spec": {"text": "late"}}`, false, []string{"conflict", fmt.Sprintf("expected at revision %d and is at %d", at, now)}},
		{"so is one that never was", noteKey, 1 << 60, `{"spec": {"text": "late"}}`, false, []string{"conflict", fmt.Sprintf("is at %d", now)}},
		{"there is no such object", "Note.test.example/default/none", now, `{"spec": {"text": "x"}}`, false, []string{"refused: there is no Note.test.example/default/none"}},
		{"there is no such kind", "Memo.test.example/default/n", now, `{"spec": {"text": "x"}}`, false, []string{"there is no kind Memo.test.example", "Note.test.example"}},
		{"a rule that panics ends nothing", noteKey, now, `{"spec": {"text": "panic"}}`, false, []string{"refused", "bug"}},
	} {
		admitted, _, words := p.verdict(p.propose(x.key, x.at, x.patch))
		if admitted != x.admitted {
			t.Errorf("%s: admitted %t: %s", x.reason, admitted, words)
		}
		for _, says := range x.says {
			if !strings.Contains(words, says) {
				t.Errorf("%s: the verdict is %q, want %q in it", x.reason, words, says)
			}
		}
		if again := p.settled("n", "by ada"); again != now {
			t.Fatalf("%s: the note is at revision %d, was at %d", x.reason, again, now)
		}
	}
}

// notesOf counts the notes of a proposal in a history.
func notesOf(entries []client.HistoryEntry, number string) (n int) {
	for _, e := range entries {
		if e.Reason == "Proposed" && strings.HasPrefix(e.Message, "proposal "+number+" by ") {
			n++
		}
	}
	return n
}

// serverProcess runs a server as a process of its own, and waits until it serves.
func serverProcess(t *testing.T, database string) (*testkit.Process, string) {
	t.Helper()
	process := testkit.Start(t, "env", serveVariable+"="+database, "GORACE=atexit_sleep_ms=10", os.Args[0]) // under the race detector it would sleep for a second at its end
	testkit.Wait(t, "the server serves", func() bool {
		select {
		case <-process.Ended():
			t.Fatalf("the server ended: %v\n%s", process.Err(), process.Output())
		default:
		}
		return strings.Contains(process.Output(), "serving at ")
	})
	_, url, _ := strings.Cut(process.Output(), "serving at ")
	url, _, _ = strings.Cut(url, "\n")
	return process, url
}

func signalled(t *testing.T, p *testkit.Process, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(p.PID, s); err != nil {
		t.Fatal(err)
	}
	<-p.Ended()
}

// TestAProposalIsDoneOnceWhenItsServerIsKilled: the process dies after the commit and before the verdict. The next one says that it was done, and does not do it again.
func TestAProposalIsDoneOnceWhenItsServerIsKilled(t *testing.T) {
	t.Parallel() // it waits for limits of seconds
	server := pg.Shared(t)
	database := server.Database(t)
	process, url := serverProcess(t, database)
	p := newPrompt(t, database, "bob")
	writeNote(t, url, "n", "hello")
	at := p.settled("n", "hello")
	signalled(t, process, syscall.SIGTERM)

	number := p.propose(noteKey, at, `{"spec": {"text": "once"}}`)
	release := p.hold(number)
	process, _ = serverProcess(t, database)
	now := p.settled("n", "once") // it is committed, and its verdict cannot be written
	testkit.Wait(t, "the server waits for the row of the verdict", func() bool {
		return p.ask(p.url, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%judge_v1%'")[0][0] != "0"
	})
	signalled(t, process, syscall.SIGKILL)
	p.ask(p.url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'setpoint %'")
	testkit.Wait(t, "the sessions of the dead server have ended", func() bool {
		return p.ask(p.url, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'setpoint %'")[0][0] == "0"
	})
	release()
	if row := p.ask(p.ada, "SELECT admitted IS NULL FROM setpoint.proposal WHERE id = "+number)[0][0]; row != "t" {
		t.Fatal("the verdict was written before the server was killed: the test shows nothing")
	}

	process, _ = serverProcess(t, database)
	admitted, revision, words := p.verdict(number)
	if !admitted || revision <= at || revision > now || words != fmt.Sprintf("admitted at revision %d", revision) {
		t.Errorf("after a kill the verdict is %t at %d: %q; want admitted, after %d and up to %d", admitted, revision, words, at, now)
	}
	if again := p.settled("n", "once"); again != now {
		t.Errorf("the note is at revision %d, was at %d: something was written again", again, now)
	}
	if n := p.ask(p.ada, "SELECT count(*) FROM setpoint.history WHERE reason = 'Proposed'")[0][0]; n != "1" {
		t.Errorf("%s commits are noted as the proposal, want 1", n)
	}
	signalled(t, process, syscall.SIGTERM)
}

// hold keeps the verdict of a proposal from being written, until the function that it returns is called.
func (p *prompt) hold(number string) (release func()) {
	p.t.Helper()
	c, err := pgconn.Connect(p.t.Context(), p.url)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if err := c.Close(context.WithoutCancel(p.t.Context())); err != nil {
			p.t.Error(err)
		}
	})
	run := func(sql string) {
		p.t.Helper()
		if _, err := c.Exec(p.t.Context(), sql).ReadAll(); err != nil {
			p.t.Fatal(err)
		}
	}
	run("BEGIN")
	run("SELECT 1 FROM setpoint.proposal WHERE id = " + number + " FOR UPDATE")
	return func() { run("ROLLBACK") }
}

// TestProposalsWaitForADatabaseThatIsAway: what is proposed around a restart of the database is judged afterwards.
func TestProposalsWaitForADatabaseThatIsAway(t *testing.T) {
	server := pg.Start(t)
	database := server.Database(t)
	url, stop := start(t, database)
	p := newPrompt(t, database, "eve")
	writeNote(t, url, "n", "hello")
	at := p.settled("n", "hello")
	number := p.propose(noteKey, at, `{"spec": {"text": "afterwards"}}`)
	server.StopImmediate(t)
	server.Start(t)
	admitted, _, words := p.verdict(number)
	if !admitted {
		t.Errorf("around a restart: %q", words)
	}
	next := p.propose(noteKey, p.settled("n", "afterwards"), `{"spec": {"text": "later"}}`)
	if admitted, _, words := p.verdict(next); !admitted {
		t.Errorf("after a restart: %q", words)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
