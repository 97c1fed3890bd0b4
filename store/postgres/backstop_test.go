package postgres

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/store"
)

// TestBackstop: a trigger that the function knows nothing of refuses one row. Only the member that writes it fails, in the trigger's words; the others of its
// group are committed, each once.
func TestBackstop(t *testing.T) {
	var mu sync.Mutex
	singly := 0
	s := open(t, func(o *Options) {
		o.Observe = func(g store.GroupStats) {
			mu.Lock()
			defer mu.Unlock()
			if g.Singly {
				singly++
			}
		}
	})
	if _, err := pg.Query(t.Context(), s.options.URL, `SET setpoint.unlock = 'on'`, `
		CREATE FUNCTION public.veto() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF NEW.name LIKE 'bad%' THEN RAISE EXCEPTION 'no % here', NEW.name; END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER veto BEFORE INSERT ON setpoint.object FOR EACH ROW EXECUTE FUNCTION public.veto()`); err != nil {
		t.Fatal(err)
	}
	// The first commit is held up, so that the others come together.
	hold, err := pgx.Connect(t.Context(), s.options.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.drop(hold) })
	if _, err := hold.Exec(t.Context(), "BEGIN; SELECT 1 FROM setpoint.counter FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	const good, bad = 12, 3
	errs := make(chan error, good+bad+1)
	var all sync.WaitGroup
	commit := func(name string) {
		all.Go(func() {
			_, err := s.Commit(t.Context(), store.Transaction{Objects: []store.ObjectWrite{{Object: crowdObject(name)}}})
			errs <- err
		})
	}
	commit("first")
	testkit.Wait(t, "the first commit waits", func() bool { return s.waitsForLock(t) })
	for i := range good {
		commit(fmt.Sprint("good-", i))
	}
	for i := range bad {
		commit(fmt.Sprint("bad-", i))
	}
	testkit.Wait(t, "the others are composed", func() bool { return len(s.committer.queue.Normal) == 0 })
	if _, err := hold.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	refused := 0
	for range good + bad + 1 {
		switch err := <-errs; {
		case err == nil:
		case errors.Is(err, store.ErrRule):
			refused++
		default:
			t.Errorf("unexpected: %v", err)
		}
	}
	rows, err := pg.Query(t.Context(), s.options.URL, "SELECT count(*) FROM setpoint.object", "SELECT count(*), max(revision) FROM setpoint.feed")
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := fmt.Sprint(good + 1); refused != bad || rows[0][0] != want || rows[0][1] != want || singly == 0 {
		t.Errorf("%d refused, want %d; %s commits up to revision %s, want %s; %d members run by themselves", refused, bad, rows[0][0], rows[0][1], want, singly)
	}
}

// waitsForLock says whether a session of the committer waits for a lock.
func (s *Store) waitsForLock(t *testing.T) bool {
	t.Helper()
	rows, err := pg.Query(t.Context(), s.options.URL, "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'setpoint commits%' AND wait_event_type = 'Lock' AND datname = current_database()")
	if err != nil {
		t.Fatal(err)
	}
	return len(rows) > 0
}

// TestDeadlock: a person's transaction has a row and wants the counter, a group has the counter and wants the row. The group is the victim; it is sent again, and commits once.
func TestDeadlock(t *testing.T) {
	s := open(t, nil)
	o := crowdObject("a")
	rev := putCrate(t, s, o, 0)
	person, err := pgx.Connect(t.Context(), s.options.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.drop(person) })
	if _, err := person.Exec(t.Context(), "SET deadlock_timeout = '60s'; BEGIN; SELECT 1 FROM setpoint.object FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	committed := make(chan error, 1)
	go func() {
		_, err := s.Commit(t.Context(), store.Transaction{Objects: []store.ObjectWrite{{Object: o, Expect: rev}}})
		committed <- err
	}()
	testkit.Wait(t, "the group waits for the row", func() bool { return s.waitsForLock(t) })
	if _, err := person.Exec(t.Context(), "SELECT 1 FROM setpoint.counter FOR UPDATE"); err != nil {
		t.Fatalf("the person was chosen: %v", err)
	}
	if _, err := person.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-committed; err != nil {
		t.Fatal(err)
	}
	if have, err := s.Object(t.Context(), o.Key); err != nil || have.Revision != rev+1 {
		t.Errorf("the object is at %v (%v), want revision %d", have, err, rev+1)
	}
}

// TestLostHints: no notification reaches a second engine. Each commit of the first one it learns with its next heartbeat.
func TestLostHints(t *testing.T) {
	one := open(t, nil)
	proxy := pg.NewProxy(t, pg.Shared(t).Address())
	proxy.OnServer(func(_ int, m pg.Message) pg.Action {
		if m.Type() == 'A' { // NotificationResponse
			return pg.Drop()
		}
		return pg.Pass()
	})
	two := open(t, func(o *Options) { o.URL, o.Heartbeat = proxy.URL(one.options.URL), 100*time.Millisecond })
	settle(t, two)
	stream, err := two.Watch(t.Context(), two.Revision())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stream.Close(); err != nil {
			t.Error(err)
		}
	})
	o, rev := crowdObject("a"), two.Revision()
	for range 5 {
		before := two.follower.beats.Load()
		rev = putCrate(t, one, o, rev)
		b, err := stream.Next(t.Context())
		if err != nil || b.Revision != rev {
			t.Fatalf("got commit %d (%v), want %d", b.Revision, err, rev)
		}
		// One that was under way may have looked before the commit; opening a session again makes up for it too.
		if beats := two.follower.beats.Load() - before; beats > 3 {
			t.Errorf("commit %d took %d heartbeats", rev, beats)
		}
	}
	if two.follower.lost.Load() == 0 {
		t.Error("no hint was found missing")
	}
}
