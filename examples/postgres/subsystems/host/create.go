package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/internal/durable"
)

// present makes a server, or changes one that is there.
func (h *Host) present(ctx context.Context, c subsystem.Change, r ServerRequest) subsystem.Answer {
	s := h.place(c.Key)
	ctx, done, err := s.work(ctx, "making or changing it", copies(h.options), false)
	if err != nil {
		return judge(Result{}, subsystem.NoEffect, fmt.Errorf("server %q: %w", c.Key, err), "")
	}
	defer done()
	j := job{s, c}
	var result Result
	effect := subsystem.Create
	if s.made() && s.state.Restoring == nil && s.state.Started && !s.state.Removing {
		result, effect, err = j.revise(ctx, r)
	} else {
		result, err = j.create(ctx, r)
	}
	if err != nil {
		err = fmt.Errorf("server %q: %w", c.Key, cause(ctx, err))
	}
	return judge(result, effect, err, fmt.Sprintf("%s at %s, %s", c.Key, result.Address, result.Role))
}

// create makes a server from nothing, or goes on where an earlier attempt has ended.
func (j job) create(ctx context.Context, r ServerRequest) (Result, error) {
	s := j.server
	s.plan("create")
	if err := s.settle(r); err != nil {
		return Result{}, err
	}
	s.watch()
	if !s.made() {
		if err := s.make(ctx, r); err != nil {
			return Result{}, err
		}
	}
	if err := j.halfway(); err != nil {
		return Result{}, err
	}
	if err := s.configure(s.data()); err != nil {
		return Result{}, err
	}
	if err := s.start(ctx); err != nil {
		return Result{}, j.unmake(err)
	}
	if err := s.recover(ctx); err != nil {
		return Result{}, j.unmake(err)
	}
	if _, err := s.ensureLogins(ctx, r); err != nil {
		return Result{}, err
	}
	return s.inspect(ctx)
}

// unmake gives up a restoration that has failed, and a port that somebody else has; the next attempt begins anew.
func (j job) unmake(because error) error {
	s := j.server
	if s.state.Restoring == nil && s.state.Started {
		return because
	}
	errs := []error{because, s.kill()}
	if s.state.Restoring != nil {
		errs = append(errs, os.RemoveAll(s.data()))
	}
	if !s.state.Started && strings.Contains(because.Error(), "could not create any TCP/IP sockets") {
		s.state.Port = 0
		errs = append(errs, s.save())
	}
	return errors.Join(errs...)
}

// settle writes down what is to be.
func (s *server) settle(r ServerRequest) error {
	if err := s.host.account.folder(s.folder); err != nil {
		return err
	}
	if s.state.Removing {
		if err := s.eraseData(); err != nil {
			return err
		}
		s.state = state{}
	}
	s.state.Name, s.state.Replication, s.state.Parameters = s.name, r.Replication, r.Parameters
	if r.Role == Standby {
		s.state.Upstream = r.Upstream
	}
	if r.Port != 0 {
		s.state.Port = r.Port
	}
	if r.Restore != nil {
		kept, err := s.host.readBackup(r.Restore.Backup)
		if err != nil {
			return fmt.Errorf("%w: there is no backup %q: %w", errTerminal, r.Restore.Backup, err)
		}
		s.state.Restoring, s.state.RestoreArchive = r.Restore, kept.Archive
	}
	s.host.mu.Lock() // so that two servers do not pick one port
	defer s.host.mu.Unlock()
	if s.state.Port == 0 {
		port, err := s.host.freePort()
		if err != nil {
			return err
		}
		s.state.Port = port
	}
	return s.save()
}

// make builds the data folder beside its place, and moves it there when it is whole.
func (s *server) make(ctx context.Context, r ServerRequest) error {
	return s.build(ctx, func(ctx context.Context, folder string) error {
		switch {
		case r.Restore != nil:
			return s.makeFromBackup(ctx, folder, *r.Restore)
		case r.Role == Standby:
			return s.makeStandby(ctx, folder)
		}
		return s.makePrimary(ctx, folder)
	})
}

