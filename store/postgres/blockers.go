package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Blocker is a session that holds what a commit waits for.
type Blocker struct {
	PID                        int32
	Role, Application, Address string
	// State and Waits are those of pg_stat_activity; Busy is the age of its transaction.
	State, Waits string
	Busy         time.Duration
	// Ended says that it had waited for its own client for so long that it was ended.
	Ended bool
}

func (b Blocker) String() string {
	s := fmt.Sprintf("process %d (%s, role %s, from %s, %s, waits for %s, in its transaction for %s)",
		b.PID, b.Application, b.Role, b.Address, b.State, b.Waits, b.Busy.Round(time.Millisecond))
	if b.Ended {
		s += ", now ended"
	}
	return s
}

// blockers remembers who held up commits.
type blockers struct {
	mu      sync.Mutex
	last    []Blocker
	seen    uint64
	looking sync.WaitGroup
}

// lookAfter is how long a group is under way at most before it is asked what it waits for, and again.
const lookAfter = time.Second

// watchBlockers looks, while a group is under way for long, for who holds it up. The function that it returns ends that.
func (s *Store) watchBlockers(pid uint32) (stop func()) {
	s.blockers.looking.Add(1)
	ctx, cancel := context.WithCancel(s.life)
	var ended sync.Once
	done := func() { ended.Do(s.blockers.looking.Done) }
	every := min(lookAfter, s.options.LockTimeout/4) // more than once before the group gives up
	timer := time.AfterFunc(every, func() {
		defer done()
		for ctx.Err() == nil {
			// The question is not given up when the group gets on: a session that was ended for it has to be named.
			asking, asked := context.WithTimeout(s.life, s.options.LockTimeout)
			err := s.nameBlockers(asking, pid)
			asked()
			if err != nil && ctx.Err() == nil {
				s.options.Logger.Warn("who holds up a commit cannot be asked", "error", err)
			}
			again := time.NewTimer(every)
			select {
			case <-ctx.Done():
				again.Stop()
			case <-again.C:
			}
		}
	})
	return func() {
		cancel()
		if timer.Stop() {
			done()
		}
	}
}

func (b *blockers) wait() { b.looking.Wait() }

// nameBlockers finds who holds up a session. One that has its lock and waits for its own client, longer than the lock time-out, is a process that is frozen or
// cut off in the midst of a commit; it is ended, if the database lets us.
func (s *Store) nameBlockers(ctx context.Context, pid uint32) error {
	var found []Blocker
	err := s.steady.use(ctx, func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx, "SELECT pid, role, application, address, state, waits, coalesce(busy, '0'), ended FROM setpoint.blockers_v1($1, $2)", int32(pid), s.options.LockTimeout/2)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Blocker])
		return err
	})
	if err != nil || len(found) == 0 {
		return err
	}
	for _, b := range found {
		s.options.Logger.Warn("a commit waits for another session", "pid", b.PID, "application", b.Application, "role", b.Role, "address", b.Address,
			"state", b.State, "waits", b.Waits, "busy", b.Busy, "ended", b.Ended)
	}
	s.blockers.mu.Lock()
	defer s.blockers.mu.Unlock()
	s.blockers.last = found
	s.blockers.seen++
	return nil
}

// blocked says who was seen last, for an error message.
func (s *Store) blocked() string {
	s.blockers.mu.Lock()
	defer s.blockers.mu.Unlock()
	if len(s.blockers.last) == 0 {
		return ""
	}
	words := make([]string, len(s.blockers.last))
	for i, b := range s.blockers.last {
		words[i] = b.String()
	}
	s.blockers.last = nil
	return "; held up by " + strings.Join(words, " and ")
}

// Blocked counts how often a commit was found to wait for another session.
func (s *Store) Blocked() uint64 {
	s.blockers.mu.Lock()
	defer s.blockers.mu.Unlock()
	return s.blockers.seen
}
