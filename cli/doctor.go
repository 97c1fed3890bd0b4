package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
)

// doctorTime is how long the doctor is waited for, when nothing else is said.
const doctorTime = 20 * time.Second

func (a *app) doctor() *cobra.Command {
	var output string
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find what is wrong with the servers and their database, and say what to do",
		Long: `Ask a server what somebody should look at, worst first: what is so, why it matters, what to do. It changes nothing. It looks at

  - the database: does it answer, which session blocks commits, does its schema fit the program
  - the nodes: clocks, versions, those in trouble, silent, restarting again and again; shards that nobody has; cordons that nobody needs
  - the answering node: is its view current, do commits succeed, how late are its queues, does anything hang
  - the objects: given up, late, halted in an action; counted by reason

While the database is away the server answers from memory, and says which questions had no answer. Exit code 0 says that nothing needs anybody (what is worth knowing all the same is listed as info), 1 that something
does, 6 that no server answered.`,
		Example:           "  setpoint doctor\n  setpoint doctor -o jsonpath='{.findings[*].code}'",
		Args:              between(0, 0, "no arguments"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			form, err := parseFormat(output)
			if err != nil {
				return err
			}
			if timeout <= 0 {
				return usage("--timeout %s: want more than 0s", timeout)
			}
			server, err := a.connect()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			d, err := server.Doctor(ctx)
			if err != nil {
				if ctx.Err() != nil && c.Context().Err() == nil {
					err = &Failure{Code: ExitUnavailable, Err: fmt.Errorf("no answer within %s: %w", timeout, err)}
				}
				return err
			}
			if err := a.showDiagnosis(form, d); err != nil {
				return err
			}
			return sick(d)
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "output: table, json, yaml or jsonpath=…")
	completeWords(c, "output", "table", "json", "yaml", "jsonpath=")
	c.Flags().DurationVar(&timeout, "timeout", doctorTime, "how long to wait for an answer")
	return c
}

// sick is the failure that findings are which need somebody.
func sick(d client.Diagnosis) error {
	n := 0
	for _, f := range d.Findings {
		if f.Severity != "info" {
			n++
		}
	}
	switch {
	case d.Well:
		return nil
	case n == 1:
		return &Failure{Code: ExitError, Err: errors.New("1 finding needs somebody")}
	}
	return &Failure{Code: ExitError, Err: fmt.Errorf("%d findings need somebody", n)}
}

func (a *app) showDiagnosis(form format, d client.Diagnosis) error {
	switch {
	case form.name == "name" || form.name == "wide":
		return usage("-o %s: want table, json, yaml or jsonpath=…", form.name)
	case !form.table():
		return a.value(form, d)
	}
	var b strings.Builder
	for i, f := range d.Findings {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s  %s: %s\n", strings.ToUpper(printable(f.Severity, false)), printable(f.Object, false), printable(f.What, false))
		if !f.Since.IsZero() {
			fmt.Fprintf(&b, "  since  %s\n", a.moment(f.Since))
		}
		fmt.Fprintf(&b, "  why    %s\n  do     %s\n", printable(f.Why, false), printable(f.Remedy, false))
	}
	if len(d.Findings) == 0 {
		fmt.Fprintf(&b, "well: node %s has found nothing\n", printable(d.Answered, false))
	}
	if err := a.print(a.Stdout, b.String()); err != nil {
		return err
	}
	for _, question := range d.Unasked {
		if err := a.say("Not known: %s", printable(question, false)); err != nil {
			return err
		}
	}
	return nil
}
