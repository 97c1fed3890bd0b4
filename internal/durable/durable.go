// Package durable makes changes of files survive the loss of power. A file system promises that for what a file contains when the file is synced, and
// for what it is called when its folder is. So a file is replaced in three steps: write it under another name, [Sync] it, [Rename] it.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Sync brings a file or a folder to the disk, as it is now.
func Sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Rename gives a file another name in a folder, and syncs that folder. The file was synced before, or its content may be lost.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return Sync(filepath.Dir(to))
}