// build replaces the data folder by one that fill makes.
func (s *server) build(ctx context.Context, fill func(ctx context.Context, folder string) error) error {
	if err := s.kill(); err != nil { // tools of an earlier life of the host
		return err
	}
	if err := s.sweep(); err != nil {
		return err
	}
	folder := filepath.Join(s.folder, "making-"+strings.ToLower(rand.Text()))
	if err := s.host.account.folder(folder); err != nil {
		return err
	}
	err := fill(ctx, folder)
	if err == nil {
		err = s.configure(folder)
	}
	if err == nil {
		err = s.replace(folder)
	}
	return errors.Join(err, s.sweep())
}

// former is where data waits while it is being replaced.
func (s *server) former() string { return filepath.Join(s.folder, "former") }

// replace puts a folder in the place of the data.
func (s *server) replace(folder string) error {
	if exists(s.data()) {
		if err := errors.Join(os.RemoveAll(s.former()), durable.Rename(s.data(), s.former())); err != nil {
			return err
		}
	}
	return durable.Rename(folder, s.data())
}

// heal undoes a replacement that was cut off in its middle.
func (s *server) heal() error {
	if exists(s.data()) || !exists(s.former()) {
		return nil
	}
	return durable.Rename(s.former(), s.data())
}

// sweep removes what was begun and not finished, and what was replaced.
func (s *server) sweep() error {
	if err := s.heal(); err != nil {
		return err
	}
	leftovers, err := filepath.Glob(filepath.Join(s.folder, "making-*"))
	if err != nil {
		return err
	}
	for _, path := range append(leftovers, s.former()) {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// initdb are its options.
var initdb = []string{"--username=" + Role, "--encoding=UTF8", "--locale=C", "--data-checksums", "--auth-local=peer", "--auth-host=scram-sha-256"}

func (s *server) makePrimary(ctx context.Context, folder string) error {
	var err error
	if s.host.options.template != "" {
		_, err = s.tool(ctx, nil, "/bin/cp", "-a", s.host.options.template+"/.", folder+"/")
	} else {
		_, err = s.tool(ctx, nil, "initdb", append(s.host.copying(initdb...), "--pgdata="+folder)...)
	}
	if err != nil {
		return err
	}
	return s.nameArchive(folder, newArchive())
}

// makeStandby copies the upstream. With the data comes the name of its archive.
func (s *server) makeStandby(ctx context.Context, folder string) error {
	if err := s.copyUpstream(ctx, folder); err != nil {
		return err
	}
	return s.host.account.write(signal(folder), nil)
}

func (s *server) copyUpstream(ctx context.Context, folder string) error {
	_, err := s.tool(ctx, []string{"PGPASSWORD=" + s.state.Replication.Password}, "pg_basebackup", s.host.copying("--pgdata="+folder, "--no-password",
		"--dbname="+conninfo(s.state.Upstream, s.state.Replication.User, "", "copy for "+s.name), "--wal-method=stream", "--checkpoint=fast")...)
	if err != nil {
		return fmt.Errorf("copy %s: %w", s.state.Upstream, err)
	}
	return nil
}

// revise makes a server that is there what the request says, as far as it may still say so.
func (j job) revise(ctx context.Context, r ServerRequest) (Result, subsystem.Effect, error) {
	s, effect := j.server, subsystem.NoEffect
	if r.Port != 0 && r.Port != s.state.Port {
		return Result{}, effect, fmt.Errorf("%w: it listens at port %d, which cannot be changed", errTerminal, s.state.Port)
	}
	if !maps.Equal(r.Parameters, s.state.Parameters) || r.Replication != s.state.Replication {
		effect = subsystem.Update
		if err := s.reconfigure(ctx, func() { s.state.Parameters, s.state.Replication = r.Parameters, r.Replication }); err != nil {
			return Result{}, effect, err
		}
	}
	if err := j.halfway(); err != nil {
		return Result{}, effect, err
	}
	if s.fenced() {
		return s.outline(), effect, nil
	}
	if pid, _ := s.postmaster(); pid == 0 {
		effect = subsystem.Update
		if err := s.configure(s.data()); err != nil {
			return Result{}, effect, err
		}
	}
	if err := s.start(ctx); err != nil {
		return Result{}, effect, err
	}
	changed, err := s.ensureLogins(ctx, r)
	if err != nil {
		return Result{}, effect, err
	}
	if changed {
		effect = subsystem.Update
	}
	result, err := s.inspect(ctx)
	return result, effect, err
}
