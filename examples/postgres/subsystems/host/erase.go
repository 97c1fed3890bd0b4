package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/setpointhq/setpoint/adapter/subsystem"
)

// removeServer stops a server and removes its folder.
func (h *Host) removeServer(ctx context.Context, j job) subsystem.Answer {
	s := j.server
	there := exists(s.folder)
	ctx, done, err := s.work(ctx, "removing it", 3*h.options.Grace, true)
	if err == nil {
		defer done()
		s.plan("remove")
		if err = j.halfway(); err == nil {
			err = s.erase(ctx)
		}
	}
	if err != nil {
		return judge(Result{}, subsystem.NoEffect, fmt.Errorf("remove server %q: %w", j.name, err), "remove "+j.name)
	}
	if !there {
		return subsystem.Done(nil, subsystem.NoEffect, "")
	}
	return subsystem.Done(nil, subsystem.Delete, j.name)
}

// erase ends a server for good. After a crash the state says that it is to be gone, until the folder is.
func (s *server) erase(ctx context.Context) error {
	if exists(s.stateFile()) {
		s.state.Removing = true
		if err := s.save(); err != nil {
			return err
		}
	}
	if err := s.stop(ctx); err != nil {
		return err
	}
	archive, unread := readArchive(s.data())
	if err := s.eraseData(); err != nil {
		return err
	}
	if err := os.RemoveAll(s.folder); err != nil {
		return err
	}
	s.unwatch()
	s.host.board.remove(s.name)
	s.state = state{}
	s.host.mu.Lock()
	delete(s.host.servers, s.name)
	s.host.mu.Unlock()
	if unread != nil {
		return nil // it was never made
	}
	return s.host.pruneArchive(context.WithoutCancel(ctx), archive)
}

// eraseData removes the data of a stopped server, and the shared memory that a killed one has left.
func (s *server) eraseData() error {
	if err := errors.Join(s.kill(), freeMemory(filepath.Join(s.data(), "postmaster.pid")), s.sweep()); err != nil {
		return err
	}
	return os.RemoveAll(s.data())
}
