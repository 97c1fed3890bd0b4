package sqlite

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/storetest"
)

func TestMain(m *testing.M) {
	if childRole() {
		return
	}
	goleak.VerifyTestMain(m)
}

// open opens a database in a folder of the test's own, and closes it at the end.
func open(t testing.TB, edit func(*Options)) *Store {
	t.Helper()
	o := Options{Path: filepath.Join(t.TempDir(), "test.db")}
	if edit != nil {
		edit(&o)
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		edit         func(*Options)
	}{
		{"Default", "as it is used", nil},
		{"TinyMemory", "watchers read the table nearly always, groups hold three, and one reader serves all", func(o *Options) {
			o.RingBytes, o.GroupMax, o.Readers = 1500, 3, 1
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Log(c.reason)
			storetest.Run(t, func(t *testing.T) store.Store { return open(t, c.edit) },
				storetest.Reopening(func(t *testing.T, s store.Store) store.Store {
					old := s.(*Store)
					if err := old.Close(); err != nil {
						t.Fatal(err)
					}
					return open(t, func(o *Options) { *o = old.options })
				}),
				storetest.Sharding(func(_ *testing.T, s store.Store) store.Store { return s })) // a file has one handle
		})
	}
}
