package postgres

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/store"
)

// complete checks that everything that was asked for in a crowd was done, though the database was away now and then.
func complete(t *testing.T, c *crowd, s *Store) {
	t.Helper()
	if sum := c.audit(t, s); sum.unknown+sum.unavailable > 0 || c.unread.Load() > 0 {
		t.Errorf("%s; %d reads failed: the database was back within the patience every time", sum, c.unread.Load())
	}
}

// TestServerStopped stops the server under load without a word, and again while it recovers.
func TestServerStopped(t *testing.T) {
	seed := seeded(t)
	server := pg.Start(t)
	address := ownDatabase(t, server)
	engine := open(t, patient(address, "engine"))
	watcher := watch(t, engine)
	crowd := gather(t, engine, 8, seed)
	rounds := 3
	if soak() {
		rounds = 20
	}
	for range rounds {
		crowd.moreAcknowledged(t, 50)
		server.StopImmediate(t)
		server.Launch(t)
		server.StopImmediate(t)
		server.Start(t)
	}
	crowd.moreAcknowledged(t, 50)
	crowd.disperse()
	watcher.arrives(t, "the engine", engine)
	complete(t, crowd, engine)
}

// TestSessionsEnded ends all sessions of the engine, over and over.
func TestSessionsEnded(t *testing.T) {
	seed := seeded(t)
	server := pg.Start(t)
	address := ownDatabase(t, server)
	heard := newOutcomes(t)
	engine := open(t, func(o *Options) { patient(address, "engine")(o); o.Logger = slog.New(heard) })
	other := open(t, patient(address, "other"))
	watchers := map[string]*watcher{"the engine": watch(t, engine), "another process": watch(t, other)}
	crowd := gather(t, engine, 8, seed)
	rounds, ended := 25, 0
	if soak() {
		rounds = 300
	}
	for range rounds {
		crowd.moreAcknowledged(t, 10)
		ended += server.Terminate(t, "application_name LIKE 'setpoint%'")
		if _, err := engine.Acquire(t.Context(), "plane", "me", time.Minute); err != nil {
			t.Errorf("a lease, right after its session was ended: %v", err)
		}
	}
	crowd.disperse()
	for name, w := range watchers {
		w.arrives(t, name, other)
	}
	complete(t, crowd, other)
	t.Logf("%d sessions were ended; of the transactions in doubt %d had committed, %d were sent again", ended, heard.committed.Load(), heard.again.Load())
	if ended < 2*rounds {
		t.Errorf("%d sessions were ended in %d rounds: the test did not do its work", ended, rounds)
	}
}

