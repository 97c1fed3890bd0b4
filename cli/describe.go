package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/legible"
	"github.com/setpointhq/setpoint/resource"
)

// recentHistory is how many entries a description shows.
const recentHistory = 10

func (a *app) describe() *cobra.Command {
	return &cobra.Command{
		Use:   "describe KIND NAME… | KIND/NAME…",
		Short: "Show an object, its family and its recent history",
		Long: `Show all there is to know about an object: metadata, spec and status, conditions, what its controllers wait for, the objects it owns, over all kinds
and generations, and what happened to it last.`,
		Example:           "  setpoint describe gateway shop",
		Args:              atLeast(1, "KIND NAME…, or KIND/NAME…"),
		ValidArgsFunction: a.completeObjects,
		RunE: func(c *cobra.Command, args []string) error {
			targets, err := a.targets(c.Context(), args)
			if err != nil {
				return err
			}
			if targets[0].Ref.Name == "" {
				return usage("want names: KIND NAME…, or KIND/NAME…")
			}
			for i, t := range targets {
				if i > 0 {
					if err := a.out(""); err != nil {
						return err
					}
				}
				if err := a.describeOne(c.Context(), t); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *app) describeOne(ctx context.Context, t target) error {
	o, err := a.client.Get(ctx, t.Kind, t.Ref)
	if err != nil {
		return err
	}
	status, err := o.Engine()
	if err != nil {
		return err
	}
	family, err := a.family(ctx, o)
	if err != nil {
		return err
	}
	history, err := a.client.History(ctx, t.Kind, t.Ref, client.HistoryOptions{UID: o.Metadata.UID, Limit: recentHistory})
	if err != nil && !errors.Is(err, client.ErrNotFound) {
		return err // kinds without a history answer that there is none
	}
	p := &page{w: a.Stdout}
	a.head(p, o, status)
	a.bodies(p, o)
	p.section("Conditions", a.conditionLines(status.Conditions))
	p.section("Waits", a.waitLines(status.Waits))
	a.actionOf(p, status.Action, status.Last)
	p.section("Signals", a.signalLines(status.Signals))
	p.section("Children", family.tree(o.Metadata.UID, 0))
	if len(history) > 0 {
		p.section("History", historyLines(history, false))
	}
	return p.err
}

// head shows what every object has.
func (a *app) head(p *page, o *client.Object, s client.EngineStatus) {
	m := o.Metadata
	show := func(name, value string) {
		if value != "" {
			p.line("%-13s %s", name+":", printable(value, false))
		}
	}
	show("Name", string(m.Name))
	show("Namespace", string(m.Namespace))
	show("Kind", o.Kind+" ("+o.APIVersion+")")
	show("UID", string(m.UID))
	show("Created", a.moment(m.CreationTimestamp))
	if o.Deleting() {
		show("Deletion", "asked for "+a.moment(m.DeletionTimestamp))
	}
	generation := fmt.Sprint(m.Generation)
	if s.ObservedGeneration != 0 && s.ObservedGeneration != m.Generation {
		generation += fmt.Sprintf(" (controllers have seen %d)", s.ObservedGeneration)
	}
	if m.Generation != 0 {
		show("Generation", generation)
	}
	show("Revision", string(m.ResourceVersion))
	show("Labels", pairs(m.Labels))
	show("Annotations", pairs(m.Annotations))
	for _, owner := range m.Owners {
		role := ""
		if owner.Controller {
			role = " (controls it)"
		}
		show("Owner", owner.Kind+" "+string(owner.Name)+role)
	}
	show("Finalizers", joined(m.Finalizers))
	if s.State != "" {
		show("State", fmt.Sprintf("%s for %s", s.State, a.since(s.StateSince)))
	}
	show("Ready", readyWords(o))
}

func readyWords(o *client.Object) string {
	if s, err := o.Engine(); err != nil || len(s.Conditions) == 0 {
		return ""
	}
	return conditionNow(o, resource.Ready)
}

func pairs(m map[string]string) string {
	var words []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		words = append(words, key+"="+m[key])
	}
	return strings.Join(words, ", ")
}

// bodies shows spec, status and further fields as YAML. What has sections of its own is left out of the status.
func (a *app) bodies(p *page, o *client.Object) {
	a.body(p, "Spec", o.Spec)
	if status := map[string]json.RawMessage{}; len(o.Status) > 0 && json.Unmarshal(o.Status, &status) == nil {
		for _, shown := range []string{"state", "stateSince", "observedGeneration", "conditions", "waits", "action", "lastAction", "signals"} {
			delete(status, shown)
		}
		if rest, err := json.Marshal(status); err == nil && len(status) > 0 {
			a.body(p, "Status", rest)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Other)) {
		a.body(p, strings.ToUpper(name[:1])+name[1:], o.Other[name])
	}
}

func (a *app) body(p *page, title string, body json.RawMessage) {
	if len(body) == 0 || string(body) == "{}" || p.err != nil {
		return
	}
	text, err := toYAML(body)
	if err != nil {
		p.err = err
		return
	}
	p.line("%s:", title)
	for line := range strings.Lines(string(text)) {
		p.line("  %s", strings.TrimSuffix(line, "\n"))
	}
}

// kin is one object of a family.
type kin struct {
	kind   client.Kind
	object *client.Object
}

// kinship lists objects by the UID of their owners.
type kinship map[resource.UID][]kin

// family reads all objects that may belong to one: those of its namespace, or, when it has none, of all.
func (a *app) family(ctx context.Context, o *client.Object) (kinship, error) {
	kinds, err := a.client.Kinds(ctx)
	if err != nil {
		return nil, err
	}
	family := kinship{}
	for _, k := range kinds {
		if !k.Can("list") || k.Kind == "Event" || !k.Namespaced && o.Metadata.Namespace != "" {
			continue
		}
		for child, err := range a.client.All(ctx, k, client.ListOptions{Namespace: o.Metadata.Namespace}) {
			if errors.Is(err, client.ErrForbidden) || errors.Is(err, client.ErrNotFound) {
				break // not ours to see, or a kind that was taken away meanwhile
			}
			if err != nil {
				return nil, err
			}
			for _, owner := range child.Metadata.Owners {
				family[owner.UID] = append(family[owner.UID], kin{k, child})
			}
		}
	}
	return family, nil
}

// maxDepth bounds a family tree, should owners own one another.
const maxDepth = 16

// tree lists the descendants of an object, indented.
func (f kinship) tree(uid resource.UID, depth int) (lines [][]string) {
	if depth == maxDepth {
		return nil
	}
	for _, k := range f[uid] {
		s, err := k.object.Engine()
		if err != nil {
			s = client.EngineStatus{State: "?"}
		}
		ready, ok := s.Condition(resource.Ready)
		words := "-"
		if ok {
			words = readiness(ready.Status == resource.True)
		}
		reason := ready.Message
		if ready.Status == resource.True {
			reason = ""
		}
		name := strings.Repeat("  ", depth) + objectName(k.kind, k.object.Metadata.Name)
		lines = append(lines, []string{name, legible.Dash(string(s.State)), words, reason})
		lines = append(lines, f.tree(k.object.Metadata.UID, depth+1)...)
	}
	return lines
}
