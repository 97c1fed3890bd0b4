package proxy

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/command"
)

// auditors bounds how many processes are asked at once, auditPatience how long one may take to answer, and auditCap the pause before those that have not
// answered are asked again.
const (
	auditors      = 16
	auditPatience = 5 * time.Second
	auditCap      = time.Minute
)

// Observe asks every process once, when the plane starts, whether it has what it should have, and reports what is not so: a plane that comes back with a
// database of yesterday finds processes that are a day ahead of it. After that a process changes only when it is told to, and its host announces its death, so
// nothing is asked again. It returns nil when ctx ends.
func (a *Adapter) Observe(ctx context.Context, desk command.Desk) error {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	pending := desk.Expected("")
	for failures := 1; ; failures++ {
		silent, err := a.audit(ctx, desk, pending)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if pending = silent; len(pending) == 0 {
			<-ctx.Done()
			return nil
		}
		timer := time.NewTimer(command.Backoff(time.Second, auditCap, failures, random))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// audit asks for each expectation, reports those that do not hold, and returns those whose process has not answered. What was replaced meanwhile the desk sorts
// out by its token.
func (a *Adapter) audit(ctx context.Context, desk command.Desk, expected []command.Expectation) (silent []command.Expectation, err error) {
	var mu sync.Mutex
	var losses []command.Loss
	var asking sync.WaitGroup
	for share := range slices.Chunk(expected, max(1, (len(expected)+auditors-1)/auditors)) {
		asking.Go(func() {
			for _, e := range share {
				reason, answered := a.differs(ctx, e)
				mu.Lock()
				if !answered {
					silent = append(silent, e)
				} else if reason != "" {
					losses = append(losses, command.Loss{Key: e.Key, Token: e.Token, Reason: reason})
				}
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	if len(losses) > 0 {
		err = desk.Lost(ctx, losses)
	}
	return silent, err
}

// differs says how a process differs from what is expected of it, "" when it does not. A process that is gone is for its host to announce.
func (a *Adapter) differs(ctx context.Context, e command.Expectation) (reason string, answered bool) {
	ctx, cancel := context.WithTimeout(ctx, auditPatience)
	defer cancel()
	status, err := a.status(ctx, e.Destination)
	switch {
	case errors.Is(err, errGone):
		return "", true
	case err != nil:
		return "", false
	case status.Token != e.Token:
		return "the process has loaded version " + status.Version + " of somebody else", true
	}
	return "", true
}
