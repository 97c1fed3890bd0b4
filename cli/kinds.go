package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/legible"
)

func (a *app) kinds() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "kinds [KIND]",
		Short: "List the kinds, or draw the state machine of one",
		Long:  `List the kinds that the server has. With a kind, describe it and draw its state machine: as text, or with -o mermaid or -o dot as a diagram's source.`,
		Example: `  setpoint kinds
  setpoint kinds gateway
  setpoint kinds gateway -o dot | dot -Tsvg > gateway.svg`,
		Args:              between(0, 1, "at most one KIND"),
		ValidArgsFunction: a.completeKind,
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := a.connect(); err != nil {
				return err
			}
			if len(args) == 1 {
				return a.drawKind(c.Context(), args[0], output)
			}
			return a.listKinds(c.Context(), output)
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "output: table, wide, json, yaml, name or jsonpath=…; for one kind also mermaid or dot")
	completeWords(c, "output", "table", "wide", "json", "yaml", "name", "jsonpath=", "mermaid", "dot")
	return c
}

func (a *app) completeKind(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeObjects(c, args, begun)
}

func (a *app) listKinds(ctx context.Context, output string) error {
	form, err := parseFormat(output)
	if err != nil {
		return err
	}
	kinds, err := a.client.Kinds(ctx)
	if err != nil {
		return err
	}
	kinds = slices.DeleteFunc(kinds, func(k client.Kind) bool { return !k.Can("list") })
	described, err := a.client.Descriptions(ctx)
	if err != nil && !errors.Is(err, client.ErrNotFound) { // servers that cannot describe kinds still list them
		return err
	}
	switch {
	case form.name == "name":
		for _, k := range kinds {
			if err := a.out("%s", k); err != nil {
				return err
			}
		}
		return nil
	case !form.table():
		return a.value(form, struct {
			Items []client.KindDescription `json:"items"`
		}{append([]client.KindDescription{}, described...)})
	}
	return a.kindTable(kinds, described, form.name == "wide")
}

func (a *app) kindTable(kinds []client.Kind, described []client.KindDescription, wide bool) error {
	heads := []string{"KIND", "PLURAL", "SHORT", "GROUP", "NAMESPACED", "STATES"}
	if wide {
		heads = append(heads, "DESCRIPTION")
	}
	lines := [][]string{heads}
	for _, k := range kinds {
		states, about := "-", ""
		for _, d := range described {
			if d.Group == k.Group && d.Plural == k.Plural {
				about = d.Description
				if d.Lifecycle != nil {
					states = fmt.Sprint(d.Lifecycle.States)
				}
			}
		}
		line := []string{k.Kind, k.Plural, legible.Dash(strings.Join(k.ShortNames, ",")), k.APIVersion(), fmt.Sprint(k.Namespaced), states}
		if wide {
			line = append(line, legible.Dash(about))
		}
		for i := range line {
			line[i] = printable(line[i], false)
		}
		lines = append(lines, line)
	}
	return (&grid{}).write(a.Stdout, lines)
}

func (a *app) drawKind(ctx context.Context, word, output string) error {
	k, err := a.client.Resolve(ctx, word)
	if err != nil {
		return err
	}
	d, err := a.client.Describe(ctx, k)
	if err != nil {
		return err
	}
	if output == "mermaid" || output == "dot" {
		if d.Lifecycle == nil {
			return usage("%s has no states to draw", k.Kind)
		}
		if output == "mermaid" {
			return a.print(a.Stdout, d.Lifecycle.Mermaid)
		}
		return a.print(a.Stdout, d.Lifecycle.DOT)
	}
	form, err := parseFormat(output)
	switch {
	case err != nil:
		return err
	case form.name == "name":
		return a.out("%s", k)
	case !form.table():
		return a.value(form, d)
	}
	return a.showKind(k, d)
}

func (a *app) showKind(k client.Kind, d *client.KindDescription) error {
	p := &page{w: a.Stdout}
	p.line("%s (%s/%s, %s)", d.Kind, d.Group, d.Version, d.Scope)
	if d.Description != "" {
		p.line("%s", d.Description)
	}
	p.line("Say: %s", strings.Join(append(k.Names(), k.String()), ", "))
	if d.Lifecycle != nil {
		p.line("\nStates:")
		for line := range strings.Lines(d.Lifecycle.Text) {
			p.line("  %s", strings.TrimRight(line, "\n"))
		}
	}
	var columns [][]string
	for _, c := range d.Columns {
		columns = append(columns, []string{c.Name, c.Type, legible.Dash(c.Path), c.Description})
	}
	if len(columns) > 0 {
		p.line("")
	}
	p.section("Columns", columns)
	return p.err
}
