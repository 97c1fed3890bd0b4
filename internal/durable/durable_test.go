package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestRename(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "new"), filepath.Join(dir, "file")
	for path, text := range map[string]string{from: "new", to: "old"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(Sync(from), Rename(from, to)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(to)
	if err != nil || string(text) != "new" {
		t.Errorf("the file says %q (%v), want what it was replaced by", text, err)
	}
	if err := Rename(from, to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("renaming what is gone: %v, want %v", err, fs.ErrNotExist)
	}
	if err := Sync(from); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("syncing what is gone: %v, want %v", err, fs.ErrNotExist)
	}
}
