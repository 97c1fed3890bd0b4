package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/setpointhq/setpoint/command"
)

// Observe compares the directory, once a second, with what should be there, and reports what is gone or has been changed.
func (f Files) Observe(ctx context.Context, desk command.Desk) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if err := desk.Lost(ctx, f.lost(desk.Expected(""))); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lost are the effects that no longer hold. An effect that was acknowledged or replaced meanwhile is told apart by its token.
func (f Files) lost(expected []command.Expectation) (losses []command.Loss) {
	for _, e := range expected {
		var want File
		reason := "the file was changed"
		text, err := os.ReadFile(filepath.Join(f.Root, e.Key))
		if err != nil {
			reason = err.Error()
		} else if json.Unmarshal(e.Request, &want) == nil && string(text) == want.Text {
			continue
		}
		losses = append(losses, command.Loss{Key: e.Key, Token: e.Token, Reason: reason})
	}
	return losses
}
