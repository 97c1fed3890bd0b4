package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// archiveFile is the file of a data folder that names its archive. Copies and rewinds take it with them.
const archiveFile = "setpoint.archive"

func newArchive() string { return strings.ToLower(rand.Text()) }

func (h *Host) archives() string           { return filepath.Join(h.options.Data, "archives") }
func (h *Host) archive(name string) string { return filepath.Join(h.archives(), name) }

func (s *server) nameArchive(data, name string) error {
	return s.host.account.write(filepath.Join(data, archiveFile), []byte(name))
}

// readArchive is the name of a data folder's archive.
func readArchive(data string) (string, error) {
	text, err := os.ReadFile(filepath.Join(data, archiveFile))
	if err != nil {
		return "", err
	}
	if len(text) == 0 || strings.ContainsAny(string(text), "/.") {
		return "", fmt.Errorf("%s names no archive: %q", filepath.Join(data, archiveFile), text)
	}
	return string(text), nil
}

// makeArchive makes the folder.
func (h *Host) makeArchive(name string) error { return h.account.folder(h.archive(name)) }

// pruneArchive removes what nobody needs any more: all of it with the last server and backup, and otherwise, when there are backups,
// what is older than the oldest.
func (h *Host) pruneArchive(ctx context.Context, name string) error {
	var needed []string
	kept, err := h.allBackups()
	if err != nil {
		return err
	}
	for _, b := range kept {
		if b.Archive == name {
			needed = append(needed, b.Segment)
		}
	}
	if len(needed) > 0 {
		// By position, whatever the timeline, which is the first eight digits.
		oldest := slices.MinFunc(needed, func(a, b string) int { return strings.Compare(a[8:], b[8:]) })
		worker := h.newServer("", h.archives())
		_, err := worker.tool(ctx, nil, "pg_archivecleanup", h.archive(name), oldest)
		return err
	}
	used, err := h.archiveUsed(name)
	if err != nil {
		return err
	}
	if used {
		return h.ageArchive(name)
	}
	return os.RemoveAll(h.archive(name))
}

// ageArchive removes segments that no backup needs and that are too old for a standby that was away. Histories stay: by them a
// promotion learns which timelines there are already.
func (h *Host) ageArchive(name string) error {
	entries, err := os.ReadDir(h.archive(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && !strings.HasSuffix(entry.Name(), ".history") && time.Since(info.ModTime()) > h.options.Keep {
			err = os.Remove(filepath.Join(h.archive(name), entry.Name()))
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// archiveUsed says whether a server's data is of this archive, or is being restored from it.
func (h *Host) archiveUsed(name string) (bool, error) {
	marks, err := filepath.Glob(filepath.Join(h.options.Data, "servers", "*", "*", archiveFile))
	if err != nil {
		return false, err
	}
	for _, mark := range marks {
		archive, err := readArchive(filepath.Dir(mark))
		if archive == name {
			return true, nil
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return true, err
		}
	}
	return false, nil
}
