package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// ownDatabase is a database with a schema on a server of the test's own.
func ownDatabase(t *testing.T, server *pg.Server) string {
	t.Helper()
	address := server.Database(t)
	if _, err := Migrate(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	return address
}

// databaseName is the name in the URL of a database.
func databaseName(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}

// either is the URL of a database that is on one of two servers, the first of which is asked first.
func either(address string, first, second *pg.Server) string {
	return strings.Replace(address, first.Address(), first.Address()+","+second.Address(), 1)
}

// patient has the engine wait as long as servers need to be started.
func patient(address, name string) func(*Options) {
	return func(o *Options) { o.URL, o.Name, o.Patience = address, name, testkit.Patience }
}

// TestFailover kills a primary whose commits wait for a standby, under load, and promotes the standby; then the former primary comes back, believing that it is
// one still; then it rejoins as a standby.
func TestFailover(t *testing.T) {
	seed := seeded(t)
	primary := pg.Start(t)
	address := ownDatabase(t, primary)
	standby := primary.Standby(t, true)
	both := either(address, primary, standby)
	engine, other := open(t, patient(both, "engine")), open(t, patient(both, "other"))
	watchers := map[string]*watcher{"the engine": watch(t, engine), "another process": watch(t, other)}
	crowd := gather(t, engine, 8, seed)
	crowd.moreAcknowledged(t, 100)

	primary.Kill9(t)
	standby.Promote(t)
	crowd.moreAcknowledged(t, 100)

	primary.Start(t) // nobody told it
	name := databaseName(t, address)
	last := primary.Exec(t, name, "SELECT revision FROM setpoint.counter")[0][0]
	standby.Terminate(t, "application_name LIKE 'setpoint%'") // and everybody has to choose a server again, this one being the first of the URL
	crowd.moreAcknowledged(t, 100)
	if n := primary.Exec(t, name, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'setpoint %'")[0][0]; n != "0" {
		t.Errorf("%s sessions of processes that have seen the new primary are with the former one", n)
	}

	// A process that knows nothing takes the former primary for what it says it is, and waits there for an acknowledgement.
	stray := open(t, patient(both, "stray"))
	answered := make(chan error, 1)
	var receipt store.Receipt
	go func() {
		var err error
		receipt, err = stray.Commit(t.Context(), store.Transaction{Objects: []store.ObjectWrite{{Object: crowdObject("stray")}}})
		answered <- err
	}()
	testkit.Wait(t, "the stray commit waits for a standby that follows no more", func() bool {
		return len(primary.Exec(t, name, "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'setpoint commits stray%' AND wait_event = 'SyncRep'")) == 1
	})
	select {
	case err := <-answered:
		t.Errorf("the former primary's commit was answered: receipt %+v, error %v", receipt, err)
	default:
	}
	if now := primary.Exec(t, name, "SELECT revision FROM setpoint.counter")[0][0]; now != last {
		t.Errorf("the former primary went from revision %s to %s", last, now)
	}

	primary.RejoinAs(t, standby, false)
	if err := <-answered; err != nil {
		t.Errorf("the stray commit, when its server had become a standby: %v", err)
	}
	if o, err := other.Object(t.Context(), crowdObject("stray").Key); err != nil || o.Revision != receipt.Revision {
		t.Errorf("the stray commit was acknowledged at revision %d; the new primary has it at %v, error %v", receipt.Revision, o, err)
	}
	refusesReplica(t, primary.URL(name))
	crowd.disperse()
	watchers["a process that was with the former primary"] = watch(t, stray)
	for name, w := range watchers {
		w.arrives(t, name, other)
	}
	if sum := crowd.audit(t, other); sum.unknown+sum.unavailable > 0 {
		t.Errorf("%s: there was a primary within the patience all the time", sum)
	}
}

// refusesReplica checks that a store does not open on a server that takes no writes.
func refusesReplica(t *testing.T, address string) {
	t.Helper()
	s, err := Open(t.Context(), Options{URL: address, Patience: 2 * time.Second})
	if err == nil {
		t.Errorf("a store was opened on a replica; close: %v", s.Close())
	}
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), "read only") {
		t.Errorf("opening a store on a replica: %v; want %q and the word that it is read only", err, store.ErrUnavailable)
	}
}

// TestFailoverBehind promotes a standby that lacks what was acknowledged: PostgreSQL lost it, and the engine must not go on as if nothing had happened.
func TestFailoverBehind(t *testing.T) {
	primary := pg.Start(t)
	address := ownDatabase(t, primary)
	name := databaseName(t, address)
	standby := primary.Standby(t, false)
	both := either(address, primary, standby)
	engine, other := open(t, patient(both, "engine")), open(t, patient(both, "other"))
	watchers := map[string]*watcher{"the engine": watch(t, engine), "another process": watch(t, other)}
	commit := func(s *Store, names string, n int) resource.Revision {
		t.Helper()
		var last resource.Revision
		for i := range n {
			r, err := s.Commit(t.Context(), store.Transaction{Objects: []store.ObjectWrite{{Object: crowdObject(fmt.Sprint(names, "-", i))}}})
			if err != nil {
				t.Fatalf("create %s-%d: %v", names, i, err)
			}
			last = r.Revision
		}
		return last
	}
	kept := commit(engine, "kept", 5)
	testkit.Wait(t, "the standby has what is to be kept", func() bool {
		rows := standby.Exec(t, name, "SELECT revision FROM setpoint.counter")
		return slices.Equal(rows[0], []string{fmt.Sprint(kept)})
	})
	standby.StopFast(t)
	late := open(t, patient(both, "late")) // whose committer the standby does not know
	lost := commit(late, "lost", 10)
	for name, w := range watchers {
		testkit.Wait(t, fmt.Sprintf("%s has seen revision %d", name, lost), func() bool { return w.at() == lost })
	}
	_, ahead := other.Watch(t.Context(), lost+1)
	if !errors.Is(ahead, store.ErrFuture) {
		t.Errorf("watching from beyond the last commit: %v", ahead)
	}

	primary.Kill9(t)
	standby.Start(t)
	standby.Promote(t)
	if again := commit(engine, "again", 3); again != kept+3 {
		t.Errorf("the last of 3 commits after the promotion has revision %d; the new primary was at %d", again, kept)
	}
	if beyond := commit(late, "beyond", 20); beyond != kept+23 {
		t.Errorf("the last of 20 more commits has revision %d, want %d", beyond, kept+23)
	}
	for name, w := range watchers {
		w.arrives(t, name, engine)
		if w.rescans == 0 {
			t.Errorf("%s was not told to scan again", name)
		}
	}
	if _, err := engine.Object(t.Context(), crowdObject("lost-0").Key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("reading what was lost: %v", err)
	}
}
