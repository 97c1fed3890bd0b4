package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
)

// raiseFence keeps the server from starting, from now on and after any crash. The fence holds the token of who has raised it.
func (s *server) raiseFence(token command.Token) error {
	if s.fenced() {
		return nil
	}
	return s.host.account.write(s.fence(), []byte(token))
}

// lowerFence takes back a fence that a call has raised which was overtaken meanwhile.
func (s *server) lowerFence(token command.Token) error {
	raised, err := os.ReadFile(s.fence())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case string(raised) != string(token):
		return nil
	}
	return remove(s.fence())
}

func (j job) doFence(context.Context, Operation) (Result, subsystem.Effect, error) {
	if err := j.raiseFence(j.change.Token); err != nil { // a follow that was cut off may have removed it
		return Result{}, "", err
	}
	raised, err := os.ReadFile(j.fence())
	if err != nil {
		return Result{}, "", err
	}
	found, err := j.processes()
	if err == nil {
		err = j.halfway()
	}
	if err == nil {
		err = j.kill()
	}
	if len(found) > 0 || string(raised) == string(j.change.Token) {
		return j.outline(), subsystem.Update, err
	}
	return j.outline(), subsystem.NoEffect, err
}

func (j job) doUnfence(ctx context.Context, _ Operation) (Result, subsystem.Effect, error) {
	if !j.fenced() {
		pid, _ := j.postmaster()
		if pid != 0 {
			result, err := j.inspect(ctx)
			return result, subsystem.NoEffect, err
		}
	}
	j.plan("start")
	if err := remove(j.fence()); err != nil {
		return Result{}, "", err
	}
	if err := j.halfway(); err != nil {
		return Result{}, "", err
	}
	return j.startAs(ctx)
}

// startAs starts the server as what it is.
func (j job) startAs(ctx context.Context) (Result, subsystem.Effect, error) {
	j.plan("start")
	if err := j.configure(j.data()); err != nil {
		return Result{}, "", err
	}
	if err := j.start(ctx); err != nil {
		return Result{}, "", err
	}
	result, err := j.inspect(ctx)
	return result, subsystem.Update, err
}

func (j job) doRestart(ctx context.Context, _ Operation) (Result, subsystem.Effect, error) {
	if j.fenced() {
		return Result{}, "", errFenced
	}
	if pid, _ := j.postmaster(); pid != 0 && j.state.Restarted == j.change.Token {
		result, err := j.inspect(ctx)
		return result, subsystem.Update, err
	}
	j.plan("restart")
	if err := j.stop(ctx); err != nil {
		return Result{}, "", err
	}
	j.state.Restarted = j.change.Token
	if err := j.save(); err != nil {
		return Result{}, "", err
	}
	if err := j.halfway(); err != nil {
		return Result{}, "", err
	}
	return j.startAs(ctx)
}

func (j job) doInspect(ctx context.Context, _ Operation) (Result, subsystem.Effect, error) {
	if j.fenced() {
		return j.outline(), subsystem.NoEffect, nil
	}
	if err := j.writeTimeline(ctx); err != nil {
		return Result{}, "", err
	}
	result, err := j.inspect(ctx)
	return result, subsystem.NoEffect, err
}

func (j job) doPromote(ctx context.Context, _ Operation) (Result, subsystem.Effect, error) {
	return j.promote(ctx, "")
}

// doUnfollow gives the server an archive of its own, and then has it lead. The name of the archive is settled first, so that a
// repetition after a crash goes on with the same one.
func (j job) doUnfollow(ctx context.Context, _ Operation) (Result, subsystem.Effect, error) {
	if j.standby() && j.state.Leaving == "" {
		j.state.Leaving = newArchive()
		if err := j.save(); err != nil {
			return Result{}, "", err
		}
	}
	return j.promote(ctx, j.state.Leaving)
}

