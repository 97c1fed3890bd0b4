package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/storetest"
)

// TestBackupDuringWrites backs a database up while eight goroutines write pairs, and restores every copy.
func TestBackupDuringWrites(t *testing.T) {
	s := open(t, nil)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			left, right := pair(w)
			a, b := box(string(left.Name)), box(string(right.Name))
			a.Spec, b.Spec = []byte(`0`), []byte(`0`)
			var rev resource.Revision
			for n := 1; !stop.Load(); n++ {
				a, b = a.Clone(), b.Clone()
				a.Spec = []byte(itoa(n))
				b.Spec = a.Spec
				r, err := s.Commit(t.Context(), store.Transaction{Objects: []store.ObjectWrite{{Object: a, Expect: rev}, {Object: b, Expect: rev}}})
				if err != nil {
					t.Error(err)
					return
				}
				rev = r.Revision
			}
		})
	}
	dir := t.TempDir()
	var copies []string
	for i := range 4 {
		for s.Revision() < resource.Revision(100*(i+1)) {
			yield()
		}
		path := filepath.Join(dir, itoa(i))
		if err := s.Backup(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		copies = append(copies, path)
	}
	stop.Store(true)
	wg.Wait()
	for i, path := range copies {
		target := filepath.Join(dir, "restored-"+itoa(i))
		if _, err := Restore(t.Context(), path, target); err != nil {
			t.Fatal(err)
		}
		restored := open(t, func(o *Options) { o.Path = target })
		state, err := storetest.ScanState(t.Context(), restored)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for w := range 8 {
			left, right := pair(w)
			a, b := counterOf(t, state, left), counterOf(t, state, right)
			if a != b {
				t.Errorf("copy %d: half a transaction: %d, %d", i, a, b)
			}
			total += a
		}
		if state.Revision != resource.Revision(total) || total < 100*(i+1)-8 {
			t.Errorf("copy %d: revision %d, %d commits", i, state.Revision, total)
		}
	}
}

func TestRestoreBeginsAnIncarnation(t *testing.T) {
	s := open(t, nil)
	rev := mustPut(t, s, box("a"), 0)
	lease, err := s.Acquire(t.Context(), "plane", "n1", 1e15)
	if err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, box("a"), rev)
	mustPut(t, s, box("lost"), 0)
	if _, err := Restore(t.Context(), backup, s.path); !errors.Is(err, ErrInUse) {
		t.Fatalf("restore over an open database: error %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	highest := lease.Epoch
	for round := range 3 {
		r, err := Restore(t.Context(), backup, s.path)
		if err != nil {
			t.Fatal(err)
		}
		again := open(t, func(o *Options) { o.Path = s.path })
		if again.Info().Incarnation != r.Incarnation || again.Database() != s.Database() {
			t.Errorf("opened incarnation %d of %s, restored %d of %s", again.Info().Incarnation, again.Database(), r.Incarnation, s.Database())
		}
		next, err := again.Acquire(t.Context(), "plane", "n1", 1e15)
		if err != nil || next.Epoch.Compare(highest) <= 0 {
			t.Errorf("round %d: epoch %s follows %s, error %v", round, next.Epoch, highest, err)
		}
		highest = next.Epoch
		if _, err := again.Watch(t.Context(), 0); !errors.Is(err, store.ErrCompacted) {
			t.Errorf("a watch from before the restore: error %v, want ErrCompacted", err)
		}
		if got := mustPut(t, again, box("b"), 0); got != rev+1 {
			t.Errorf("revision %d follows %d", got, rev)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			kept := open(t, func(o *Options) { o.Path = r.Kept })
			if _, err := kept.Object(t.Context(), box("lost").Key); err != nil {
				t.Errorf("the database that was there before: %v", err)
			}
		}
	}
}

// TestIncarnationWithoutDatabase restores to a place where only the sidecar is left, which remembers an incarnation of the far future.
func TestIncarnationWithoutDatabase(t *testing.T) {
	s := open(t, nil)
	mustPut(t, s, box("a"), 0)
	dir := t.TempDir()
	backup, target := filepath.Join(dir, "backup"), filepath.Join(dir, "target")
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target+incarnationSuffix, []byte("9000000000000000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Restore(t.Context(), backup, target)
	if err != nil || r.Incarnation != 9000000000000001 || r.Kept != "" {
		t.Fatalf("%+v, error %v", r, err)
	}
}

func TestBackupRefusals(t *testing.T) {
	s := open(t, nil)
	for i := range 200 {
		mustPut(t, s, box(itoa(i)), 0)
	}
	dir := t.TempDir()
	backup := filepath.Join(dir, "backup")
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), backup); !errors.Is(err, fs.ErrExist) {
		t.Errorf("backup over a backup: error %v", err)
	}
	if _, err := Restore(t.Context(), filepath.Join(dir, "nothing"), filepath.Join(dir, "target")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("restore from nothing: error %v", err)
	}
	data, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(data) / 2; i < len(data)/2+20000; i++ {
		data[i] ^= 0x55
	}
	damaged := filepath.Join(dir, "damaged")
	if err := os.WriteFile(damaged, data, 0o600); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(dir, "target")
	if _, err := Restore(t.Context(), damaged, target); !errors.Is(err, ErrDamaged) {
		t.Errorf("restore from a damaged backup: error %v", err)
	}
	if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was left at the target: %v", err)
	}
}
