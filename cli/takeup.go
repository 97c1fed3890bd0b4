package cli

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
)

// The pause that is asked for when no time is said, and the longest.
const (
	usualPause   = time.Hour
	longestPause = 7 * 24 * time.Hour
)

func (a *app) takeup() *cobra.Command {
	c := &cobra.Command{
		Use:   "takeup",
		Short: "Pause the take-up of a large backlog, or let it go on",
		Long: `A node that starts, or that gets shards of another one, gives each object in them a turn, in the background: the take-up. When that is more than your subsystems can bear, pause it. It holds for all nodes.

While it is paused, nodes have and take shards as ever, what changes is worked on at once, and commands and actions that are under way are brought to their end, also those of a node that died. So is what was asked for while
nobody had its shard. Other objects wait, and with them their timers and limits; controllers that run everywhere do not. It survives restarts, and goes on where it was.

setpoint nodes tells of a pause, and so does setpoint doctor, with the number of objects that wait on the node that answers.`,
		Args: a.noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.takeupPause(), a.takeupResume())
	return c
}

func (a *app) takeupPause() *cobra.Command {
	var length time.Duration
	var by string
	c := &cobra.Command{
		Use:   "pause",
		Short: "Have all nodes stand still with the take-up, for a time",
		Long: `Have all nodes stand still with the take-up of what they have gained, at once but for some hundred turns that are in the queues of controllers. It ends by itself, by the database's clock: a pause that is forgotten would leave
objects unattended, and nothing would show it. Given again, it ends after the new time.`,
		Example: "  setpoint takeup pause --for 30m",
		Args:    between(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if length < time.Second || length > longestPause {
				return usage("--for %s: want 1s to %s", length, longestPause)
			}
			return a.setTakeup(c.Context(), func(ctx context.Context, server *client.Client) (client.TakeUp, error) {
				return server.PauseTakeUp(ctx, cmp.Or(by, a.env("USER"), a.env("LOGNAME")), length)
			})
		},
	}
	c.Flags().DurationVar(&length, "for", usualPause, "how long; at most a week")
	c.Flags().StringVar(&by, "by", "", "who asks, for others to see (USER when it is not said); the server adds from where")
	return c
}

func (a *app) takeupResume() *cobra.Command {
	return &cobra.Command{
		Use:     "resume",
		Short:   "Let the take-up go on",
		Long:    `End the pause of the take-up. It goes on where it was, on all nodes. Without a pause it does nothing.`,
		Example: "  setpoint takeup resume",
		Args:    between(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.setTakeup(c.Context(), func(ctx context.Context, server *client.Client) (client.TakeUp, error) {
				return server.ResumeTakeUp(ctx)
			})
		},
	}
}

// setTakeup asks the server, and says what is so then.
func (a *app) setTakeup(ctx context.Context, ask func(context.Context, *client.Client) (client.TakeUp, error)) error {
	server, err := a.connect()
	if err != nil {
		return err
	}
	t, err := ask(ctx, server)
	switch {
	case errors.Is(err, client.ErrConflict):
		return &Failure{Code: ExitRefused, Err: err}
	case err != nil:
		return err
	case !t.Paused:
		return a.out("takeup resumed")
	}
	return a.out("takeup paused until %s", t.Until.UTC().Format(time.RFC3339))
}

// tellTakeup tells people of a pause.
func (a *app) tellTakeup(n client.Nodes) error {
	if !n.TakeUp.Paused {
		return nil
	}
	return a.say("The take-up is paused by %s until %s; %d objects wait on node %s; to end it: setpoint takeup resume",
		printable(n.TakeUp.By, false), n.TakeUp.Until.UTC().Format(time.RFC3339), n.TakeUp.Waiting, printable(n.Answered, false))
}
