package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
)

// The pause between two looks at a node that is drained.
const drainPause = 500 * time.Millisecond

func (a *app) drain() *cobra.Command {
	var wait bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "drain NODE",
		Short: "Have a node give up its shards and take none",
		Long: `Ask the nodes of a name to give up their shards, after what is under way, and to take none. The others take them. The node stays: it serves requests, and can be stopped without anything moving. With
--wait, return when it has no shards.

It holds for the name, so also for the next process of that name, until setpoint uncordon. Where one process works on the database at a time (SQLite) there is nobody to give the work to, and it is refused.`,
		Example:           "  setpoint drain edge-1 --wait && ssh edge-1 systemctl stop setpoint",
		Args:              between(1, 1, "the name of a NODE, as setpoint nodes lists it"),
		ValidArgsFunction: a.completeNodes,
		RunE: func(c *cobra.Command, args []string) error {
			if timeout < 0 {
				return usage("--timeout %s: want 0s or more", timeout)
			}
			if err := a.cordon(c.Context(), args[0], true); err != nil || !wait {
				return err
			}
			ctx, cancel := limited(c.Context(), timeout)
			defer cancel()
			return a.awaitDrained(ctx, args[0])
		},
	}
	c.Flags().BoolVar(&wait, "wait", false, "return when the node has no shards")
	c.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait; 0s for as long as it takes")
	return c
}

func (a *app) uncordon() *cobra.Command {
	return &cobra.Command{
		Use:               "uncordon NODE",
		Short:             "Let a node that was drained have shards again",
		Long:              `Take back what setpoint drain asked for. The nodes of the name get their share of the shards within seconds. A name that no node has any more can be given as well.`,
		Example:           "  setpoint uncordon edge-1",
		Args:              between(1, 1, "the name of a NODE"),
		ValidArgsFunction: a.completeNodes,
		RunE:              func(c *cobra.Command, args []string) error { return a.cordon(c.Context(), args[0], false) },
	}
}

func (a *app) cordon(ctx context.Context, name string, drain bool) error {
	server, err := a.connect()
	if err != nil {
		return err
	}
	warning, err := server.Drain(ctx, name, drain)
	if errors.Is(err, client.ErrConflict) {
		return &Failure{Code: ExitRefused, Err: err}
	}
	if err != nil {
		return err
	}
	if warning != "" {
		if err := a.say("Warning: %s", printable(warning, false)); err != nil {
			return err
		}
	}
	word := "uncordoned"
	if drain {
		word = "cordoned"
	}
	return a.out("node/%s %s", printable(name, false), word)
}

// awaitDrained returns when no node of a name has shards, and says meanwhile how many there are.
func (a *app) awaitDrained(ctx context.Context, name string) error {
	for last := -1; ; {
		n, err := a.client.Nodes(ctx)
		left := 0
		for _, node := range n.Items {
			if node.Name == name {
				left += node.Shards
			}
		}
		switch {
		case err == nil && n.Problem == "" && left == 0:
			return a.out("node/%s drained", printable(name, false))
		case err != nil && ctx.Err() == nil && !errors.Is(err, client.ErrUnavailable):
			return err
		case err == nil && n.Problem != "":
			err = fmt.Errorf("the database does not answer: %s", n.Problem)
		case err == nil && left != last:
			if err := a.say("%d shards left", left); err != nil {
				return err
			}
			last = left
		}
		if !paused(ctx, drainPause) {
			err = cmp.Or(err, context.Cause(ctx))
			return waitError(ctx, last >= 0, fmt.Errorf("node %s has %d shards still; see: setpoint doctor", name, max(last, left)), err)
		}
	}
}

// paused waits, and is false when ctx ends before.
func paused(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
