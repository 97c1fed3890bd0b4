package host

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
)

// kept is a backup's backup.json, which is written when the backup is whole.
type kept struct {
	BackupResult
	// Key is the natural key that stands for the backup.
	Key     string `json:"key"`
	Server  string `json:"server"`
	Archive string `json:"archive"`
	System  string `json:"system"`
}

func (h *Host) backups() string { return filepath.Join(h.options.Data, "backups") }

func (h *Host) backupFolder(name string) string { return filepath.Join(h.backups(), folderName(name)) }

func (h *Host) readBackup(name string) (kept, error) {
	if data := filepath.Join(h.backupFolder(name), "data"); !exists(data) {
		return kept{}, fmt.Errorf("%s: %w", data, os.ErrNotExist) // being removed
	}
	return readBackup(filepath.Join(h.backupFolder(name), "backup.json"))
}

func readBackup(path string) (k kept, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return k, err
	}
	if err := json.Unmarshal(text, &k); err != nil {
		return k, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

func (h *Host) allBackups() (all []kept, err error) {
	paths, err := filepath.Glob(filepath.Join(h.backups(), "*", "backup.json"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		k, err := readBackup(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return all, nil
}

// backupOf finds the backup that a key stands for.
func (h *Host) backupOf(key string) (kept, bool, error) {
	all, err := h.allBackups()
	for _, k := range all {
		if k.Key == key {
			return k, true, err
		}
	}
	return kept{}, false, err
}

// backUp makes a backup, once.
func (h *Host) backUp(ctx context.Context, c subsystem.Change, r BackupRequest) subsystem.Answer {
	detail := fmt.Sprintf("backup %s of %s", r.Name, r.Server)
	if k, err := h.readBackup(r.Name); err == nil {
		if k.Key != c.Key || k.Server != r.Server {
			return subsystem.Refuse(command.Terminal, fmt.Sprintf("backup %q is one of server %q, by the key %q: choose another name", r.Name, k.Server, k.Key))
		}
		effect := subsystem.NoEffect
		if c.Standing == nil || c.Standing.Outcome != command.OutcomeDone {
			effect = subsystem.Create // made by an attempt that a crash has cut off
		}
		return judge(k.result(), effect, nil, detail)
	}
	s := h.server(r.Server)
	if s == nil || !s.made() {
		return subsystem.Refuse(command.Terminal, fmt.Sprintf("there is no server %q on this host", r.Server))
	}
	k, err := h.makeBackup(ctx, s, c, r)
	if err != nil {
		err = fmt.Errorf("back up server %q: %w", r.Server, err)
	}
	return judge(k.result(), subsystem.Create, err, detail)
}

func (k kept) result() Result {
	return Result{Server: k.Server, System: k.System, Backup: &k.BackupResult}
}

// makeBackup does not take the server's turn: a backup of hours must keep nobody from promoting.
func (h *Host) makeBackup(ctx context.Context, s *server, c subsystem.Change, r BackupRequest) (k kept, err error) {
	ctx, cancel := context.WithTimeout(ctx, h.options.CopyIn)
	defer cancel()
	stopped := context.AfterFunc(h.ctx, cancel)
	defer stopped()
	folder := h.backupFolder(r.Name)
	worker := h.newServer(r.Name, folder)
	if err := errors.Join(worker.kill(), os.RemoveAll(folder), h.account.folder(folder)); err != nil { // an earlier attempt
		return k, err
	}
	defer func() {
		if err != nil && !errors.Is(err, errHalfway) {
			err = errors.Join(err, os.RemoveAll(folder))
		}
	}()
	if c.StopHalfway {
		return k, errHalfway
	}
	now, err := s.inspect(ctx)
	if err != nil {
		return k, err
	}
	_, err = worker.tool(ctx, nil, "pg_basebackup", h.copying("--pgdata="+worker.data(), "--no-password", "--wal-method=stream", "--checkpoint=fast",
		fmt.Sprintf("--dbname=host=@%s port=%d user=%s", s.tag(), s.port.Load(), Role))...)
	if err != nil {
		return k, cause(ctx, err)
	}
	k = kept{BackupResult: BackupResult{Name: r.Name, Ended: time.Now().UTC()}, Key: c.Key, Server: r.Server, System: now.System}
	if k.Archive, err = readArchive(worker.data()); err != nil {
		return k, err
	}
	if k.Segment, err = firstSegment(filepath.Join(worker.data(), "backup_label")); err != nil {
		return k, err
	}
	if k.Bytes, err = bytesOf(worker.data()); err != nil {
		return k, err
	}
	text, err := json.MarshalIndent(k, "", "\t")
	if err != nil {
		return k, err
	}
	return k, h.account.write(filepath.Join(folder, "backup.json"), text)
}

// firstSegment reads "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)".
func firstSegment(label string) (string, error) {
	text, err := os.ReadFile(label)
	if err != nil {
		return "", err
	}
	lines := bufio.NewScanner(strings.NewReader(string(text)))
	for lines.Scan() {
		if _, file, found := strings.Cut(lines.Text(), "(file "); found && strings.HasPrefix(lines.Text(), "START WAL") {
			if name := strings.TrimSuffix(file, ")"); len(name) == 24 {
				return name, nil
			}
		}
	}
	return "", fmt.Errorf("%s names no first file of the log", label)
}

func bytesOf(folder string) (sum int64, err error) {
	err = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}

// removeBackup removes the description last, so that a crash leaves something that a repetition finds.
func (h *Host) removeBackup(ctx context.Context, k kept) error {
	folder := h.backupFolder(k.Name)
	if err := os.RemoveAll(filepath.Join(folder, "data")); err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	return h.pruneArchive(context.WithoutCancel(ctx), k.Archive)
}

// makeFromBackup copies a backup, and has it read on in the archive that it is from, up to where it should. What it writes from
// there on is a line of its own, with its own archive.
func (s *server) makeFromBackup(ctx context.Context, folder string, r Restore) error {
	k, err := s.host.readBackup(r.Backup)
	if err != nil {
		return fmt.Errorf("%w: backup %q: %w", errTerminal, r.Backup, err)
	}
	if err := s.host.flush(ctx, k); err != nil {
		s.host.options.Log.Warn("the end of a log could not be archived before a restoration", "server", k.Server, "error", err)
	}
	source := filepath.Join(s.host.backupFolder(r.Backup), "data")
	if _, err := s.tool(ctx, nil, "/bin/cp", "-a", "--reflink=auto", source+"/.", folder+"/"); err != nil {
		return err
	}
	if !s.host.options.unsynced {
		if _, err := s.tool(ctx, nil, "initdb", "--sync-only", "--pgdata="+folder); err != nil {
			return err
		}
	}
	if err := s.nameArchive(folder, newArchive()); err != nil {
		return err
	}
	return s.host.account.write(filepath.Join(folder, "recovery.signal"), nil)
}

// flush has the servers of a backup's archive that run here and lead put all of their log into it.
func (h *Host) flush(ctx context.Context, k kept) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, s := range h.all() {
		archive, err := readArchive(s.data())
		if pid, frozen := s.postmaster(); err != nil || archive != k.Archive || pid == 0 || frozen || s.standby() {
			continue
		}
		rows, err := s.query(ctx, "SELECT pg_walfile_name(pg_switch_wal())")
		if err != nil {
			return err
		}
		err = until(ctx, readyEvery, func() (bool, error) {
			done, err := s.query(ctx, "SELECT coalesce(last_archived_wal, '') >= "+quoteText(rows[0][0])+" FROM pg_stat_archiver")
			return err == nil && done[0][0] == "t", err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// recover waits until a restoration has come to its end. One that cannot come there has ended the server.
func (s *server) recover(ctx context.Context) error {
	if s.state.Restoring == nil {
		return nil
	}
	if err := s.awaitPrimary(ctx); err != nil {
		return fmt.Errorf("restore backup %q: %w", s.state.Restoring.Backup, err)
	}
	return s.reconfigure(ctx, func() { s.state.Restoring, s.state.RestoreArchive = nil, "" })
}
