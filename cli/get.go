package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
)

// getFlags are those of get.
type getFlags struct {
	selection
	output string
	watch  bool
}

// selection are the flags that choose objects.
type selection struct {
	all            bool
	labels, fields string
}

func (s *selection) flags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVarP(&s.all, "all-namespaces", "A", false, "objects of all namespaces")
	f.StringVarP(&s.labels, "selector", "l", "", `label selector: "app=shop,tier!=test"`)
	f.StringVar(&s.fields, "field-selector", "", `field selector: "metadata.name=shop"`)
}

// options make a target the options of a list.
func (s *selection) options(t target) (client.ListOptions, error) {
	o := client.ListOptions{Namespace: t.Ref.Namespace, Labels: s.labels, Fields: s.fields}
	if s.all {
		o.Namespace = ""
	}
	if t.Ref.Name == "" {
		return o, nil
	}
	if s.all || s.labels != "" || s.fields != "" {
		return o, usage("a name and -A, -l or --field-selector exclude one another: %s", t)
	}
	o.Fields = "metadata.name=" + string(t.Ref.Name)
	return o, nil
}

func (a *app) get() *cobra.Command {
	var f getFlags
	c := &cobra.Command{
		Use:   "get KIND [NAME…] | KIND/NAME…",
		Short: "List or show objects",
		Long: `List the objects of a kind, or show those that are named. A kind may be given by its plural, singular or short name, and with ".<group>" when several
groups have it; see "setpoint kinds".`,
		Example: `  setpoint get gateways
  setpoint get gw shop -o yaml
  setpoint get gateways -A -l tier=web -o wide
  setpoint get gateway/shop -o jsonpath='{.status.address}'
  setpoint get gateways -o jsonpath='{range .items[*]}{.metadata.name}{"\n"}{end}'
  setpoint get gateways -w`,
		Args:              atLeast(1, "KIND [NAME…], or KIND/NAME…"),
		ValidArgsFunction: a.completeObjects,
		RunE:              func(c *cobra.Command, args []string) error { return a.runGet(c.Context(), args, f) },
	}
	f.flags(c)
	outputFlag(c, &f.output)
	c.Flags().BoolVarP(&f.watch, "watch", "w", false, "go on with changes as they come")
	return c
}

func (a *app) runGet(ctx context.Context, args []string, f getFlags) error {
	form, err := parseFormat(f.output)
	if err != nil {
		return err
	}
	targets, err := a.targets(ctx, args)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if _, err := f.options(t); err != nil {
			return err
		}
	}
	switch {
	case f.watch && len(targets) > 1:
		return usage("-w follows one kind or one object")
	case f.watch && form.table():
		return a.getTables(ctx, targets, f, form)
	case f.watch:
		return a.getFollowing(ctx, targets[0], f, form)
	case form.table():
		return a.getTables(ctx, targets, f, form)
	}
	return a.getDocuments(ctx, targets, f, form)
}

// getTables prints targets as tables, one after the other; objects of one kind share one.
func (a *app) getTables(ctx context.Context, targets []target, f getFlags, form format) error {
	var problems []error
	var printer *tablePrinter
	for i, t := range targets {
		if i == 0 || t.Kind.String() != targets[i-1].Kind.String() {
			if printer != nil && printer.headed {
				if err := a.print(a.Stdout, "\n"); err != nil {
					return err
				}
			}
			printer = &tablePrinter{wide: form.name == "wide", namespaces: f.all && t.Namespaced}
		}
		table, err := a.table(ctx, t, f)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if err := printer.print(a.Stdout, table); err != nil {
			return err
		}
		if len(table.Rows) == 0 && !f.watch {
			if err := a.nothing(t, f.all); err != nil {
				return err
			}
		}
		if f.watch {
			return a.getWatching(ctx, t, f, table, printer)
		}
	}
	return failed(problems)
}

func (a *app) nothing(t target, all bool) error {
	if all || t.Ref.Namespace == "" {
		return a.say("No %s found.", t.Kind.Plural)
	}
	return a.say("No %s found in namespace %s.", t.Kind.Plural, t.Ref.Namespace)
}

func (a *app) table(ctx context.Context, t target, f getFlags) (*client.Table, error) {
	if t.Ref.Name != "" && !f.watch {
		return a.client.Row(ctx, t.Kind, t.Ref)
	}
	o, err := f.options(t)
	if err != nil {
		return nil, err
	}
	return a.client.Table(ctx, t.Kind, o)
}

// getWatching prints a row for every change after a table. When the position has expired it prints the whole table again.
func (a *app) getWatching(ctx context.Context, t target, f getFlags, table *client.Table, p *tablePrinter) error {
	for {
		o, err := f.options(t)
		if err != nil {
			return err
		}
		watch := client.WatchOptions{ListOptions: o, From: table.Version, Tables: true, Lost: a.lost}
		for e, streamErr := range a.client.Watch(ctx, t.Kind, watch) {
			if err = streamErr; err != nil {
				break
			}
			if err := p.print(a.Stdout, e.Table); err != nil {
				return err
			}
		}
		if !errors.Is(err, client.ErrExpired) {
			return err
		}
		if table, err = a.table(ctx, t, f); err != nil {
			return err
		}
		if err := p.print(a.Stdout, table); err != nil {
			return err
		}
	}
}

// lost tells the person that a connection is being renewed. Standard error being closed is no reason to end a watch.
func (a *app) lost(err error) {
	if a.say("Reconnecting: %s", printable(err.Error(), false)) != nil {
		a.Stderr = discard{}
	}
}

// discard takes the place of a standard error that is gone.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func (a *app) getFollowing(ctx context.Context, t target, f getFlags, form format) error {
	o, err := f.options(t)
	if err != nil {
		return err
	}
	for e, err := range a.client.Follow(ctx, t.Kind, client.WatchOptions{ListOptions: o, Lost: a.lost}) {
		switch {
		case err != nil:
			return err
		case e.Object == nil:
		case form.name == "name":
			err = a.object(form, t.Kind, e.Object)
		default:
			err = a.line(form, e.Object.Raw)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// getDocuments prints one named object as it is, and else a list.
func (a *app) getDocuments(ctx context.Context, targets []target, f getFlags, form format) error {
	var problems []error
	var objects []*client.Object
	var kinds []client.Kind
	for _, t := range targets {
		found, err := a.fetch(ctx, t, f)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for _, o := range found {
			objects, kinds = append(objects, o), append(kinds, t.Kind)
		}
	}
	switch {
	case len(targets) == 1 && len(problems) > 0:
		return problems[0]
	case len(targets) == 1 && targets[0].Ref.Name != "":
		return a.object(form, kinds[0], objects[0])
	}
	return failed(append(problems, a.objects(form, kinds, objects)))
}

func (a *app) fetch(ctx context.Context, t target, f getFlags) ([]*client.Object, error) {
	if t.Ref.Name != "" {
		o, err := a.client.Get(ctx, t.Kind, t.Ref)
		return []*client.Object{o}, err
	}
	o, err := f.options(t)
	if err != nil {
		return nil, err
	}
	return a.collect(ctx, t.Kind, o)
}

// collect reads a whole list.
func (a *app) collect(ctx context.Context, k client.Kind, o client.ListOptions) ([]*client.Object, error) {
	var all []*client.Object
	for item, err := range a.client.All(ctx, k, o) {
		if err != nil {
			return nil, err
		}
		all = append(all, item)
	}
	return all, nil
}
