package postgres

import (
	"log/slog"
	"sync"
	"testing"

	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/store"
)

// TestAnswerLostBeforeThePastIsKnown loses an answer when the feed is still ahead of the database, as just after a fail-over that lost commits: the group's revision is one that
// the feed has had with another content. It must be found, and not be sent a second time.
func TestAnswerLostBeforeThePastIsKnown(t *testing.T) {
	url := newDatabase(t)
	proxy := pg.NewProxy(t, pg.Shared(t).Address())
	heard := newOutcomes(t)
	engine := open(t, func(o *Options) { o.URL, o.Logger = proxy.URL(url), slog.New(heard) })
	target := crowdObject("target")
	first, err := engine.Commit(t.Context(), store.Transaction{Objects: []store.ObjectWrite{{Object: target}}})
	if err != nil {
		t.Fatal(err)
	}
	settle(t, engine)
	var mu sync.Mutex
	groups, cut := map[int]bool{}, false
	proxy.OnClient(func(connection int, m pg.Message) pg.Action {
		mu.Lock()
		defer mu.Unlock()
		groups[connection] = groups[connection] || isGroup(m)
		return pg.Pass()
	})
	proxy.OnServer(func(connection int, m pg.Message) pg.Action {
		mu.Lock()
		defer mu.Unlock()
		if groups[connection] && !cut {
			cut = true
			return pg.Cut()
		}
		return pg.Pass()
	})
	engine.follower.mu.Lock()
	engine.follower.doubt()
	engine.feed.Restart(first.Revision+100, 0)
	engine.follower.mu.Unlock()
	r, err := engine.Commit(t.Context(), store.Transaction{Raise: []store.Signal{{Object: target.Key, UID: target.UID, Name: "Poke"}}})
	if err != nil || r.Revision != first.Revision+1 {
		t.Errorf("the signal has revision %d, want %d; error %v", r.Revision, first.Revision+1, err)
	}
	if heard.committed.Load() != 1 || heard.again.Load() != 0 {
		t.Errorf("%d transactions in doubt had committed, %d were sent again; want 1 and 0", heard.committed.Load(), heard.again.Load())
	}
	if n := counterAt(t, url); n != int(first.Revision)+1 {
		t.Errorf("the database is at revision %d, want %d", n, first.Revision+1)
	}
}

// TestWaitForTheStandbyCanceled cancels a commit that waits for its standby: the server calls it committed then, with a warning that no standby has it. It is not acknowledged
// before one has, or none is wanted.
func TestWaitForTheStandbyCanceled(t *testing.T) {
	server := pg.Start(t)
	address := ownDatabase(t, server)
	name := databaseName(t, address)
	s := open(t, patient(address, "engine"))
	rev := putCrate(t, s, crate("a"), 0)
	settle(t, s)
	server.Exec(t, name, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
	server.Exec(t, name, "SELECT pg_reload_conf()")
	testkit.Wait(t, "the server has read its configuration", func() bool {
		return server.Exec(t, name, "SHOW synchronous_standby_names")[0][0] == "nobody"
	})
	server.Exec(t, name, "CHECKPOINT") // it is the checkpointer who tells sessions to wait
	type outcome struct {
		rev store.Receipt
		err error
	}
	answered := make(chan outcome, 1)
	go func() {
		r, err := s.Commit(t.Context(), store.Transaction{Objects: []store.ObjectWrite{{Object: crate("b")}}})
		answered <- outcome{r, err}
	}()
	waits := "FROM pg_stat_activity WHERE application_name LIKE 'setpoint commits%' AND wait_event = 'SyncRep'"
	var pid string
	testkit.Wait(t, "the commit waits for a standby", func() bool {
		rows := server.Exec(t, name, "SELECT pid "+waits)
		if len(rows) == 1 {
			pid = rows[0][0]
		}
		return len(rows) == 1
	})
	server.Exec(t, name, "SELECT pg_cancel_backend("+pid+")")
	testkit.Wait(t, "the look-up waits for it, or the commit is acknowledged", func() bool {
		return len(answered) == 1 || len(server.Exec(t, name, "SELECT 1 "+waits+" AND pid <> "+pid)) == 1
	})
	if len(answered) != 0 {
		t.Errorf("a commit that no standby has was acknowledged: %+v", <-answered)
		answered <- outcome{store.Receipt{Revision: rev + 1}, nil}
	}
	server.Exec(t, name, "ALTER SYSTEM SET synchronous_standby_names = ''")
	server.Exec(t, name, "SELECT pg_reload_conf()")
	if o := <-answered; o.err != nil || o.rev.Revision != rev+1 {
		t.Errorf("the commit, when no standby is wanted: %+v, want revision %d", o, rev+1)
	}
}
