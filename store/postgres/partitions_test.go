package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// partitionsOf are the names of a table's partitions.
func partitionsOf(t testing.TB, url, table string) []string {
	t.Helper()
	return strings.Fields(mustPSQL(t, url, "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'setpoint."+table+"'::regclass ORDER BY length(inhrelid::regclass::text), 1"))
}

// TestPartitionsAreMadeAhead: a database that is opened has room for what comes.
func TestPartitionsAreMadeAhead(t *testing.T) {
	s := open(t, func(o *Options) { o.PartitionRevisions = 100 })
	want := []string{"setpoint.feed_0", "setpoint.feed_100", "setpoint.feed_200", "setpoint.feed_rest"}
	if got := partitionsOf(t, s.options.URL, "feed"); !slices.Equal(got, want) {
		t.Errorf("partitions %v, want %v", got, want)
	}
	if got := partitionsOf(t, s.options.URL, "history"); len(got) != 4 {
		t.Errorf("partitions %v, want three days and the rest", got)
	}
	if n := mustPSQL(t, s.options.URL, `SELECT count(*) FROM pg_trigger WHERE tgrelid = 'setpoint.feed_100'::regclass AND tgenabled = 'A' AND tgname LIKE 'guard\_%'`); n != "4" {
		t.Errorf("%s guards on a partition, want 4", n)
	}
}

// TestPartitionsUnderLoad commits through many partitions, made ahead and dropped behind, while others read. No commit fails for it, watchers see all, and
// what is retained is there.
func TestPartitionsUnderLoad(t *testing.T) {
	const span, retain, commits, writers = 40, 120, 600, 6
	s := open(t, func(o *Options) {
		o.PartitionRevisions, o.RetainRevisions, o.PartitionHistory, o.RetainHistory, o.RingBytes = span, retain, time.Second, 2*time.Second, 4000
	})
	seen := make(chan resource.Revision, 1)
	stream, err := s.Watch(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	busy, stop := context.WithCancel(t.Context())
	defer stop()
	var readers, all sync.WaitGroup
	readers.Go(func() { seen <- countBatches(t, stream, commits) })
	readers.Go(func() { readWhile(t, busy, s) })
	for w := range writers {
		all.Go(func() {
			o := crate(fmt.Sprint("w", w))
			var rev resource.Revision
			for n := range commits / writers {
				o.Spec = fmt.Appendf(nil, "%d", n)
				rev = putCrate(t, s, o, rev)
			}
		})
	}
	all.Wait()
	stop()
	readers.Wait()
	t.Logf("the watcher read %d commits in a row", <-seen)
	testkit.Wait(t, "what is not retained is dropped, and partitions are ahead", func() bool {
		putCrate(t, s, crowdObject(fmt.Sprint("more-", s.Revision())), 0) // upkeep works when commits call for it
		names := partitionsOf(t, s.options.URL, "feed")
		head, compacted := s.Revision(), resource.Revision(0)
		if _, err := fmt.Sscan(mustPSQL(t, s.options.URL, "SELECT compacted FROM setpoint.counter"), &compacted); err != nil {
			t.Fatal(err)
		}
		return compacted >= head-retain-span && !slices.Contains(names, "setpoint.feed_0") && !slices.Contains(names, "setpoint.feed_200") &&
			slices.Contains(names, fmt.Sprintf("setpoint.feed_%d", (uint64(head)/span+1)*span))
	})
	again, err := s.Watch(t.Context(), resource.Revision(counterAt(t, s.options.URL)-retain/2))
	if err != nil {
		t.Fatalf("what is retained cannot be watched: %v", err)
	}
	countBatches(t, again, retain/2)
	if _, err := s.Watch(t.Context(), 0); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("what is dropped can be watched: %v", err)
	}
	if n := mustPSQL(t, s.options.URL, "SELECT count(*) FROM setpoint.feed"); n == "0" {
		t.Error("the feed is empty")
	}
}

// countBatches reads so many commits, which follow each other, unless they are compacted before they could be read. It returns how many there were.
func countBatches(t *testing.T, stream store.Stream, n int) resource.Revision {
	var last, read resource.Revision
	for ; int(read) < n; read++ {
		b, err := stream.Next(t.Context())
		if errors.Is(err, store.ErrCompacted) {
			break // a watcher that falls behind what is retained scans again
		}
		if err != nil || last != 0 && b.Revision != last+1 {
			t.Errorf("revision %d follows %d, error %v", b.Revision, last, err)
			break
		}
		last = b.Revision
	}
	if err := stream.Close(); err != nil {
		t.Error(err)
	}
	return read
}

// readWhile reads history and objects and everything, again and again.
func readWhile(t *testing.T, ctx context.Context, s *Store) {
	for n := 0; ctx.Err() == nil; n++ {
		if _, err := s.History(t.Context(), store.HistoryQuery{Key: crate("w0").Key}); err != nil {
			t.Errorf("history, round %d: %v", n, err)
			return
		}
		if _, err := s.Scan(t.Context(), func(store.Batch) error { return nil }); err != nil {
			t.Errorf("scan, round %d: %v", n, err)
			return
		}
	}
}

// TestDroppingWaitsForNobody has a reader in a long transaction hold what is to be dropped. The upkeep gives up soon, commits go on, and it is dropped later.
func TestDroppingWaitsForNobody(t *testing.T) {
	s := open(t, func(o *Options) { o.PartitionRevisions, o.RetainRevisions = 10, -1 })
	for n := range 25 {
		putCrate(t, s, crowdObject(fmt.Sprint("a", n)), 0)
	}
	reader, err := connectAs(t, s.options.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec(t.Context(), "BEGIN; SELECT * FROM setpoint.feed"); err != nil {
		t.Fatal(err)
	}
	compacting, giveUp := context.WithCancel(t.Context())
	dropped := make(chan error, 1)
	go func() { dropped <- s.Compact(compacting, 15, time.Time{}) }()
	testkit.Wait(t, "it is forgotten", func() bool {
		return mustPSQL(t, s.options.URL, "SELECT compacted FROM setpoint.counter") == "15"
	})
	for n := range 20 {
		putCrate(t, s, crowdObject(fmt.Sprint("b", n)), 0)
	}
	if got := partitionsOf(t, s.options.URL, "feed"); !slices.Contains(got, "setpoint.feed_0") {
		t.Errorf("dropped from under a reader: %v", got)
	}
	if _, err := reader.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-dropped; err != nil {
		t.Errorf("compact: %v", err)
	}
	giveUp()
	if got := partitionsOf(t, s.options.URL, "feed"); slices.Contains(got, "setpoint.feed_0") || !slices.Contains(got, "setpoint.feed_10") {
		t.Errorf("partitions %v: the first is forgotten, the second one in part", got)
	}
}