// TestForeignDefaults gives the user and the database defaults under which the functions would judge by stale snapshots and acknowledge what is not durable.
func TestForeignDefaults(t *testing.T) {
	seed := seeded(t)
	server := pg.Start(t)
	address := ownDatabase(t, server)
	name := databaseName(t, address)
	server.Exec(t, name, "CREATE ROLE service LOGIN IN ROLE setpoint_app",
		"ALTER ROLE service SET default_transaction_isolation = 'serializable'", "ALTER ROLE service SET synchronous_commit = 'off'",
		"ALTER DATABASE "+name+" SET idle_session_timeout = '300ms'", "ALTER DATABASE "+name+" SET idle_in_transaction_session_timeout = '1ms'")
	address = as(address, "service")
	one, two := open(t, patient(address, "one")), open(t, patient(address, "two"))
	for _, c := range []struct{ setting, want, reads, reason string }{
		{"transaction_isolation", "read committed", "read committed", "each statement of a function sees what was committed before it"},
		{"synchronous_commit", "on", "on", "what is acknowledged is durable"},
		{"idle_session_timeout", "0", "0", "a session that listens says nothing for long"},
		{"idle_in_transaction_session_timeout", "5s", "1min", "nobody else decides how long a transaction may pause"},
	} {
		conn, err := one.connect(t.Context(), "test", nil)
		if err != nil {
			t.Fatal(err)
		}
		var have string
		if err := errors.Join(conn.QueryRow(t.Context(), "SELECT current_setting($1)", c.setting).Scan(&have), hangUp(conn)); err != nil || have != c.want {
			t.Errorf("%s is %q (error %v), want %q: %s", c.setting, have, err, c.want, c.reason)
		}
		if err := one.pool.QueryRow(t.Context(), "SELECT current_setting($1)", c.setting).Scan(&have); err != nil || have != c.reads {
			t.Errorf("%s is %q for reads (error %v), want %q: %s", c.setting, have, err, c.reads, c.reason)
		}
	}
	one.lineage.mu.Lock()
	if one.lineage.system == "" || one.lineage.timeline == 0 {
		t.Errorf("a user without special rights sees system %q and timeline %d: a former primary would not be told from the primary", one.lineage.system, one.lineage.timeline)
	}
	one.lineage.mu.Unlock()
	watchers := map[string]*watcher{"one": watch(t, one), "two": watch(t, two)}
	crowd := gather(t, one, 8, seed)
	beside := &crowdBeside{crowd: crowd, engine: two}
	beside.increment(t, 40)
	crowd.moreAcknowledged(t, 50)
	crowd.disperse()
	for name, w := range watchers {
		w.arrives(t, name, one)
	}
	complete(t, crowd, two)
}

// crowdBeside writes what a crowd writes, by another engine and into the same journal.
type crowdBeside struct {
	crowd  *crowd
	engine *Store
}

// increment has counters incremented until so many were acknowledged.
func (b *crowdBeside) increment(t *testing.T, times int) {
	c := &crowd{engine: b.engine, counters: b.crowd.counters, journal: map[string]deed{}}
	for n := 0; c.acked.Load() < int64(times); n++ {
		c.increment(t.Context(), "beside/"+strings.Repeat("x", n), n%len(c.counters))
	}
	b.crowd.mu.Lock()
	defer b.crowd.mu.Unlock()
	for cause, d := range c.journal {
		b.crowd.journal[cause] = d
	}
}

// TestReplicaOnly opens a store where nobody takes writes.
func TestReplicaOnly(t *testing.T) {
	primary := pg.Start(t)
	address := ownDatabase(t, primary)
	standby := primary.Standby(t, false)
	refusesReplica(t, standby.URL(databaseName(t, address)))
}

// TestReadersBusy lets readers take all connections that there are for reading, and keep them.
func TestReadersBusy(t *testing.T) {
	seed := seeded(t)
	url := newDatabase(t)
	const readers = 2
	engine := open(t, func(o *Options) { o.URL, o.Readers = url, readers })
	other := open(t, func(o *Options) { o.URL, o.Name = url, "other" })
	watcher := watch(t, engine)
	if _, err := engine.Commit(t.Context(), store.Transaction{Objects: []store.ObjectWrite{{Object: crowdObject("first")}}}); err != nil {
		t.Fatal(err)
	}
	release, scanned := make(chan struct{}), make(chan error, readers)
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	reading := make(chan struct{}, readers)
	for range readers {
		go func() {
			_, err := engine.Scan(t.Context(), func(store.Batch) error {
				reading <- struct{}{}
				<-release
				return nil
			})
			scanned <- err
		}()
	}
	for range readers {
		<-reading
	}
	for i := range 20 {
		if _, err := engine.Commit(t.Context(), store.Transaction{Objects: []store.ObjectWrite{{Object: crowdObject("own-" + string(rune('a'+i)))}}}); err != nil {
			t.Fatal(err)
		}
	}
	crowd := gather(t, other, 4, seed)
	crowd.moreAcknowledged(t, 50)
	crowd.disperse()
	watcher.arrives(t, "an engine whose readers are busy", other)
	free()
	for range readers {
		if err := <-scanned; err != nil {
			t.Error(err)
		}
	}
	complete(t, crowd, other)
}

