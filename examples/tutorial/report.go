package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// report prints every commit from now on: what changed, and who changed it.
func report(ctx context.Context, db *sqlite.Store, out io.Writer) error {
	stream, err := db.Watch(ctx, db.Revision())
	if err != nil {
		return err
	}
	for {
		commit, err := stream.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				err = nil // told to stop
			}
			return errors.Join(err, stream.Close())
		}
		if _, err := io.WriteString(out, describe(commit)); err != nil {
			return errors.Join(err, stream.Close())
		}
	}
}

// describe is one line for each thing in a commit.
func describe(commit store.Batch) (lines string) {
	for _, c := range commit.Objects {
		lines += fmt.Sprintf("@%d %s: %s is %s, ready: %t\n", commit.Revision, commit.Writer.Name, c.Object.Key, c.Object.State, c.Object.Ready())
	}
	for _, c := range commit.Commands {
		if !c.Removed {
			lines += fmt.Sprintf("@%d %s: command %s is %s %s\n", commit.Revision, commit.Writer.Name, c.Command.Slot, c.Command.Phase, c.Command.Message)
		}
	}
	return lines
}
