package postgres

import (
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/storetest"
)

func TestMain(m *testing.M) {
	if childRole() {
		return
	}
	pg.Main(m)
}

// newDatabase makes an empty database with a schema, and returns the URL of its superuser.
func newDatabase(t testing.TB) string {
	t.Helper()
	return pg.Shared(t).DatabaseLike(t, "plane", func(url string) error {
		_, err := Migrate(t.Context(), url)
		return err
	})
}

// open opens a database of the test's own, and closes it at the end.
func open(t testing.TB, edit func(*Options)) *Store {
	t.Helper()
	o := Options{Logger: testLog(t)}
	if edit != nil {
		edit(&o)
	}
	if o.URL == "" {
		o.URL = newDatabase(t)
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
		database     func(testing.TB) string
	}{
		{"Default", "as it is used", func(*Options) {}, newDatabase},
		{"TinyMemory", "watchers read the table nearly always, groups hold three, two sessions serve all readers, partitions are of 50 commits, and the schema is that of a program to come", func(o *Options) {
			o.RingBytes, o.GroupMax, o.Readers, o.PartitionRevisions = 1500, 3, 2, 50
		}, nextDatabase},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // each scenario waits for its database to be made and dropped
			t.Log(c.reason)
			storetest.Run(t, func(t *testing.T) store.Store {
				return open(t, func(o *Options) { c.edit(o); o.URL = c.database(t) })
			},
				storetest.Reopening(func(t *testing.T, s store.Store) store.Store {
					old := s.(*Store)
					if err := old.Close(); err != nil {
						t.Fatal(err)
					}
					return open(t, func(o *Options) { *o = old.options })
				}),
				storetest.Sharding(func(t *testing.T, s store.Store) store.Store {
					return open(t, func(o *Options) { *o = s.(*Store).options })
				}))
		})
	}
}

// as is a URL with another user.
func as(url, user string) string {
	return strings.Replace(url, "postgres://postgres@", "postgres://"+user+"@", 1)
}
