package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/legible"
)

func (a *app) leases() *cobra.Command {
	var output string
	var shards bool
	c := &cobra.Command{
		Use:   "leases",
		Short: "List who has which shard, under which epoch, and other leases",
		Long: `List the shards by node, with the lowest and the highest epoch of each, and the leases that are no shards: those that authors have made (author/NAME), and plane, the one of a database on which one
process works at a time. With --shards, a line for each shard.

An epoch rises whenever a lease goes to another holder. Commits and calls to subsystems carry it, so that what a former holder sends late is refused.`,
		Example:           "  setpoint leases\n  setpoint leases --shards",
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
			l, err := server.Leases(c.Context())
			if err != nil {
				return err
			}
			return a.showLeases(form, l, shards)
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "output: table, json, yaml or jsonpath=…")
	completeWords(c, "output", "table", "json", "yaml", "jsonpath=")
	c.Flags().BoolVar(&shards, "shards", false, "a line for each shard")
	return c
}

func (a *app) showLeases(form format, l client.Leases, shards bool) error {
	switch {
	case form.name == "name" || form.name == "wide":
		return usage("-o %s: want table, json, yaml or jsonpath=…", form.name)
	case !form.table():
		return a.value(form, l)
	}
	lines := a.leaseLines(l)
	if shards {
		lines = a.shardLines(l)
	}
	if len(lines) == 1 {
		if err := a.say("There are no leases."); err != nil {
			return err
		}
	} else if err := (&grid{}).write(a.Stdout, lines); err != nil {
		return err
	}
	return a.memory(l.Answered, l.Problem)
}

// leaseLines are a line for each node, then one for each lease that is no shard.
func (a *app) leaseLines(l client.Leases) [][]string {
	lines := [][]string{{"LEASE", "HOLDER", "EPOCH", "STATUS", "WHICH"}}
	for _, n := range l.Items {
		epochs := n.Low
		if n.High != n.Low {
			epochs += "–" + n.High
		}
		status := "Held"
		if !n.Member {
			status = "Silent"
		}
		numbers := make([]int, len(n.Shards))
		for i, s := range n.Shards {
			numbers[i] = s.Shard
		}
		lines = append(lines, []string{fmt.Sprintf("%d shards", len(n.Shards)), printable(n.Node, false), legible.Dash(epochs), status, legible.Dash(ranges(numbers))})
	}
	if len(l.Unowned) > 0 {
		lines = append(lines, []string{fmt.Sprintf("%d shards", len(l.Unowned)), "-", "-", "Free", ranges(l.Unowned)})
	}
	return append(lines, a.otherLines(l, 1)...)
}

// shardLines are a line for each shard that somebody has, then one for each lease that is no shard.
func (a *app) shardLines(l client.Leases) [][]string {
	lines := [][]string{{"LEASE", "HOLDER", "EPOCH", "SINCE"}}
	for _, n := range l.Items {
		for _, s := range n.Shards {
			lines = append(lines, []string{"shard/" + strconv.Itoa(s.Shard), printable(n.Node, false), s.Epoch, a.since(s.Since)})
		}
	}
	for _, shard := range l.Unowned {
		lines = append(lines, []string{"shard/" + strconv.Itoa(shard), "-", "-", "-"})
	}
	return append(lines, a.otherLines(l, 0)...)
}

func (a *app) otherLines(l client.Leases, blanks int) (lines [][]string) {
	for _, o := range l.Others {
		status := "Free"
		if o.Held {
			status = "Held"
		}
		if !o.Expires.IsZero() {
			status += ", " + o.Expires.UTC().Format(time.RFC3339)
		}
		line := []string{printable(o.Scope, false), legible.Dash(printable(o.Holder, false)), legible.Dash(o.Epoch), status}
		for range blanks {
			line = append(line, "-")
		}
		lines = append(lines, line)
	}
	return lines
}

// ranges writes ascending numbers: 0-63, 70, 80-81.
func ranges(numbers []int) string {
	var parts []string
	for i := 0; i < len(numbers); {
		last := i
		for last+1 < len(numbers) && numbers[last+1] == numbers[last]+1 {
			last++
		}
		part := strconv.Itoa(numbers[i])
		if last > i {
			part += "-" + strconv.Itoa(numbers[last])
		}
		parts = append(parts, part)
		i = last + 1
	}
	return strings.Join(parts, ", ")
}
