package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/store"
)

func TestSecondOpenIsRefused(t *testing.T) {
	s := open(t, nil)
	_, err := Open(t.Context(), Options{Path: s.path})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "process "+strconv.Itoa(os.Getpid())) {
		t.Fatalf("error %v; want ErrInUse, naming process %d", err, os.Getpid())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, func(o *Options) { o.Path = s.path })
	mustPut(t, again, box("a"), 0)
}

func TestNewerSchemaIsRefused(t *testing.T) {
	s := open(t, nil)
	c := shell(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := c.number("PRAGMA user_version")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.run("PRAGMA user_version = 999"); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Options{Path: s.path})
	if !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), "999") {
		t.Fatalf("error %v; want ErrNewerSchema, naming 999", err)
	}
	if err := c.run(fmt.Sprintf("PRAGMA user_version = %d", before)); err != nil {
		t.Fatal(err)
	}
	open(t, func(o *Options) { o.Path = s.path })
}

func TestForeignFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Path: path}); err == nil {
		t.Fatal("a text file was opened")
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(text), "this is no database") {
		t.Fatalf("the file was changed: %.20q, %v", text, err)
	}
	s := open(t, nil)
	c := shell(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.run("PRAGMA application_id = 77"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Path: s.path}); err == nil || !strings.Contains(err.Error(), "another application") {
		t.Fatalf("error %v", err)
	}
}

func TestLeasesOfTheDeadAreFree(t *testing.T) {
	s := open(t, nil)
	first, err := s.Acquire(t.Context(), "plane", "n1", 1e15)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, func(o *Options) { o.Path = s.path })
	second, err := s.Acquire(t.Context(), "plane", "n2", 1e15)
	if err != nil || second.Epoch.Compare(first.Epoch) <= 0 {
		t.Fatalf("lease %+v after %+v, error %v", second, first, err)
	}
	tx := put(box("a"), 0)
	tx.Fences = []store.Fence{{Scope: "plane", Epoch: first.Epoch}}
	if _, err := s.Commit(t.Context(), tx); !errors.Is(err, store.ErrFenced) {
		t.Fatalf("error %v, want ErrFenced", err)
	}
}

func TestRetention(t *testing.T) {
	s := open(t, func(o *Options) { o.RetainRevisions = 100 })
	o := box("a")
	rev := mustPut(t, s, o, 0)
	for range 600 {
		rev = mustPut(t, s, o, rev)
	}
	rows, err := shell(t, s).number("SELECT count(*) FROM feed")
	if err != nil || rows < 100 || rows > 100+2*trimStep {
		t.Fatalf("%d commits are retained, error %v; asked for 100, trimmed in steps of %d", rows, err, trimStep)
	}
	if _, err := s.Watch(t.Context(), rev-100); err != nil {
		t.Errorf("watch from 100 back: %v", err)
	}
	if _, err := s.Watch(t.Context(), 1); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("watch from 1: error %v", err)
	}
}

func TestCompactManyChunks(t *testing.T) {
	s := open(t, nil)
	o := box("a")
	rev := mustPut(t, s, o, 0)
	for range 2*compactChunk + 10 {
		tx := put(o, rev)
		tx.Events = []store.Event{{Object: o.Key, UID: o.UID, Kind: "Normal", Reason: "Again"}}
		r, err := s.Commit(t.Context(), tx)
		if err != nil {
			t.Fatal(err)
		}
		rev = r.Revision
	}
	if err := s.Compact(t.Context(), rev-1, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int64{"SELECT count(*) FROM feed": 1, "SELECT count(*) FROM history": 0} {
		if got, err := shell(t, s).number(query); err != nil || got != want {
			t.Errorf("%s: %d, error %v; want %d", query, got, err, want)
		}
	}
}
