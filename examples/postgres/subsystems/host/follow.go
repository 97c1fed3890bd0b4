package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
)

// doFollow has the server follow another one, in the gentlest way that works: by telling it, by undoing what it has too much, or by
// copying. The former data is there until the copy is whole.
func (j job) doFollow(ctx context.Context, o Operation) (Result, subsystem.Effect, error) {
	if sameUpstream(o.Upstream, j.address()) {
		return Result{}, "", fmt.Errorf("%w: it cannot follow itself", errTerminal)
	}
	j.plan("follow")
	upstream, err := j.meet(ctx, o.Upstream)
	if err != nil {
		return Result{}, "", err
	}
	if streaming := j.streams(ctx, o.Upstream); streaming && j.standby() && !j.fenced() && sameUpstream(j.state.Upstream, o.Upstream) {
		result, err := j.inspect(ctx)
		return result, subsystem.NoEffect, err
	}
	way, err := j.turnTo(ctx, o.Upstream, upstream)
	if err != nil {
		return Result{}, "", err
	}
	result, err := j.inspect(ctx)
	result.Way = way
	return result, subsystem.Update, err
}

// met is what an upstream says of itself: its cluster, and how far its log goes.
type met struct {
	system   string
	position uint64
}

// meet asks the upstream who it is, before anything is given up for it.
func (j job) meet(ctx context.Context, address string) (m met, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	session, err := connectTo(ctx, address, j.state.Replication, true)
	if err != nil {
		return m, fmt.Errorf("the upstream %s does not answer: %w", address, err)
	}
	defer session.leave()
	rows, err := session.rows(ctx, "IDENTIFY_SYSTEM")
	if err != nil {
		return m, fmt.Errorf("the upstream %s does not say who it is: %w", address, err)
	}
	m.system = rows[0][0]
	m.position, err = Position(rows[0][2])
	return m, err
}

// turnTo tries the ways in order.
func (j job) turnTo(ctx context.Context, upstream string, it met) (Way, error) {
	same := j.systemOnDisk(ctx) == it.system && !j.state.Rewinding
	var problems []error
	for _, way := range []struct {
		name     Way
		possible bool
		try      func(ctx context.Context, upstream string) error
	}{
		{Streamed, same && j.standby(), j.tell},
		{Rewound, same, j.rewind},
		{Copied, true, j.copyAnew},
	} {
		if !way.possible {
			continue
		}
		logged := sizeOf(j.log())
		err := way.try(ctx, upstream)
		if err == nil {
			err = j.awaitStreaming(ctx, upstream, it.position, logged)
		}
		if err == nil {
			return way.name, nil
		}
		if errors.Is(err, errHalfway) || ctx.Err() != nil {
			return "", err
		}
		j.host.options.Log.Info("a way to follow does not work", "server", j.name, "upstream", upstream, "way", way.name, "error", err)
		problems = append(problems, fmt.Errorf("%s: %w", way.name, err))
	}
	return "", errors.Join(problems...)
}

// systemOnDisk is the identifier of the cluster whose data is here, "" when that cannot be read.
func (j job) systemOnDisk(ctx context.Context) string {
	text, err := j.tool(ctx, nil, "pg_controldata", "--pgdata="+j.data())
	if err != nil {
		return ""
	}
	return controlled(text)["Database system identifier"]
}

// tell gives a standby another upstream.
func (j job) tell(ctx context.Context, upstream string) error {
	if err := j.reconfigure(ctx, func() { j.followsNow(upstream) }); err != nil {
		return err
	}
	if err := j.halfway(); err != nil {
		return err
	}
	return j.startUnfenced(ctx)
}

// followsNow is the state of a server that follows.
func (j job) followsNow(upstream string) {
	j.state.Upstream, j.state.Synchronous, j.state.Leaving = upstream, nil, ""
}

// startUnfenced starts a server that follows, which a fence need not keep down.
func (j job) startUnfenced(ctx context.Context) error {
	if !j.standby() {
		return fmt.Errorf("%w: it would not start as a standby", errTerminal)
	}
	if errors.Is(context.Cause(ctx), errCut) {
		return errCut
	}
	if err := remove(j.fence()); err != nil {
		return err
	}
	return j.start(ctx)
}

