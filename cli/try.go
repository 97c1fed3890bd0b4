package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/internal/legible"
	"github.com/setpointhq/setpoint/lifecycle"
)

// trial is a question to a decision table.
type trial struct {
	object  string
	guards  []string
	life    lifecycle.Table
	table   decide.Table
	state   lifecycle.State
	signals []decide.SignalName
}

func (a *app) testSignals() *cobra.Command {
	var t trial
	c := &cobra.Command{
		Use:   "test KIND STATE [SIGNAL…] | --object KIND/NAME [SIGNAL…]",
		Short: "Say which row of a decision table fires, and why",
		Long: `Say which row of a kind's decision table fires in a state while signals stand, what becomes of the signals, and why each other row that matches does not fire. With
--object, state and signals are those of an object, and the signals named here are imagined beside them. A guard holds when it is named by --guard: guards are questions about an
object that only its driver can answer. For a kind without states, leave STATE out. Nothing is written.`,
		Example: `  setpoint signals test database Unavailable NeedsPromote NeedsRestart --guard isReplica
  setpoint signals test --object database/orders NeedsRestore`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.completeTrial,
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.ask(c.Context(), &t, args); err != nil {
				return err
			}
			return a.try(&t)
		},
	}
	c.Flags().StringVar(&t.object, "object", "", "take state and signals of this object, KIND/NAME")
	c.Flags().StringArrayVar(&t.guards, "guard", nil, "a guard that holds; may be repeated")
	return c
}

// ask makes the question of what was typed, and of the object when there is one.
func (a *app) ask(ctx context.Context, t *trial, args []string) (err error) {
	if t.object == "" {
		if len(args) == 0 {
			return usage("want KIND STATE [SIGNAL…], or --object KIND/NAME [SIGNAL…]")
		}
		if t.life, t.table, _, err = a.tables(ctx, args[0]); err != nil {
			return err
		}
		args = args[1:]
		if len(t.life) > 0 {
			if len(args) == 0 {
				return usage("want a state: %s", t.states())
			}
			t.state, args = lifecycle.State(args[0]), args[1:]
		}
	} else if err := a.standsOn(ctx, t); err != nil {
		return err
	}
	for _, s := range args {
		if _, known := t.table.Signal(decide.SignalName(s)); !known {
			return usage("%q is no signal of this table: want %s", s, t.names())
		}
		if !slices.Contains(t.signals, decide.SignalName(s)) {
			t.signals = append(t.signals, decide.SignalName(s))
		}
	}
	if _, known := t.life.Rule(t.state); !known && len(t.life) > 0 {
		return usage("%q is no state of this kind: want %s", t.state, t.states())
	}
	for _, g := range t.guards {
		if !slices.Contains(t.table.Guards(), decide.GuardName(g)) {
			return usage("--guard %s: no row has that guard; there are %s", g, words(t.table.Guards()))
		}
	}
	return nil
}

// standsOn takes state and signals of an object.
func (a *app) standsOn(ctx context.Context, t *trial) error {
	if _, err := a.connect(); err != nil {
		return err
	}
	at, err := a.one(ctx, []string{t.object})
	if err != nil {
		return err
	}
	if t.life, t.table, _, err = a.tables(ctx, at.Kind.String()); err != nil {
		return err
	}
	o, err := a.client.Get(ctx, at.Kind, at.Ref)
	if err != nil {
		return err
	}
	status, err := o.Engine()
	if err != nil {
		return err
	}
	standing, err := a.client.Signals(ctx, at.Kind, at.Ref)
	if err != nil {
		return err
	}
	t.state = status.State
	for _, s := range standing {
		if !slices.Contains(t.signals, s.Name) {
			t.signals = append(t.signals, s.Name)
		}
	}
	if status.Action != nil {
		return a.say("The action %s is under way: the table is asked when it has ended.", printable(status.Action.Name, false))
	}
	return nil
}

// try answers it.
func (a *app) try(t *trial) error {
	guard := func(g decide.GuardName) bool { return slices.Contains(t.guards, string(g)) }
	d := decide.Fire(t.life, t.table, t.state, t.signals, guard)
	text := decide.Explain(t.life, t.table, t.state, t.signals, d)
	if reason, refused := decide.Forbidden(t.life, t.table, t.state, t.signals); refused {
		text += fmt.Sprintf("the signal that would complete this is refused when it is raised here: %s\n", reason)
	}
	return a.print(a.Stdout, printable(text, true))
}

func (t *trial) states() string {
	var names []lifecycle.State
	for _, r := range t.life {
		names = append(names, r.State)
	}
	return words(names)
}

func (t *trial) names() string {
	var names []decide.SignalName
	for _, s := range t.table.Signals {
		names = append(names, s.Name)
	}
	return words(names)
}

// words lists names for a message.
func words[S ~string](names []S) string {
	texts := make([]string, len(names))
	for i, n := range names {
		texts[i] = string(n)
	}
	return legible.Dash(strings.Join(texts, ", "))
}

// completeTrial completes a kind, a state and signals.
func (a *app) completeTrial(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.completeKind(c, args, begun)
	}
	ctx, cancel := context.WithTimeout(c.Context(), completionTime)
	defer cancel()
	life, table, _, err := a.tables(ctx, args[0])
	if err != nil {
		cobra.CompErrorln(err.Error())
	}
	var found []string
	if len(args) == 1 && len(life) > 0 {
		for _, r := range life {
			found = append(found, string(r.State))
		}
	} else {
		for _, s := range table.Signals {
			found = append(found, string(s.Name))
		}
	}
	return slices.DeleteFunc(found, func(w string) bool { return !strings.HasPrefix(w, begun) }), cobra.ShellCompDirectiveNoFileComp
}
