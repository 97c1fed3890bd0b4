package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/legible"
	"github.com/setpointhq/setpoint/resource"
)

// aim is what a wait is for.
type aim struct {
	text string
	// holds judges an object, nil when there is none.
	holds func(*client.Object) (bool, error)
	// now says how far an object is from it.
	now func(*client.Object) string
	// absent: an object that does not exist is waited for, or is the aim itself.
	absent bool
}

func (a *app) wait() *cobra.Command {
	var goal string
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "wait KIND NAME… | KIND/NAME… --for=CONDITION",
		Short: "Wait until something is true of objects",
		Long: `Wait until something is true of all the objects named. CONDITION is one of

  condition=TYPE[=STATUS]   a condition has a status (True when none is said) for the configuration the object has now
  state=STATE               the object is in a state of its lifecycle
  jsonpath={PATH}[=VALUE]   there is a value at a path, or this one
  create                    the object exists
  delete                    the object does not exist

When the time is up the exit code is 5, and the error says how things stand.`,
		Example: `  setpoint wait gateway/shop --for=condition=Ready --timeout=2m
  setpoint wait gateway shop --for=state=Active
  setpoint wait gateway/shop --for=jsonpath='{.status.address}'`,
		Args:              atLeast(1, "KIND NAME…, or KIND/NAME…"),
		ValidArgsFunction: a.completeObjects,
		RunE: func(c *cobra.Command, args []string) error {
			return a.runWait(c, args, goal, timeout)
		},
	}
	c.Flags().StringVar(&goal, "for", "condition=Ready", "what to wait for")
	c.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "how long to wait in all; 0 for ever")
	completeWords(c, "for", "condition=Ready", "condition=", "state=", "jsonpath=", "create", "delete")
	return c
}

func (a *app) runWait(c *cobra.Command, args []string, goal string, timeout time.Duration) error {
	aim, err := parseAim(goal)
	if err != nil {
		return err
	}
	targets, err := a.targets(c.Context(), args)
	if err != nil {
		return err
	}
	if targets[0].Ref.Name == "" {
		return usage("want names: KIND NAME…, or KIND/NAME…")
	}
	ctx, cancel := limited(c.Context(), timeout)
	defer cancel()
	for _, t := range targets {
		seen := false
		last, err := a.client.Wait(ctx, t.Kind, t.Ref, func(o *client.Object) (bool, error) {
			seen = true
			if o == nil && !aim.absent {
				return false, fmt.Errorf("wait for %s %s: %w; to wait for it to be created: --for=create", t.Singular, t.Ref, client.ErrNotFound)
			}
			return aim.holds(o)
		})
		if err != nil {
			return waitError(ctx, seen, fmt.Errorf("%s is not at %s: %s; see: setpoint why %s %s", t, goal, aim.now(last), t.Singular, t.Ref.Name), err)
		}
		if err := a.out("%s %s", t, aim.text); err != nil {
			return err
		}
	}
	return nil
}

func parseAim(goal string) (aim, error) {
	kind, rest, _ := strings.Cut(goal, "=")
	switch {
	case goal == "delete":
		return aim{text: "is gone", absent: true, now: waiting, holds: func(o *client.Object) (bool, error) { return o == nil, nil }}, nil
	case goal == "create":
		return aim{text: "exists", absent: true, now: waiting, holds: func(o *client.Object) (bool, error) { return o != nil, nil }}, nil
	case kind == "condition" && rest != "":
		return conditionAim(rest), nil
	case kind == "state" && rest != "":
		return stateAim(rest), nil
	case kind == "jsonpath" && rest != "":
		return pathAim(rest)
	}
	return aim{}, usage("--for=%s: want condition=TYPE[=STATUS], state=STATE, jsonpath={PATH}[=VALUE], create or delete", goal)
}

func conditionAim(rest string) aim {
	kind, status, found := strings.Cut(rest, "=")
	if !found {
		status = string(resource.True)
	}
	return aim{
		text: fmt.Sprintf("has %s=%s", kind, status),
		holds: func(o *client.Object) (bool, error) {
			s, err := o.Engine()
			c, ok := s.Condition(kind)
			stale := c.Observed != 0 && c.Observed < o.Metadata.Generation
			return ok && !stale && strings.EqualFold(string(c.Status), status), err
		},
		now: func(o *client.Object) string { return conditionNow(o, kind) },
	}
}

func conditionNow(o *client.Object, kind string) string {
	if o == nil {
		return "it does not exist"
	}
	s, err := o.Engine()
	if err != nil {
		return err.Error()
	}
	c, ok := s.Condition(kind)
	if !ok {
		return "it has no condition " + kind
	}
	text := fmt.Sprintf("%s is %s", kind, c.Status)
	if c.Reason != "" {
		text += " (" + c.Reason + ")"
	}
	if c.Message != "" {
		text += ": " + c.Message
	}
	if c.Observed != 0 && c.Observed < o.Metadata.Generation {
		text += fmt.Sprintf(", for generation %d, and there is %d now", c.Observed, o.Metadata.Generation)
	}
	return text
}

func stateAim(state string) aim {
	return aim{
		text: "is " + state,
		holds: func(o *client.Object) (bool, error) {
			s, err := o.Engine()
			return string(s.State) == state, err
		},
		now: func(o *client.Object) string {
			if o == nil {
				return "it does not exist"
			}
			s, err := o.Engine()
			if err != nil {
				return err.Error()
			}
			return "it is " + legible.Dash(string(s.State)) + "; " + conditionNow(o, resource.Ready)
		},
	}
}

func pathAim(rest string) (aim, error) {
	path, value, valued := rest, "", false
	if end := strings.LastIndex(rest, "}"); strings.HasPrefix(rest, "{") && end > 0 {
		path, value, valued = rest[:end+1], strings.TrimPrefix(rest[end+1:], "="), end+1 < len(rest)
	} else if !strings.HasPrefix(rest, "{") {
		path, value, valued = strings.Cut(rest, "=")
	}
	t, err := parseTemplate(path)
	if err != nil {
		return aim{}, &usageError{err}
	}
	read := func(o *client.Object) (string, error) {
		v, err := decodeAny(o.Raw)
		return t.render(v), err
	}
	return aim{
		text: "has " + rest,
		holds: func(o *client.Object) (bool, error) {
			have, err := read(o)
			return valued && have == value || !valued && have != "", err
		},
		now: func(o *client.Object) string {
			if o == nil {
				return "it does not exist"
			}
			have, err := read(o)
			if err != nil {
				return err.Error()
			}
			return fmt.Sprintf("%s is %q", path, have)
		},
	}, nil
}

// waiting says in a few words where an object is and what it waits for.
func waiting(o *client.Object) string {
	if o == nil {
		return "it does not exist"
	}
	s, err := o.Engine()
	if err != nil {
		return err.Error()
	}
	text := "it exists"
	if s.State != "" {
		text = "it is " + string(s.State)
	}
	for _, w := range s.Waits {
		text += fmt.Sprintf("; %s waits: %s", w.Controller, w.Code)
		if w.Message != "" {
			text += " (" + w.Message + ")"
		}
	}
	if o.Deleting() && len(o.Metadata.Finalizers) > 0 {
		text += fmt.Sprintf("; held by %v", o.Metadata.Finalizers)
	}
	return text
}