// rewind undoes what the server has written and the upstream has not. A rewind that is cut off leaves data that is neither
// one thing nor the other, so that is written down before.
func (j job) rewind(ctx context.Context, upstream string) error {
	if err := j.stop(ctx); err != nil {
		return err
	}
	j.state.Rewinding = true
	j.followsNow(upstream)
	if err := j.save(); err != nil {
		return err
	}
	if err := j.halfway(); err != nil {
		return err
	}
	source := conninfo(upstream, j.state.Replication.User, "", "rewind of "+j.name) + " dbname=postgres"
	_, err := j.tool(ctx, []string{"PGPASSWORD=" + j.state.Replication.Password}, "pg_rewind", j.host.copying("--target-pgdata="+j.data(),
		"--source-server="+source, "--restore-target-wal")...)
	if err != nil {
		return err
	}
	if err := j.host.account.write(signal(j.data()), nil); err != nil {
		return err
	}
	if err := j.configure(j.data()); err != nil {
		return err
	}
	j.state.Rewinding = false
	if err := j.save(); err != nil {
		return err
	}
	return j.startUnfenced(ctx)
}

// copyAnew replaces the data by a copy of the upstream's.
func (j job) copyAnew(ctx context.Context, upstream string) error {
	if err := j.stop(ctx); err != nil {
		return err
	}
	archive, unread := readArchive(j.data())
	j.followsNow(upstream)
	if err := j.save(); err != nil {
		return err
	}
	if err := j.halfway(); err != nil {
		return err
	}
	if err := j.build(ctx, j.makeStandby); err != nil {
		return err
	}
	j.state.Rewinding = false
	if err := j.save(); err != nil {
		return err
	}
	if unread == nil {
		if err := j.host.pruneArchive(ctx, archive); err != nil {
			return err
		}
	}
	return j.startUnfenced(ctx)
}

// streams says whether the server receives from an upstream right now.
func (j job) streams(ctx context.Context, upstream string) bool {
	session, err := j.connect(ctx)
	if err != nil {
		return false
	}
	defer session.leave()
	v, err := j.look(ctx, session)
	return err == nil && v.Role == Standby && v.receiving && sameUpstream(v.upstream, upstream)
}

// replayed is how far the server has repeated the log, 0 when it does not say.
func (j job) replayed(ctx context.Context) uint64 {
	rows, err := j.query(ctx, "SELECT coalesce(pg_last_wal_replay_lsn(), '0/0')")
	if err != nil {
		return 0
	}
	position, err := Position(rows[0][0])
	if err != nil {
		return 0
	}
	return position
}

// streamIn is how long a standby that runs may take to stream, and to get any further.
const streamIn = 15 * time.Second

// parted are the complaints of a standby whose history has parted from its upstream's. Time does not mend that.
var parted = []string{"forked off current database system timeline", "is not in this server's history", "ahead of the WAL flush position", "is behind recovery timeline"}

// awaitStreaming waits until the server streams and has repeated what the upstream had when it was met; or is still behind, and comes nearer. To stream is not
// enough: one that was just told of another upstream may do so and be stuck at a record that was begun in the line of the former one.
func (j job) awaitStreaming(ctx context.Context, upstream string, position uint64, logged int64) error {
	limit := min(streamIn, j.host.options.ReadyIn)
	began := time.Now()
	reached, since := j.replayed(ctx), began
	err := until(ctx, readyEvery, func() (bool, error) {
		if pid, _ := j.postmaster(); pid == 0 {
			return false, errors.New("it has ended")
		}
		streaming, now := j.streams(ctx, upstream), j.replayed(ctx)
		if now > reached {
			reached, since = now, time.Now()
		}
		if streaming && (now >= position || time.Since(began) > limit && time.Since(since) < limit/2) {
			return true, nil
		}
		if time.Since(since) > limit {
			return false, context.DeadlineExceeded
		}
		for _, complaint := range parted {
			if strings.Contains(j.logSince(logged), complaint) {
				return false, errors.New("its history has parted from the upstream's")
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("it does not stream from %s: %w: %s", upstream, err, complaintIn(j.logSince(logged)))
	}
	return nil
}
