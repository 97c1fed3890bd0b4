package postgres

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/setpointhq/setpoint/resource"
)

// listen hears notifications, on a session of its own, until the store is closed.
func (f *follower) listen(ctx context.Context) {
	for attempt := 0; ; attempt++ {
		if attempt > 0 && !backoff(ctx, attempt) {
			return
		}
		heard, err := f.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if heard {
			attempt = 0
		}
		f.store.options.Logger.Warn("the session for notifications ended; connecting again", "error", err)
	}
}

// session listens until the connection breaks. What was missed before it is made up for first.
func (f *follower) session(ctx context.Context) (heard bool, _ error) {
	conn, err := f.store.connect(ctx, "feed", nil)
	if err != nil {
		return false, err
	}
	defer f.store.drop(conn)
	if _, err := conn.Exec(ctx, "LISTEN setpoint"); err != nil {
		return false, err
	}
	if _, err := conn.Exec(ctx, "LISTEN setpoint_shards"); err != nil {
		return false, err
	}
	if _, err := conn.Exec(ctx, "LISTEN setpoint_proposal"); err != nil {
		return false, err
	}
	f.listens(true)
	defer f.listens(false)
	f.store.proposals.wake()
	f.store.moves.Ring() // some may have been missed
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var waiting sync.WaitGroup
	defer waiting.Wait()
	stop := make(chan struct{})
	defer close(stop)
	waiting.Go(func() {
		select {
		case <-f.relisten:
			cancel()
		case <-stop:
		}
	})
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return heard, err
		}
		heard = true
		if n.Channel == "setpoint_proposal" {
			f.store.proposals.wake()
			continue
		}
		if n.Channel == "setpoint_shards" {
			f.store.moves.Ring()
			continue
		}
		rev, err := strconv.ParseUint(n.Payload, 10, 64)
		if err != nil {
			f.store.options.Logger.Warn("a notification is no revision", "payload", n.Payload, "process", n.PID)
			continue
		}
		f.mu.Lock()
		f.heard = max(f.heard, resource.Revision(rev))
		f.mu.Unlock()
		if n.PID != f.ownPID.Load() { // the committer hands its own commits over
			f.hint(resource.Revision(rev))
		}
	}
}

// listens notes that a session for notifications begins or ends. What was committed before it began has to be looked for, and is announced to nobody.
func (f *follower) listens(begins bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listening = begins
	if begins {
		f.asked = 0
		f.doubt()
		f.want(f.wanted)
	}
}

// beat asks for the newest revision when no lease or membership was renewed for a while, and so makes up for hints that got lost.
func (f *follower) beat(ctx context.Context) {
	ticker := time.NewTicker(f.store.options.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if time.Since(time.Unix(0, f.store.renewed.Load())) < f.store.options.Heartbeat {
			f.spared.Add(1)
			continue
		}
		err := f.store.steady.use(ctx, func(ctx context.Context, c *pgx.Conn) error {
			var rev int64
			if err := c.QueryRow(ctx, "SELECT revision FROM setpoint.counter").Scan(&rev); err != nil {
				return err
			}
			f.told(resource.Revision(rev))
			return nil
		})
		if err != nil && ctx.Err() == nil {
			f.store.options.Logger.Warn("the newest revision cannot be asked for", "error", err)
		}
		f.beats.Add(1)
	}
}

// told takes a revision that the database named itself. A hint may be slower than this answer; but when none came for what was named the last time, the session
// that listens may be deaf.
func (f *follower) told(rev resource.Revision) {
	f.mu.Lock()
	missed := f.listening && f.asked > f.heard
	f.asked = rev
	f.mu.Unlock()
	f.hint(rev)
	if !missed {
		return
	}
	f.lost.Add(1)
	select {
	case f.relisten <- struct{}{}:
	default:
	}
}
