package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
)

// errTerminal marks errors that repeating cannot mend.
var errTerminal = errors.New("repeating cannot help")

// errHalfway is the fault of stopping half-way.
var errHalfway = errors.New("told to stop half-way")

// job is one call that changes one server.
type job struct {
	*server
	change subsystem.Change
}

// halfway is where the fault strikes.
func (j job) halfway() error {
	if j.change.StopHalfway {
		return errHalfway
	}
	return nil
}

// Start announces the servers and backups that are remembered and not there any more.
func (h *Host) Start(remembered []subsystem.Entry, lose subsystem.LoseFunc) error {
	for _, e := range remembered {
		if e.Outcome != command.OutcomeDone || e.Request == nil || e.Lost != "" {
			continue
		}
		if err := h.has(e.Key, e.Request); err != nil {
			if err := lose(e.Key, e.Token, err.Error()); err != nil {
				return err
			}
		}
	}
	return nil
}

// has is nil when what a request stands for is on the disk. Operations stand for nothing.
func (h *Host) has(key string, request []byte) error {
	w, err := decodeWish(key, request)
	switch {
	case err != nil:
		return err
	case w.server != nil:
		if s := h.server(key); s == nil || !s.made() {
			return fmt.Errorf("the data of server %q is gone", key)
		}
	case w.backup != nil:
		if kept, err := h.readBackup(w.backup.Name); err != nil || kept.Key != key {
			return fmt.Errorf("backup %q is gone", w.backup.Name)
		}
	}
	return nil
}

// Restore takes up what is there still. Data that is gone cannot be had again.
func (h *Host) Restore(_ context.Context, item subsystem.RestoreItem) error {
	return h.has(item.Key, item.Request)
}

// Forget removes all servers, backups and archives, as a machine does that is replaced.
func (h *Host) Forget(ctx context.Context) error {
	for _, s := range h.all() {
		work, done, err := s.work(ctx, "forgetting", time.Minute, true)
		if err != nil {
			return err
		}
		err = s.erase(work)
		done()
		if err != nil {
			return err
		}
	}
	for _, folder := range []string{h.backups(), h.archives()} {
		if err := errors.Join(os.RemoveAll(folder), h.account.folder(folder)); err != nil {
			return err
		}
	}
	return nil
}

// Apply does what one call wishes for.
func (h *Host) Apply(ctx context.Context, c subsystem.Change) subsystem.Answer {
	if c.Request == nil {
		return h.absent(ctx, c)
	}
	w, err := decodeWish(c.Key, c.Request)
	if err != nil {
		return subsystem.Refuse(command.Terminal, err.Error())
	}
	switch {
	case w.server != nil:
		return h.present(ctx, c, *w.server)
	case w.backup != nil:
		return h.backUp(ctx, c, *w.backup)
	}
	return h.operate(ctx, c, *w.operation)
}

// verb is how an operation is done, and for how long it may take.
type verb struct {
	do func(job, context.Context, Operation) (Result, subsystem.Effect, error)
	// limit bounds it.
	limit func(Options) time.Duration
	// cut cuts off what else is being done to the server.
	cut bool
	// turns: it says whether the server leads, follows or stays down, so that of two the later one counts.
	turns bool
}

func quick(o Options) time.Duration  { return o.ReadyIn + o.Grace }
func copies(o Options) time.Duration { return o.CopyIn + 2*o.ReadyIn }

var verbs = map[Verb]verb{
	Fence:       {do: job.doFence, limit: quick, cut: true, turns: true},
	Unfence:     {do: job.doUnfence, limit: quick, turns: true},
	Promote:     {do: job.doPromote, limit: quick, turns: true},
	Follow:      {do: job.doFollow, limit: copies, turns: true},
	Unfollow:    {do: job.doUnfollow, limit: quick, turns: true},
	Restart:     {do: job.doRestart, limit: func(o Options) time.Duration { return 3*o.Grace + o.ReadyIn }},
	Synchronous: {do: job.doSynchronous, limit: quick},
	Credential:  {do: job.doCredential, limit: quick},
	Barrier:     {do: job.doBarrier, limit: func(Options) time.Duration { return barrierIn }},
	Inspect:     {do: job.doInspect, limit: func(Options) time.Duration { return 5 * time.Second }},
}

func (h *Host) operate(ctx context.Context, c subsystem.Change, o Operation) subsystem.Answer {
	s := h.server(o.Server)
	if s == nil || !s.made() {
		return subsystem.Refuse(command.Terminal, fmt.Sprintf("there is no server %q on this host", o.Server))
	}
	how := verbs[o.Do]
	if o.Do == Fence {
		if err := s.overtaken(orderOf(c)); err != nil {
			return judge(Result{}, subsystem.NoEffect, fmt.Errorf("%s server %q: %w", o.Do, o.Server, err), "")
		}
		if err := s.raiseFence(c.Token); err != nil { // before the turn: who has it must not start the server any more
			return subsystem.Refuse(command.Retry, err.Error())
		}
	}
	ctx, done, err := s.work(ctx, string(o.Do), how.limit(h.options), how.cut)
	if err != nil {
		return judge(Result{}, subsystem.NoEffect, fmt.Errorf("%s server %q: %w", o.Do, o.Server, err), "")
	}
	defer done()
	if !s.made() || s.state.Removing {
		return subsystem.Refuse(command.Terminal, fmt.Sprintf("server %q has been removed", o.Server))
	}
	if how.turns {
		if err := s.turns(ctx, orderOf(c)); err != nil {
			if o.Do == Fence {
				err = errors.Join(err, s.lowerFence(c.Token))
			}
			return judge(Result{}, subsystem.NoEffect, fmt.Errorf("%s server %q: %w", o.Do, o.Server, err), "")
		}
	}
	result, effect, err := how.do(job{s, c}, ctx, o)
	if err != nil {
		err = fmt.Errorf("%s server %q: %w", o.Do, o.Server, cause(ctx, err))
	}
	return judge(result, effect, err, fmt.Sprintf("%s %s", o.Do, o.Server))
}

// judge turns the end of a piece of work into an answer. detail goes into the ledger and holds no secret.
func judge(r Result, effect subsystem.Effect, err error, detail string) subsystem.Answer {
	switch {
	case errors.Is(err, errHalfway):
		return subsystem.Fail(nil, err.Error(), detail)
	case errors.Is(err, errOvertaken):
		return subsystem.Refuse(command.Stale, err.Error())
	case errors.Is(err, errTerminal), errors.Is(err, errFenced):
		return subsystem.Refuse(command.Terminal, err.Error())
	case err != nil:
		return subsystem.Refuse(command.Retry, err.Error())
	}
	text, err := json.Marshal(r)
	if err != nil {
		return subsystem.Refuse(command.Terminal, err.Error())
	}
	return subsystem.Done(text, effect, detail)
}

// absent removes whatever the key stands for: a server, a backup, or nothing.
func (h *Host) absent(ctx context.Context, c subsystem.Change) subsystem.Answer {
	if s := h.server(c.Key); s != nil {
		return h.removeServer(ctx, job{s, c})
	}
	kept, found, err := h.backupOf(c.Key)
	if err != nil {
		return subsystem.Refuse(command.Retry, err.Error())
	}
	if !found {
		return subsystem.Done(nil, subsystem.NoEffect, "")
	}
	if err := h.removeBackup(ctx, kept); err != nil {
		return subsystem.Refuse(command.Retry, fmt.Sprintf("remove backup %q: %v", kept.Name, err))
	}
	return subsystem.Done(nil, subsystem.Delete, "backup "+kept.Name)
}
