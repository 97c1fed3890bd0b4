// Package wait is for the pause between two attempts, which ends early when nobody wants the next one any more.
package wait

import (
	"context"
	"time"
)

// For waits, and is false when ctx ends before.
func For(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
