package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/internal/legible"
	"github.com/setpointhq/setpoint/resource"
)

func (a *app) actions() *cobra.Command {
	return a.aboutOne(&cobra.Command{
		Use:   "actions KIND NAME | KIND/NAME",
		Short: "Show the action under way on an object, and how the last one ended",
		Long: `Show the action under way on an object: which step it is at, since when, and why it does not go on when it does not; and how the action before it ended. Actions are
started by the kind's decision table alone: raise a signal (setpoint signal).`,
		Example: "  setpoint actions database/orders",
	}, a.showActions)
}

func (a *app) showActions(ctx context.Context, t target, form format) error {
	x, err := a.client.Actions(ctx, t.Kind, t.Ref)
	if err != nil {
		return err
	}
	switch {
	case form.name == "name" && x.Action != nil:
		return a.out("%s", printable(x.Action.Name, false))
	case form.name == "name":
		return nil
	case !form.table():
		return a.value(form, x)
	}
	p := &page{w: a.Stdout}
	if x.Action == nil {
		p.line("No action is under way.")
	}
	a.actionOf(p, x.Action, x.Last)
	return p.err
}

// actionOf lays out the action under way and the last one, those that there are.
func (a *app) actionOf(p *page, x *resource.Action, last *resource.ActionEnd) {
	if x != nil {
		p.line("Action: %s, %s", x.Name, a.progress(x))
		if x.Message != "" {
			p.line("  %s", x.Message)
		}
		p.section("Steps", a.stepLines(x.Steps))
	}
	if last != nil {
		text := fmt.Sprintf("Last action: %s %s %s ago", last.Name, last.Outcome, a.since(last.At))
		if last.Message != "" {
			text += ": " + last.Message
		}
		p.line("%s", text)
	}
}

// progress is "Running at the step promote, begun 2m ago from Available, given up in 7m".
func (a *app) progress(x *resource.Action) string {
	text := string(x.Phase)
	if n := len(x.Steps); n > 0 {
		text += " at the step " + currentStep(x).Name
	}
	if x.Halt != "" {
		text += ", but " + string(x.Halt)
	}
	text += ", begun " + a.since(x.Since) + " ago"
	if x.From != "" {
		text += " from " + string(x.From)
	}
	if !x.Deadline.IsZero() {
		text += ", given up " + a.until(x.Deadline)
	}
	if x.End != "" {
		text += ", will have been " + string(x.End)
	}
	return text
}

// currentStep is the step that is being done or undone; otherwise the one that began last.
func currentStep(x *resource.Action) resource.ActionStep {
	for _, s := range x.Steps {
		if s.Phase == resource.StepRunning || s.Phase == resource.StepUndoing {
			return s
		}
	}
	return x.Steps[len(x.Steps)-1]
}

func (a *app) stepLines(steps []resource.ActionStep) (lines [][]string) {
	for i, s := range steps {
		at := "-"
		if s.Adapter != "" {
			at = s.Adapter + "/" + s.Key
		}
		lines = append(lines, []string{fmt.Sprintf("%d.", i+1), s.Name, string(s.Phase), a.since(s.Since), at})
	}
	return titled(lines, "", "STEP", "PHASE", "FOR", "COMMAND")
}

// signalLines are the signals that stand, as an object shows them.
func (a *app) signalLines(signals []resource.StandingSignal) (lines [][]string) {
	for _, s := range signals {
		lines = append(lines, []string{string(s.Name), legible.Dash(s.By), a.since(s.At), legible.Dash(s.Why), s.Note})
	}
	return titled(lines, "SIGNAL", "BY", "FOR", "WHY", "WHAT BECOMES OF IT")
}
