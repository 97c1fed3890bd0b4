package server_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/lease"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/server"
	"github.com/setpointhq/setpoint/store/postgres"
)

// named is a server of a name under way, with a client of it.
type named struct {
	*serving
	url    string
	plane  *setpoint.Plane
	client *client.Client
}

func serveNamed(t *testing.T, database, name string, changes ...func(*server.Options)) named {
	t.Helper()
	o := options(database)
	o.Postgres.Name = name
	for _, change := range changes {
		change(&o)
	}
	var n named
	o.Listening = func(url string) error { n.url = url; return nil }
	n.serving = serveNotes(t, o)
	n.plane = <-n.serving.plane
	n.client = talk(t, n.url)
	return n
}

func talk(t *testing.T, url string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Server: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// shards are how many a node of a name has, as another one sees it.
func shards(t *testing.T, c *client.Client, name string) int {
	t.Helper()
	n, err := c.Nodes(t.Context())
	if err != nil || n.Problem != "" {
		t.Fatalf("list the nodes: %v %s", err, n.Problem)
	}
	sum := 0
	for _, node := range n.Items {
		if node.Name == name {
			sum += node.Shards
		}
	}
	return sum
}

// finding asks the doctor for one.
func finding(t *testing.T, c *client.Client, code string) (client.Finding, client.Diagnosis) {
	t.Helper()
	d, err := c.Doctor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(d.Findings, func(f client.Finding) bool { return f.Code == code })
	if at < 0 {
		return client.Finding{}, d
	}
	return d.Findings[at], d
}

// works writes notes in about as many shards, and waits until all are measured.
func works(t *testing.T, url, round string) {
	t.Helper()
	for i := range 20 {
		ref := client.Ref{Namespace: "default", Name: resource.Name(fmt.Sprintf("%s%d", round, i))}
		c, kind := writeNote(t, url, string(ref.Name), "four")
		if _, err := c.Wait(t.Context(), kind, ref, func(o *client.Object) (bool, error) {
			var got noteStatus
			return o != nil && o.DecodeStatus(&got) == nil && got.Length == 4, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDrain: a node gives up what it has, work goes on, and it gets its share again.
func TestDrain(t *testing.T) {
	database := pg.Shared(t).Database(t)
	a := serveNamed(t, database, "edge-1")
	b := serveNamed(t, database, "edge-2")
	half := func() bool { return shards(t, a.client, "edge-1") == 128 && shards(t, a.client, "edge-2") == 128 }
	testkit.Wait(t, "both have half of the shards", half)
	if f, d := finding(t, b.client, ""); !d.Well || f.Code != "" {
		t.Errorf("two nodes that are well: %+v", d)
	}
	if warning, err := a.client.Drain(t.Context(), "edge-2", true); err != nil || warning != "" {
		t.Fatalf("%q, %v", warning, err)
	}
	testkit.Wait(t, "the drained node has nothing", func() bool {
		return shards(t, b.client, "edge-2") == 0 && shards(t, b.client, "edge-1") == resource.Shards
	})
	works(t, b.url, "a") // the drained one still serves requests
	if n := len(b.plane.Member().Shards()); n != 0 {
		t.Errorf("it has %d shards", n)
	}
	if f, d := finding(t, b.client, "NodeCordoned"); f.Object != "node edge-2" || !d.Well {
		t.Errorf("a cordon is no fault: %+v", d)
	}
	if warning, err := b.client.Drain(t.Context(), "edge-1", true); err != nil || !strings.Contains(warning, "no other node is left") {
		t.Errorf("%q, %v: want to be warned", warning, err)
	}
	for _, name := range []string{"edge-1", "edge-2"} {
		if _, err := b.client.Drain(t.Context(), name, false); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Wait(t, "both have half of the shards again", half)
	works(t, a.url, "b")
	if _, err := a.client.Drain(t.Context(), "edge-9", true); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
}

// TestLeases: every shard is listed once, with its epoch, and so are the leases of authors.
func TestLeases(t *testing.T) {
	database := pg.Shared(t).Database(t)
	a := serveNamed(t, database, "edge-1")
	testkit.Wait(t, "the node has everything", func() bool { return shards(t, a.client, "edge-1") == resource.Shards })
	err := lease.Do(t.Context(), a.plane.Store(), "import", lease.Options{Holder: "importer/1"}, func(ctx context.Context, _ resource.Epoch) error {
		l, err := a.client.Leases(ctx)
		if err != nil || l.Problem != "" || len(l.Items) != 1 || len(l.Items[0].Shards) != resource.Shards || len(l.Unowned) != 0 {
			t.Fatalf("%+v, %v", l, err)
		}
		fence, _ := a.plane.Fence(17)
		if s := l.Items[0].Shards[17]; s.Shard != 17 || s.Epoch != fence.Epoch.String() || s.Since.IsZero() {
			t.Errorf("%+v, want epoch %s", s, fence.Epoch)
		}
		at := slices.IndexFunc(l.Others, func(o client.Lease) bool { return o.Scope == "author/import" })
		if at < 0 || l.Others[at].Holder != "importer/1" || !l.Others[at].Held || l.Others[at].Expires.IsZero() {
			t.Errorf("%+v: want the author's lease", l.Others)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTheDoctorNamesWhoBlocks: somebody holds what every commit needs at an SQL prompt.
func TestTheDoctorNamesWhoBlocks(t *testing.T) {
	database := pg.Shared(t).Database(t)
	a := serveNamed(t, database, "edge-1")
	works(t, a.url, "a")
	tx, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tx.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if _, err := tx.Exec(t.Context(), "SET application_name = 'psql of ada'; BEGIN; SET LOCAL ROLE setpoint_owner; SELECT 1 FROM setpoint.counter FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	wrote := make(chan struct{})
	go func() { defer close(wrote); works(t, a.url, "b") }()
	pid := strconv.Itoa(int(tx.PgConn().PID()))
	var f client.Finding
	testkit.Wait(t, "the doctor names the session", func() bool {
		f, _ = finding(t, a.client, "CommitsBlocked")
		return f.Object == "database session "+pid
	})
	if f.Severity != "critical" || !strings.Contains(f.What, `"psql of ada"`) || !strings.Contains(f.What, "idle in transaction") || !strings.Contains(f.Remedy, "pg_terminate_backend("+pid+")") {
		t.Errorf("%+v", f)
	}
	if _, err := tx.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	<-wrote
	if f, d := finding(t, a.client, "CommitsBlocked"); f.Code != "" {
		t.Errorf("when it has gone: %+v", d)
	}
}

// TestTheDoctorTellsOfANodeInTrouble: it is alive, beats, and takes nothing more; the other one says so, in its words.
func TestTheDoctorTellsOfANodeInTrouble(t *testing.T) {
	database := pg.Shared(t).Database(t)
	a, b := serveNamed(t, database, "edge-1"), serveNamed(t, database, "edge-2")
	a.plane.Member().Pause(true)
	testkit.Wait(t, "the other one tells of it", func() bool {
		f, _ := finding(t, b.client, "NodeInTrouble")
		return f.Object == "node edge-1" && f.Severity == "warning" && strings.Contains(f.What, "says that its work does not move: ")
	})
	n, err := b.client.Nodes(t.Context())
	if at := slices.IndexFunc(n.Items, func(n client.Node) bool { return n.Name == "edge-1" }); err != nil || n.Items[at].Trouble == "" || !n.Items[at].Member {
		t.Errorf("%+v, %v", n, err)
	}
	a.plane.Member().Pause(false)
	testkit.Wait(t, "it is well again", func() bool { _, d := finding(t, b.client, ""); return d.Well })
}

// TestTheDoctorTellsOfCallsThatHang: the process is alive and its probes answer; its workers do not.
func TestTheDoctorTellsOfCallsThatHang(t *testing.T) {
	let := make(chan struct{})
	hang := func(_ *setpoint.Turn, n *note) setpoint.Outcome {
		if n.Spec.Text == "hang" {
			<-let
		}
		return setpoint.Done()
	}
	a := serveNamed(t, t.TempDir()+"/setpoint.db", "edge-1", func(o *server.Options) {
		o.Controllers = []setpoint.Controller{notes.Driver("note", hang, setpoint.Workers(1), setpoint.TurnDeadline(time.Millisecond))}
	})
	t.Cleanup(func() { close(let) })
	for _, name := range []resource.Name{"a", "b"} { // one more than can be replaced
		o := &setpoint.Object{Meta: resource.Meta{Key: notes.Definition.Key("default", name)}, Spec: []byte(`{"text":"hang"}`)}
		if _, err := a.plane.Create(t.Context(), "test", o, false); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Wait(t, "it says itself that calls hang", func() bool {
		f, _ := finding(t, a.client, "NotWorking")
		stuck, _ := finding(t, a.client, "CallsStuck")
		return f.Object == "node edge-1" && f.Severity == "critical" && strings.Contains(f.What, "do not return") && stuck.Object == "controller note"
	})
}

// TestTheDoctorTellsOfASilentNode: killed, and nobody may take its shards, as the other one is cordoned.
func TestTheDoctorTellsOfASilentNode(t *testing.T) {
	t.Parallel() // it waits for limits of seconds
	database := pg.Shared(t).Database(t)
	process, _ := serverProcess(t, database)
	b := serveNamed(t, database, "edge-2")
	dead := ""
	testkit.Wait(t, "the other process has shards", func() bool {
		n, err := b.client.Nodes(t.Context())
		at := slices.IndexFunc(n.Items, func(n client.Node) bool { return n.Name != "edge-2" && n.Shards > 0 })
		if err != nil || at < 0 {
			return false
		}
		dead = n.Items[at].Name
		return true
	})
	if _, err := b.client.Drain(t.Context(), "edge-2", true); err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, "the other process has all shards", func() bool { return shards(t, b.client, dead) == resource.Shards })
	signalled(t, process, syscall.SIGKILL)
	testkit.Wait(t, "the doctor says that it is silent, and that it has not been replaced", func() bool {
		f, d := finding(t, b.client, "NodeSilent")
		nobody, _ := finding(t, b.client, "EveryNodeCordoned")
		return f.Severity == "critical" && f.Object == "node "+dead && nobody.Object == "nodes" && !d.Well
	})
	if _, err := b.client.Drain(t.Context(), "edge-2", false); err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, "it takes over", func() bool { return shards(t, b.client, "edge-2") == resource.Shards })
	if f, d := finding(t, b.client, "NodeSilent"); f.Code != "" {
		t.Errorf("who has nothing is of no interest: %+v", d)
	}
}

// TestTheDatabaseIsAway: nodes are asked for in the night in which the database is gone.
func TestTheDatabaseIsAway(t *testing.T) {
	t.Parallel() // it waits for limits of seconds
	s := pg.Shared(t)
	proxy := pg.NewProxy(t, s.Address())
	direct := s.Database(t)
	if _, err := postgres.Migrate(t.Context(), direct); err != nil {
		t.Fatal(err)
	}
	a := serveNamed(t, proxy.URL(direct), "edge-1", func(o *server.Options) { o.Migrate = false })
	testkit.Wait(t, "the node has everything", func() bool { return shards(t, a.client, "edge-1") == resource.Shards })
	proxy.Pause()
	n, err := a.client.Nodes(t.Context())
	if err != nil || n.Problem == "" || len(n.Items) != 1 || n.Items[0].Name != "edge-1" || !n.Items[0].Member || n.Items[0].Shards == 0 {
		t.Errorf("%+v, %v: want what it remembers", n, err)
	}
	f, d := finding(t, a.client, "DatabaseAway")
	if f.Severity != "critical" || d.Well || len(d.Unasked) == 0 {
		t.Errorf("%+v", d)
	}
	if _, err := a.client.Drain(t.Context(), "edge-1", true); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("a drain that cannot be written down: %v, want ErrUnavailable", err)
	}
	proxy.Resume()
	testkit.Wait(t, "it is well again", func() bool { _, d := finding(t, a.client, ""); return d.Well })
}

// TestOneProcess: on SQLite there is one node, which has everything, and nobody to give it to.
func TestOneProcess(t *testing.T) {
	a := serveNamed(t, t.TempDir()+"/setpoint.db", "edge-1")
	testkit.Wait(t, "it has the lease", func() bool {
		n, err := a.client.Nodes(t.Context())
		return err == nil && !n.Shared && len(n.Items) == 1 && n.Items[0].Name == "edge-1" && n.Items[0].Shards == resource.Shards && n.Items[0].Member
	})
	l, err := a.client.Leases(t.Context())
	if fence, _ := a.plane.Fence(0); err != nil || len(l.Items) != 0 || len(l.Unowned) != 0 || len(l.Others) != 1 || l.Others[0].Scope != "plane" || l.Others[0].Epoch != fence.Epoch.String() {
		t.Errorf("%+v, %v", l, err)
	}
	if _, d := finding(t, a.client, ""); !d.Well || len(d.Findings) > 0 {
		t.Errorf("%+v", d)
	}
	if _, err := a.client.Drain(t.Context(), "edge-1", true); !errors.Is(err, client.ErrConflict) || !strings.Contains(err.Error(), "one process works on this database at a time (sqlite)") {
		t.Errorf("%v", err)
	}
}
