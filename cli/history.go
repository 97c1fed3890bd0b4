package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/legible"
)

func (a *app) history() *cobra.Command {
	var output string
	var limit uint64
	c := &cobra.Command{
		Use:   "history KIND NAME | KIND/NAME",
		Short: "Show what happened to an object",
		Long: `Show what happened to an object, oldest first: transitions, signals, commands and events, who wrote them and why. It is kept for some time after the
object is gone, and includes former objects of the name.`,
		Example:           "  setpoint history gateway shop\n  setpoint history gateway shop -o json",
		Args:              between(1, 2, "KIND NAME, or KIND/NAME"),
		ValidArgsFunction: a.completeObjects,
		RunE: func(c *cobra.Command, args []string) error {
			form, err := parseFormat(output)
			if err != nil {
				return err
			}
			t, err := a.one(c.Context(), args)
			if err != nil {
				return err
			}
			entries, err := a.client.History(c.Context(), t.Kind, t.Ref, client.HistoryOptions{Limit: limit})
			if err != nil {
				return err
			}
			return a.showHistory(form, entries)
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "output: table, wide, json, yaml or jsonpath=…")
	c.Flags().Uint64Var(&limit, "limit", 0, "the newest so many; 0 leaves it to the server")
	completeWords(c, "output", "table", "wide", "json", "yaml", "jsonpath=")
	return c
}

func (a *app) showHistory(form format, entries []client.HistoryEntry) error {
	switch {
	case form.name == "name":
		return usage("-o name: a history has no names; want table, wide, json, yaml or jsonpath=…")
	case !form.table():
		if entries == nil {
			entries = []client.HistoryEntry{}
		}
		return a.value(form, struct {
			Items []client.HistoryEntry `json:"items"`
		}{entries})
	case len(entries) == 0:
		return a.say("Nothing is on record.")
	}
	return (&grid{}).write(a.Stdout, historyLines(entries, form.name == "wide"))
}

func historyLines(entries []client.HistoryEntry, wide bool) [][]string {
	heads := []string{"TIME", "REVISION", "WHAT", "CHANGE", "REASON", "WRITER", "CAUSE"}
	if wide {
		heads = append(heads, "UID")
	}
	lines := [][]string{heads}
	for _, e := range entries {
		line := []string{
			e.At.UTC().Format(time.RFC3339), e.Revision.String(), e.Type, legible.Dash(changed(e)), legible.Dash(because(e)), legible.Dash(e.Writer.Name), legible.Dash(cause(e.Cause)),
		}
		if wide {
			line = append(line, string(e.UID))
		}
		for i := range line {
			line[i] = printable(line[i], false)
		}
		lines = append(lines, line)
	}
	return lines
}

func changed(e client.HistoryEntry) string {
	if e.From == "" && e.To == "" {
		return ""
	}
	return arrow(string(e.From), string(e.To))
}

func because(e client.HistoryEntry) string {
	return strings.TrimSpace(strings.Join([]string{e.Reason, e.Message}, " "))
}

func cause(c client.HistoryCause) string {
	if c.Revision == 0 {
		return c.Text
	}
	return strings.TrimSpace(fmt.Sprintf("@%d %s", c.Revision, c.Text))
}
