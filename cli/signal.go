package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/internal/legible"
	"github.com/setpointhq/setpoint/lifecycle"
)

func (a *app) signal() *cobra.Command {
	var s client.Signal
	var payload string
	c := &cobra.Command{
		Use:   "signal KIND NAME SIGNAL | KIND/NAME SIGNAL",
		Short: "Raise a signal on an object",
		Long: `Raise a signal: a durable request to the object's driver, which acts on it when it can. Which signals there are is the kind's affair (setpoint signals table
KIND); every kind knows Retry, which takes up again what was given up, and Cancel, Pause, Resume and Abandon for the action under way.`,
		Example: `  setpoint signal gateway shop Retry
  setpoint signal database/orders NeedsPromote --why "host-3 is being replaced" --key INC-417 --for 1h
  setpoint signal database/orders Abandon --why "the host is gone; nothing is left to undo"`,
		Args:              between(2, 3, "KIND NAME SIGNAL, or KIND/NAME SIGNAL"),
		ValidArgsFunction: a.completeSignal,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case payload != "" && !json.Valid([]byte(payload)):
				return usage("--payload is not JSON: %s", payload)
			case s.For < 0:
				return usage("--for %s: want a time that is not below zero", s.For)
			}
			last := len(args) - 1
			t, err := a.one(c.Context(), args[:last])
			if err != nil {
				return err
			}
			s.Name, s.Payload = lifecycle.SignalName(args[last]), json.RawMessage(payload)
			raised, err := a.client.Signal(c.Context(), t.Kind, t.Ref, s)
			if err != nil {
				return err
			}
			if !raised.Fresh {
				return a.out("%s: %s with the key %s stands already", t, s.Name, s.Key)
			}
			return a.out("%s signalled %s", t, s.Name)
		},
	}
	c.Flags().StringVar(&s.Why, "why", "", "reason, for people and for the history; Abandon needs one")
	c.Flags().StringVar(&payload, "payload", "", "JSON to send along")
	c.Flags().StringVar(&s.Key, "key", "", "what the signal is about: while one of its name and key stands, another is not raised")
	c.Flags().DurationVar(&s.For, "for", 0, "how long the signal means something; 0 is for ever")
	return c
}

func (a *app) signals() *cobra.Command {
	c := &cobra.Command{
		Use:   "signals",
		Short: "Show the signals of an object, and what a kind's decision table makes of signals",
		Long: `Show the signals that stand on an object, the decision table of a kind, and what it would do: which row fires in a state with some signals, and which rows it goes
before.`,
		Args: a.noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.listSignals(), a.testSignals(), a.signalTable())
	return c
}

func (a *app) listSignals() *cobra.Command {
	return a.aboutOne(&cobra.Command{
		Use:     "list KIND NAME | KIND/NAME",
		Short:   "List the signals that stand on an object",
		Long:    `List the signals that have been raised on an object and not been served yet, oldest first: by whom and why, and what becomes of them.`,
		Example: "  setpoint signals list database/orders",
	}, func(ctx context.Context, t target, form format) error {
		standing, err := a.client.Signals(ctx, t.Kind, t.Ref)
		if err != nil {
			return err
		}
		return a.showSignals(form, standing)
	})
}

func (a *app) showSignals(form format, standing []client.StandingSignal) error {
	switch {
	case form.name == "name":
		for _, s := range standing {
			if err := a.out("%s", printable(string(s.Name), false)); err != nil {
				return err
			}
		}
		return nil
	case !form.table():
		return a.value(form, struct {
			Items []client.StandingSignal `json:"items"`
		}{append([]client.StandingSignal{}, standing...)})
	case len(standing) == 0:
		return a.say("No signal stands.")
	}
	heads := []string{"SIGNAL", "BY", "FOR", "EXPIRES", "KEY", "WHY", "WHAT BECOMES OF IT"}
	if form.name == "wide" {
		heads = append(heads, "ID", "PAYLOAD")
	}
	lines := [][]string{heads}
	for _, s := range standing {
		line := []string{string(s.Name), legible.Dash(s.By), a.since(s.At), a.until(s.Expires), legible.Dash(s.Key), legible.Dash(s.Why), legible.Dash(s.Note)}
		if form.name == "wide" {
			line = append(line, cell(float64(s.ID)), legible.Dash(string(s.Payload)))
		}
		for i := range line {
			line[i] = printable(line[i], false)
		}
		lines = append(lines, line)
	}
	return (&grid{}).write(a.Stdout, lines)
}

