package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
)

func (a *app) availability() *cobra.Command {
	var output string
	var all bool
	var worst uint64
	var o client.AvailabilityOptions
	c := &cobra.Command{
		Use:   "availability KIND [NAME] | KIND/NAME",
		Short: "Show how much of the time objects were healthy",
		Long: `Show how much of a period an object was in a healthy state: its outages, the time to recovery, and for each size of window the worst one. Of a kind it shows all
objects together, those that are gone included, and names the worst. What was not wanted (before the first healthy state, from the deletion on) does not count.

Lengths of time are written 30d, 2w, 36h or 1h30m. A period is the last 30 days, or named by --window, --from and --to, of which two are enough.`,
		Example: `  setpoint availability database orders --window 90d
  setpoint availability databases -A --by namespace
  setpoint availability database/orders --from 2026-10-01T00:00:00Z --to 2026-11-01T00:00:00Z -o json`,
		Args:              between(1, 2, "KIND, KIND NAME, or KIND/NAME"),
		ValidArgsFunction: a.completeObjects,
		RunE: func(c *cobra.Command, args []string) error {
			form, err := parseFormat(output)
			if err != nil {
				return err
			}
			if form.name == "name" {
				return usage("-o name: figures have no names; want table, json, yaml or jsonpath=…")
			}
			targets, err := a.targets(c.Context(), args)
			if err != nil {
				return err
			}
			t := targets[0]
			switch {
			case len(targets) != 1:
				return usage("want one object, or a kind")
			case all && t.Ref.Name != "":
				return usage("--all-namespaces: one object is in one namespace")
			case all:
				t.Ref.Namespace = ""
			}
			if c.Flags().Changed("worst") {
				o.Worst = &worst
			}
			found, err := a.client.Availability(c.Context(), t.Kind, t.Ref, o)
			if err != nil {
				return err
			}
			return a.showAvailability(form, found)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Window, "window", "", `length of the period, "30d"`)
	f.StringVar(&o.From, "from", "", `its beginning, "2026-10-01T00:00:00Z"`)
	f.StringVar(&o.To, "to", "", "its end; now, unless it is named")
	f.StringSliceVar(&o.Sizes, "sizes", nil, `sizes of the windows to find the worst of, "1m,1h,1d"; without any they double, from a minute on`)
	f.StringVar(&o.By, "by", "", `put the objects of a kind together by "all" or "namespace"`)
	f.Uint64Var(&worst, "worst", 10, "how many of the worst objects to name")
	f.BoolVarP(&all, "all-namespaces", "A", false, "objects of all namespaces")
	f.StringVarP(&output, "output", "o", "table", "output: table, json, yaml or jsonpath=…")
	completeWords(c, "output", "table", "json", "yaml", "jsonpath=")
	completeWords(c, "by", "all", "namespace")
	return c
}

func (a *app) showAvailability(form format, found *client.Availability) error {
	if !form.table() {
		return a.document(form, found.Raw)
	}
	var parts []string
	for _, r := range found.Reports {
		parts = append(parts, r.String())
	}
	if len(found.Groups) > 0 {
		parts = append(parts, found.Groups.String())
	}
	if found.Objects == 0 {
		return a.say("There was none.")
	}
	parts = append(parts, found.Curve.String())
	if err := a.print(a.Stdout, printable(strings.Join(parts, "\n"), true)); err != nil || found.LeftOut == 0 {
		return err
	}
	return a.say("These are the figures of %d objects; %d more were too many to look at. Ask for one namespace.", found.Objects, found.LeftOut)
}
