package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// populations are the databases full of objects at rest, by their number. They are made when they are first asked for, and removed
// when the program ends.
var populations struct{ dir string }

// bulk is how many objects are created by one commit, and makers how many commit at a time.
const bulk, makers = 1000, 4

// population opens a database of n things at rest. Its feed retains next to nothing, as that of a database whose objects were made long ago.
func population(b *testing.B, n int) *sqlite.Store {
	b.Helper()
	path := filepath.Join(populations.dir, fmt.Sprintf("%d.db", n))
	if _, err := os.Stat(path); err == nil {
		return open(b, sqlite.Options{Path: path})
	}
	st := open(b, sqlite.Options{Path: path, RetainRevisions: 1})
	s := start(b)
	var all sync.WaitGroup
	for w := range makers {
		all.Go(func() {
			for i := w * bulk; i < n; i += makers * bulk {
				tx := store.Transaction{Writer: store.Writer{Name: "bench"}}
				for j := i; j < min(i+bulk, n); j++ {
					tx.Objects = append(tx.Objects, store.ObjectWrite{Object: thing(b, j)})
				}
				if _, err := st.Commit(b.Context(), tx); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	used := s.used(b)
	closeStore(b, st)
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("made %d objects in %.1f s (%.0f µs of CPU each): %d B stored of each, a file of %d MiB",
		n, used.wall.Seconds(), micros(used.cpu)/float64(n), size(b, thing(b, 0)), info.Size()>>20)
	return open(b, sqlite.Options{Path: path})
}