func (a *app) signalTable() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:               "table KIND",
		Short:             "Print the decision table of a kind",
		Long:              `Print the decision table of a kind: what each signal asks for, which action follows which signals in which state, and through which states each action goes.`,
		Example:           "  setpoint signals table database\n  setpoint signals table database -o markdown > decisions.md",
		Args:              between(1, 1, "one KIND"),
		ValidArgsFunction: a.completeKind,
		RunE: func(c *cobra.Command, args []string) error {
			draw := map[string]func(decide.Table) string{"": decide.Text, "text": decide.Text, "markdown": decide.Markdown, "html": decide.HTML}[output]
			var form format
			if draw == nil {
				if form.name = output; output != "json" && output != "yaml" {
					return usage("output %q: want text, markdown, html, json or yaml", output)
				}
			}
			_, table, _, err := a.tables(c.Context(), args[0])
			if err != nil {
				return err
			}
			if draw == nil {
				return a.value(form, table)
			}
			text := draw(table)
			if output == "" || output == "text" {
				text = printable(text, true) + "\n" + aboutSignals(table)
			}
			return a.print(a.Stdout, text)
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "text", "output: text, markdown, html, json or yaml")
	completeWords(c, "output", "text", "markdown", "html", "json", "yaml")
	return c
}

// aboutSignals says what each signal asks for.
func aboutSignals(t decide.Table) string {
	lines := [][]string{{"SIGNAL", "ASKS FOR"}}
	for _, s := range t.Signals {
		lines = append(lines, []string{printable(string(s.Name), false), legible.Dash(printable(s.About, false))})
	}
	var b strings.Builder
	if err := (&grid{}).write(&b, lines); err != nil {
		panic(err) // a strings.Builder takes everything
	}
	return b.String()
}

// tables asks for the tables of a kind that has a decision table.
func (a *app) tables(ctx context.Context, word string) (lifecycle.Table, decide.Table, client.Kind, error) {
	server, err := a.connect()
	if err != nil {
		return nil, decide.Table{}, client.Kind{}, err
	}
	k, err := server.Resolve(ctx, word)
	if err != nil {
		return nil, decide.Table{}, k, err
	}
	d, err := server.Describe(ctx, k)
	if err != nil {
		return nil, decide.Table{}, k, err
	}
	life, table, err := d.Tables()
	if err == nil && d.Decisions == nil {
		err = usage("%s has no decision table: its driver's code reads its signals", k.Kind)
	}
	return life, table, k, err
}

// completeSignal completes an object, and then the signals that its kind knows.
func (a *app) completeSignal(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 || len(args) == 1 && !strings.Contains(args[0], "/") {
		return a.completeObjects(c, args, begun)
	}
	ctx, cancel := context.WithTimeout(c.Context(), completionTime)
	defer cancel()
	word, _, _ := strings.Cut(args[0], "/")
	_, table, _, err := a.tables(ctx, word)
	if _, none := errors.AsType[*usageError](err); err != nil && !none { // a kind without a table has the general signals
		cobra.CompErrorln(err.Error())
	}
	return signalWords(table, begun), cobra.ShellCompDirectiveNoFileComp
}

// signalWords are the names of signals that begin in some way, with what they ask for.
func signalWords(t decide.Table, begun string) (words []string) {
	for _, s := range t.Signals {
		if strings.HasPrefix(string(s.Name), begun) {
			words = append(words, string(s.Name)+"\t"+cmp.Or(s.About, "a signal of the kind"))
		}
	}
	for _, s := range decide.General() {
		if strings.HasPrefix(string(s), begun) && s != "Answer" { // the engine alone raises that one
			words = append(words, string(s))
		}
	}
	return words
}