// promote has a standby lead, in an archive when one is named, and otherwise in that of its line.
func (j job) promote(ctx context.Context, archive string) (Result, subsystem.Effect, error) {
	if j.fenced() {
		return Result{}, "", errFenced
	}
	if err := j.start(ctx); err != nil {
		return Result{}, "", err
	}
	recovering, err := j.inRecovery(ctx)
	if err != nil {
		return Result{}, "", err
	}
	effect := subsystem.NoEffect
	if recovering || j.state.Upstream != "" {
		effect = subsystem.Update
	}
	if recovering {
		if err := j.leaveLine(ctx, archive); err != nil {
			return Result{}, "", err
		}
		if err := j.halfway(); err != nil {
			return Result{}, "", err
		}
		if _, err := j.query(ctx, "SELECT pg_promote(wait => false)"); err != nil {
			return Result{}, "", err
		}
		if err := j.awaitPrimary(ctx); err != nil {
			return Result{}, "", fmt.Errorf("it does not come to take writes: %w", err)
		}
	}
	if effect == subsystem.Update {
		// The checkpoint writes the new timeline where those look who are to follow.
		if _, err := j.query(ctx, "CHECKPOINT"); err != nil {
			return Result{}, "", err
		}
		err := j.reconfigure(ctx, func() { j.state.Upstream, j.state.Leaving = "", "" })
		if err != nil {
			return Result{}, "", err
		}
	}
	result, err := j.inspect(ctx)
	return result, effect, err
}

// leaveLine goes over to another archive.
func (j job) leaveLine(ctx context.Context, archive string) error {
	if archive == "" {
		return nil
	}
	if err := j.nameArchive(j.data(), archive); err != nil {
		return err
	}
	return j.reconfigure(ctx, func() {})
}

func (j job) doSynchronous(ctx context.Context, o Operation) (Result, subsystem.Effect, error) {
	if j.fenced() {
		return Result{}, "", errFenced
	}
	wanted := anyOf(o.Standbys)
	const show = "SHOW synchronous_standby_names"
	rows, err := j.query(ctx, show)
	if err != nil {
		return Result{}, "", err
	}
	effect := subsystem.NoEffect
	if rows[0][0] != wanted || anyOf(j.state.Synchronous) != wanted {
		effect = subsystem.Update
		if err := j.reconfigure(ctx, func() { j.state.Synchronous = o.Standbys }); err != nil {
			return Result{}, "", err
		}
		if err := j.halfway(); err != nil {
			return Result{}, "", err
		}
	}
	if rows, err = j.query(ctx, show); err != nil {
		return Result{}, "", err
	}
	if rows[0][0] != wanted {
		return Result{}, "", fmt.Errorf("it has synchronous_standby_names %q, not %q", rows[0][0], wanted)
	}
	// The checkpointer is who tells sessions whether to wait. Having made a checkpoint it has read the configuration.
	if _, err := j.query(ctx, "CHECKPOINT"); err != nil {
		return Result{}, "", err
	}
	result, err := j.inspect(ctx)
	return result, effect, err
}

// barrierIn is how long a barrier may take. It holds the server's turn meanwhile, and whom commits wait for can only be changed when it has ended.
const barrierIn = 10 * time.Second

// doBarrier waits for whom the clients' commits wait for, whatever this session's settings are.
func (j job) doBarrier(ctx context.Context, _ Operation) (Result, subsystem.Effect, error) {
	if j.fenced() {
		return Result{}, "", errFenced
	}
	session, err := j.connect(ctx)
	if err != nil {
		return Result{}, "", err
	}
	defer session.leave()
	for _, statement := range []string{"BEGIN", "SET LOCAL synchronous_commit = on", "SELECT pg_logical_emit_message(true, 'setpoint', 'barrier')", "COMMIT"} {
		if _, err := session.rows(ctx, statement); err != nil {
			return Result{}, "", err
		}
	}
	if len(session.warnings) > 0 { // somebody has canceled the wait, and the commit is there, but perhaps here only
		return Result{}, "", fmt.Errorf("the commit was not waited for: %s", strings.Join(session.warnings, "; "))
	}
	result, err := j.inspect(ctx)
	return result, subsystem.NoEffect, err
}

// signal is PostgreSQL's mark of a server that follows.
func signal(data string) string { return filepath.Join(data, "standby.signal") }
