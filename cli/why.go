package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/legible"
	"github.com/setpointhq/setpoint/resource"
)

func (a *app) why() *cobra.Command {
	return a.aboutOne(&cobra.Command{
		Use:   "why KIND NAME | KIND/NAME",
		Short: "Explain why an object is where it is",
		Long: `Explain why an object is where it is: its state and for how long, what its controllers wait for and until when, the commands under way
to subsystems, the chain of waits down to the root cause, and the command that acts on it.`,
		Example: "  setpoint why gateway shop",
	}, func(ctx context.Context, t target, form format) error {
		x, err := a.client.Why(ctx, t.Kind, t.Ref)
		if err != nil {
			return err
		}
		if !form.table() {
			return a.value(form, x)
		}
		return a.explain(x)
	})
}

// page is text in sections, being laid out. The first error stays.
type page struct {
	w   io.Writer
	err error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, printable(fmt.Sprintf(format, args...), true)+"\n")
	}
}

// section is a heading and indented lines in columns; nothing when there are none.
func (p *page) section(title string, lines [][]string) {
	if len(lines) == 0 {
		return
	}
	p.line("%s:", title)
	for _, line := range lines {
		for i := range line {
			line[i] = printable(line[i], false)
		}
		if n := len(line); line[n-1] == "" {
			line[n-1] = "-"
		}
	}
	if p.err == nil {
		p.err = (&grid{indent: "  "}).write(p.w, lines)
	}
}

// explain lays an explanation out, with what the object says about its action and signals.
func (a *app) explain(x *client.Explanation) error {
	p := &page{w: a.Stdout}
	p.line("%s %s", x.Object, a.position(x))
	if !x.Deleting.IsZero() {
		p.line("Deletion was asked for %s ago; held by: %s", a.since(x.Deleting), legible.Dash(joined(x.Finalizers)))
	}
	if x.Node != "" {
		p.line("Node %s works on it.", x.Node)
	}
	if x.ObservedGeneration < x.Generation {
		p.line("Its controller has seen generation %d; the present one is %d.", x.ObservedGeneration, x.Generation)
	}
	p.section("Conditions", a.conditionLines(x.Conditions))
	p.section("Waits", a.waitLines(x.Waits))
	a.actionOf(p, x.Action, x.LastAction)
	p.section("Signals", a.signalLines(x.Signals))
	p.section("Commands", a.commandLines(x.Commands))
	p.section("Queue", a.queueLines(x.Queue))
	p.section("Children", childLines(x.Children))
	p.section("Because", chainLines(x.Chain))
	if x.Hint != "" {
		p.line("Next: %s", x.Hint)
	}
	return p.err
}

// position is "is Provisioning for 2m (budget 10m): not ready".
func (a *app) position(x *client.Explanation) string {
	ready := "is not ready"
	if x.Ready {
		ready = "is at its setpoint"
	}
	if x.State == "" {
		return ready
	}
	text := fmt.Sprintf("is %s for %s", x.State, a.since(x.StateSince))
	if d, err := time.ParseDuration(x.Budget); err == nil {
		text += " of " + age(d)
	}
	if x.Late {
		text += ", LATE"
	}
	return text + ", and " + ready
}

func joined(names []resource.Finalizer) string {
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = string(n)
	}
	return strings.Join(words, ", ")
}

func (a *app) conditionLines(conditions []resource.Condition) (lines [][]string) {
	for _, c := range conditions {
		lines = append(lines, []string{c.Type, string(c.Status), legible.Dash(c.Reason), a.since(c.Since), c.Message})
	}
	return titled(lines, "TYPE", "STATUS", "REASON", "FOR", "MESSAGE")
}

func (a *app) waitLines(waits []resource.Wait) (lines [][]string) {
	for _, w := range waits {
		var on []string
		for _, r := range w.On {
			on = append(on, r.String())
		}
		code := w.Code
		if w.Class != "" {
			code += " (" + w.Class + ")"
		}
		lines = append(lines, []string{w.Controller, code, legible.Dash(strings.Join(on, ", ")), a.since(w.Since), a.until(w.Until), w.Message})
	}
	return titled(lines, "CONTROLLER", "WAITS FOR", "ON", "FOR", "LOOKS AGAIN", "MESSAGE")
}

func (a *app) commandLines(commands []client.ExplainedCommand) (lines [][]string) {
	for _, c := range commands {
		what := string(c.Phase)
		if !c.Wanted {
			what += " (removal)"
		}
		if c.Unknown {
			what += " (an outcome is unknown)"
		}
		if c.Losses > 0 {
			what += fmt.Sprintf(" (undone %d times)", c.Losses)
		}
		message := c.Message
		if c.Class != "" {
			message = c.Class + ": " + message
		}
		at := c.Adapter + "/" + c.Key
		if c.Destination != "" {
			at += " at " + c.Destination
		}
		lines = append(lines, []string{at, what, fmt.Sprint(c.Attempt), a.until(c.NotBefore), message})
	}
	return titled(lines, "COMMAND", "PHASE", "ATTEMPTS", "NEXT", "LAST ANSWER")
}

func (a *app) queueLines(queue []client.ExplainedQueue) (lines [][]string) {
	for _, q := range queue {
		what := "queued"
		switch {
		case q.InProgress:
			what = "at work"
		case q.Held:
			what = "in backoff"
		}
		lines = append(lines, []string{q.Controller, what, fmt.Sprint(q.Attempts), a.until(q.Due)})
	}
	return titled(lines, "CONTROLLER", "TURN", "FAILURES", "DUE")
}

func childLines(children []client.ExplainedChild) (lines [][]string) {
	for _, c := range children {
		lines = append(lines, []string{c.Object, legible.Dash(string(c.State)), readiness(c.Ready)})
	}
	return lines
}

func chainLines(chain []client.ExplainedLink) (lines [][]string) {
	for i, l := range chain {
		at := l.Object
		if l.Command != "" {
			at = "command " + l.Command
		}
		lines = append(lines, []string{fmt.Sprintf("%d.", i+1), at, l.Code, l.Message})
	}
	return lines
}

func readiness(ready bool) string {
	if ready {
		return "ready"
	}
	return "not ready"
}

// until says how far off a moment is.
func (a *app) until(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	if ahead := t.Sub(a.Now()); ahead > 0 {
		return "in " + age(ahead)
	}
	return "now"
}

// titled puts a heading above lines, when there are any.
func titled(lines [][]string, heads ...string) [][]string {
	if len(lines) == 0 {
		return nil
	}
	return append([][]string{heads}, lines...)
}
