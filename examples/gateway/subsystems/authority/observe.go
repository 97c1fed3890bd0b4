package authority

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/command"
)

// auditEvery is how often what was issued is compared with what should exist: one walk through the folders, whatever the number of certificates.
const auditEvery = 30 * time.Second

var _ command.Observer = (*Authority)(nil)

// Observe reports certificates that should exist and do not: somebody has deleted files, or the plane's database is older than its authority. It looks
// once at the start and then at intervals, and returns nil when ctx ends. An error means that the folders cannot be read, or that a loss was not recorded.
func (a *Authority) Observe(ctx context.Context, desk command.Desk) error {
	tick := time.NewTicker(auditEvery)
	defer tick.Stop()
	for {
		if err := a.audit(ctx, desk); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// audit takes what is expected first and the files after it; what was withdrawn in between the desk sorts out by its token.
func (a *Authority) audit(ctx context.Context, desk command.Desk) error {
	expected := desk.Expected("")
	exist, err := a.serials()
	if err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	var losses []command.Loss
	for _, e := range expected {
		if serial := a.serial(e.Key, string(e.Token)); e.Request != nil && !exist[serial] {
			losses = append(losses, command.Loss{Key: e.Key, Token: e.Token, Reason: "certificate " + serial + " does not exist any more"})
		}
	}
	if len(losses) == 0 {
		return nil
	}
	return desk.Lost(ctx, losses)
}

// serials are the certificates that exist with their keys.
func (a *Authority) serials() (map[string]bool, error) {
	found := map[string]bool{}
	issued := filepath.Join(a.dir, "issued")
	err := filepath.WalkDir(issued, func(path string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // withdrawn a moment ago
		}
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(issued, path)
		if base, ok := strings.CutSuffix(relative, ".crt"); ok {
			found[base] = true // the certificate is written after its key
		}
		return err
	})
	return found, err
}