// TestSilence lets a connection fall silent, both ways and without an end, as a partition does. What was sent arrives when it heals.
func TestSilence(t *testing.T) {
	seed := seeded(t)
	url := newDatabase(t)
	proxy := pg.NewProxy(t, pg.Shared(t).Address())
	heard := newOutcomes(t)
	engine := open(t, func(o *Options) {
		patient(proxy.URL(url), "engine")(o)
		o.StatementTimeout, o.LockTimeout, o.Logger = 200*time.Millisecond, 100*time.Millisecond, slog.New(heard)
	})
	other := open(t, func(o *Options) { o.URL, o.Name = url, "other" })
	watcher := watch(t, engine)
	crowd := gather(t, engine, 8, seed)
	crowd.moreAcknowledged(t, 50)
	proxy.Pause()
	testkit.Wait(t, "the engine has given the connection up on which it had sent a group", func() bool { return heard.lost.Load() > 0 })
	proxy.Resume()
	crowd.moreAcknowledged(t, 50)
	crowd.disperse()
	watcher.arrives(t, "the engine", other)
	if sum := crowd.audit(t, other); sum.unknown+sum.unavailable > 0 {
		t.Errorf("%s: the silence was shorter than the patience", sum)
	}
	t.Logf("of the transactions in doubt %d had committed, %d were sent again", heard.committed.Load(), heard.again.Load())
}

// TestDiskFull fills the disk that the database is on, and makes room again.
func TestDiskFull(t *testing.T) {
	seed := seeded(t)
	server := pg.Start(t)
	disk := smallDisk(t, "48m", server)
	server.Exec(t, "postgres", "CREATE TABLESPACE small LOCATION '"+disk+"/space'", "CREATE DATABASE small TABLESPACE small")
	address := server.URL("small")
	if _, err := Migrate(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	engine := open(t, func(o *Options) { o.URL, o.Patience = address, 100*time.Millisecond })
	settle(t, engine) // so short a patience is not for making partitions beside commits
	watcher := watch(t, engine)
	crowd := gather(t, engine, 8, seed)
	crowd.moreAcknowledged(t, 50)
	ballast := fill(t, disk)
	testkit.Wait(t, "commits are refused for want of room", func() bool {
		crowd.mu.Lock()
		defer crowd.mu.Unlock()
		for _, d := range crowd.journal {
			var refused *store.CommitError
			if errors.As(d.err, &refused) && errors.Is(refused, store.ErrUnavailable) && strings.Contains(refused.Detail, "No space left") {
				return true
			}
		}
		return false
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	crowd.moreAcknowledged(t, 50)
	crowd.disperse()
	watcher.arrives(t, "the engine", engine)
	if sum := crowd.audit(t, engine); sum.unknown > 0 || sum.unavailable == 0 {
		t.Errorf("%s: a full disk is a clear answer", sum)
	}
}

// smallDisk mounts a file system in memory of a size, with a folder "space" that the server may use. That takes root.
func smallDisk(t *testing.T, size string, server *pg.Server) string {
	t.Helper()
	disk, err := os.MkdirTemp("", "setpoint-disk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(disk); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(disk, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("setpoint", disk, "tmpfs", 0, "mode=0711,size="+size); err != nil {
		t.Fatalf("mount a small disk (run as root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	data, err := os.Stat(server.Exec(t, "postgres", "SHOW data_directory")[0][0])
	if err != nil {
		t.Fatal(err)
	}
	owner := data.Sys().(*syscall.Stat_t)
	space := filepath.Join(disk, "space")
	if err := errors.Join(os.Mkdir(space, 0o700), os.Chown(space, int(owner.Uid), int(owner.Gid))); err != nil {
		t.Fatal(err)
	}
	return disk
}

// fill writes a file until the disk has no room, and returns its name.
func fill(t *testing.T, disk string) string {
	t.Helper()
	name := filepath.Join(disk, "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}
