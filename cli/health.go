package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// probeTime is how long an answer about health is waited for, when nothing else is said.
const probeTime = 5 * time.Second

func (a *app) health() *cobra.Command {
	var live bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask whether the server is doing its work, or is alive",
		Long: `Ask the server whether it is doing its work: everything is loaded and current, commits succeed, workers move. With --live, ask only whether it is alive: whether there is no
need to restart it. One that has no work because others have it, drained or standing by, is ready.

It is for supervisors that can run a program and nothing else. Exit code 0 says yes, 6 says no, or that nobody answered in time; the reason is on standard error.`,
		Example: `  setpoint health
  setpoint health --live --server http://127.0.0.1:7433`,
		Args: between(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if timeout <= 0 {
				return usage("--timeout %s: want more than 0s", timeout)
			}
			server, err := a.connect()
			if err != nil {
				return err
			}
			ask, answer := server.Ready, "ready"
			if live {
				ask, answer = server.Live, "alive"
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			if err := ask(ctx); err != nil {
				if ctx.Err() != nil && c.Context().Err() == nil {
					err = fmt.Errorf("no answer within %s: %w", timeout, err)
				}
				return &Failure{Code: ExitUnavailable, Err: err}
			}
			return a.out("%s", answer)
		},
	}
	c.Flags().BoolVar(&live, "live", false, "ask whether it is alive, and not whether it does its work")
	c.Flags().DurationVar(&timeout, "timeout", probeTime, "how long to wait for an answer")
	return c
}
