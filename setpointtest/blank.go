package setpointtest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/setpointhq/setpoint/store/sqlite"
)

// blank is the path of a new, empty database for one world: a copy of one that was migrated before. To migrate a database takes as long as dozens of commits, and most worlds are small.
func blank(t *testing.T) string {
	t.Helper()
	image, err := migrated()
	if err != nil {
		t.Fatalf("make the database that worlds begin with: %v", err)
	}
	path := filepath.Join(t.TempDir(), "setpoint.db")
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatalf("copy the database that worlds begin with: %v", err)
	}
	return path
}

// migrated is the file of an empty database, made once per process, outside of every bubble. All worlds have its identity; none sees another.
var migrated = sync.OnceValues(func() (image []byte, err error) {
	dir, err := os.MkdirTemp("", "setpointtest")
	if err != nil {
		return nil, err
	}
	defer func() {
		if gone := os.RemoveAll(dir); err == nil {
			err = gone
		}
	}()
	path := filepath.Join(dir, "blank.db")
	st, err := sqlite.Open(context.Background(), sqlite.Options{Path: path})
	if err != nil {
		return nil, err
	}
	if err := st.Close(); err != nil { // the last connection leaves everything in the file
		return nil, err
	}
	return os.ReadFile(path)
})
