package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/legible"
)

func (a *app) nodes() *cobra.Command {
	var output string
	var all bool
	c := &cobra.Command{
		Use:   "nodes",
		Short: "List the nodes: who works, and on how much",
		Long: `List the processes that work on the server's database, and how many of the 256 shards each has; and for an hour those that have died and were not started again. With --all, also those that were
stopped, or have died before, of the last week.

STATUS is Ready; Cordoned (setpoint drain); Trouble, when it says itself that its work does not move; Silent, when nothing was heard of it for its time to live and nobody has taken its shards yet;
Down, when it has died, or cannot reach the database, and others have its shards; Left, when it was stopped; Standby, when it waits for the lease of another. When the database does not answer, it is what the node that is asked remembers, and standard error says so.`,
		Example:           "  setpoint nodes\n  setpoint nodes -o jsonpath='{.items[*].name}'",
		Args:              between(0, 0, "no arguments"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			form, err := parseFormat(output)
			if err != nil {
				return err
			}
			server, err := a.connect()
			if err != nil {
				return err
			}
			n, err := server.Nodes(c.Context())
			if err != nil {
				return err
			}
			return a.showNodes(form, n, all)
		},
	}
	outputFlag(c, &output)
	c.Flags().BoolVarP(&all, "all", "a", false, "also nodes that were stopped, or have died long ago or were started again")
	return c
}

// mourning is for how long a node that has died is listed: whoever comes to look why something is slow should see it, and who looks tomorrow should not.
const mourning = time.Hour

// missed reports whether a node has died lately, and has not come back.
func missed(n client.Nodes, node client.Node) bool {
	return !node.Member && !node.Left && !node.Replaced && n.At.Sub(node.Seen) < mourning
}

func (a *app) showNodes(form format, n client.Nodes, all bool) error {
	kept := []client.Node{}
	for _, node := range n.Items {
		if all || node.Member || node.Shards > 0 || node.Self || missed(n, node) {
			kept = append(kept, node)
		}
	}
	n.Items = kept
	switch {
	case form.name == "name":
		for _, node := range n.Items {
			if err := a.out("%s", printable(node.Name, false)); err != nil {
				return err
			}
		}
		return nil
	case !form.table():
		return a.value(form, n)
	}
	if err := (&grid{}).write(a.Stdout, a.nodeLines(n, form.name == "wide")); err != nil {
		return err
	}
	if n.Unowned > 0 {
		if err := a.say("%d shards are nobody's; see: setpoint doctor", n.Unowned); err != nil {
			return err
		}
	}
	if err := a.tellTakeup(n); err != nil {
		return err
	}
	return a.memory(n.Answered, n.Problem)
}

// memory says so when an answer is not of now.
func (a *app) memory(answered, problem string) error {
	if problem == "" {
		return nil
	}
	return a.say("The database does not answer; this is what node %s remembers, as far as it does: %s", printable(answered, false), printable(problem, false))
}

func (a *app) nodeLines(n client.Nodes, wide bool) [][]string {
	heads := []string{"NAME", "STATUS", "SHARDS", "VERSION", "AGE", "SEEN", "CLOCK", "ADDRESS"}
	if wide {
		heads = append(heads, "ID", "TROUBLE")
	}
	lines := [][]string{heads}
	for _, node := range n.Items {
		name := node.Name
		if node.Self {
			name += " *"
		}
		line := []string{
			name, nodeStatus(n, node), strconv.Itoa(node.Shards), legible.Dash(node.Version), a.since(node.Joined), a.since(node.Seen), legible.Dash(signed(node.Skew)), legible.Dash(node.Address),
		}
		if wide {
			line = append(line, node.ID, legible.Dash(node.Trouble))
		}
		for i := range line {
			line[i] = printable(line[i], false)
		}
		lines = append(lines, line)
	}
	return lines
}

// signed writes how much a clock is ahead with its sign.
func signed(skew string) string {
	if skew == "" || strings.HasPrefix(skew, "-") {
		return skew
	}
	return "+" + skew
}

func nodeStatus(n client.Nodes, node client.Node) string {
	switch {
	case !node.Member && node.Self && n.Standby != "":
		return "Standby"
	case !node.Member && node.Shards > 0:
		return "Silent"
	case !node.Member && node.Left:
		return "Left"
	case !node.Member:
		return "Down"
	case node.Draining:
		return "Cordoned"
	case node.Trouble != "":
		return "Trouble"
	}
	return "Ready"
}

// completeNodes completes the name of a node.
func (a *app) completeNodes(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(c.Context(), completionTime)
	defer cancel()
	server, err := a.connect()
	if err == nil {
		var n client.Nodes
		if n, err = server.Nodes(ctx); err == nil {
			var names []string
			for _, node := range n.Items {
				if (node.Member || node.Draining) && strings.HasPrefix(node.Name, begun) {
					names = append(names, fmt.Sprintf("%s\t%s, %d shards", node.Name, nodeStatus(n, node), node.Shards))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		}
	}
	cobra.CompErrorln(err.Error())
	return nil, cobra.ShellCompDirectiveNoFileComp
}
