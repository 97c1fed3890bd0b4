package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/legible"
	"github.com/setpointhq/setpoint/resource"
)

func (a *app) watch() *cobra.Command {
	var s selection
	var output string
	c := &cobra.Command{
		Use:   "watch KIND [NAME] | KIND/NAME",
		Short: "Follow changes, a line each",
		Long: `List what there is and follow every change, a line each: when, what, and what is different. It goes on through lost connections and restarts
of the server, and ends with Ctrl-C. With -o json each line is {"type", "object"}.`,
		Example: `  setpoint watch gateways
  setpoint watch gateway/shop -o json`,
		Args:              between(1, 2, "KIND [NAME], or KIND/NAME"),
		ValidArgsFunction: a.completeObjects,
		RunE: func(c *cobra.Command, args []string) error {
			return a.runWatch(c, args, s, output)
		},
	}
	s.flags(c)
	c.Flags().StringVarP(&output, "output", "o", "table", "output: table (lines for people), json, yaml, name or jsonpath=…")
	completeWords(c, "output", "table", "json", "yaml", "name", "jsonpath=")
	return c
}

func (a *app) runWatch(c *cobra.Command, args []string, s selection, output string) error {
	form, err := parseFormat(output)
	if err != nil {
		return err
	}
	targets, err := a.targets(c.Context(), args)
	if err != nil {
		return err
	}
	if len(targets) > 1 {
		return usage("want one kind or one object")
	}
	o, err := s.options(targets[0])
	if err != nil {
		return err
	}
	before := map[resource.UID]*client.Object{}
	for e, err := range a.client.Follow(c.Context(), targets[0].Kind, client.WatchOptions{ListOptions: o, Lost: a.lost}) {
		if err != nil {
			return err
		}
		if e.Object == nil {
			continue
		}
		if err := a.change(form, targets[0].Kind, e, before[e.Object.Metadata.UID]); err != nil {
			return err
		}
		if before[e.Object.Metadata.UID] = e.Object; e.Type == client.Deleted {
			delete(before, e.Object.Metadata.UID)
		}
	}
	return nil
}

// change prints one event.
func (a *app) change(form format, k client.Kind, e client.Event, before *client.Object) error {
	switch form.name {
	case "table", "wide":
		return a.changeLine(e, before)
	case "name":
		return a.object(form, k, e.Object)
	}
	body, err := json.Marshal(struct {
		Type   client.EventType `json:"type"`
		Object json.RawMessage  `json:"object"`
	}{e.Type, e.Object.Raw})
	if err != nil {
		return err
	}
	return a.line(form, body)
}

// changeLine is "15:04:05 MODIFIED default/shop @12 state Provisioning→Active; Ready False→True".
func (a *app) changeLine(e client.Event, before *client.Object) error {
	news, err := differences(before, e.Object)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s  %-8s  %s  @%s  %s", a.Now().Format("15:04:05"), e.Type, e.Object.Ref(), e.Object.Metadata.ResourceVersion, news)
	return a.out("%s", strings.TrimRight(printable(text, false), " "))
}

// differences says what is new about an object, in words.
func differences(before, now *client.Object) (string, error) {
	is, err := now.Engine()
	if err != nil {
		return "", err
	}
	var was client.EngineStatus
	var news []string
	generation := resource.Generation(0)
	if before != nil {
		if was, err = before.Engine(); err != nil {
			return "", err
		}
		generation = before.Metadata.Generation
	}
	if before != nil && generation != now.Metadata.Generation {
		news = append(news, fmt.Sprintf("generation %d→%d", generation, now.Metadata.Generation))
	}
	if now.Deleting() && (before == nil || !before.Deleting()) {
		news = append(news, "deletion asked for")
	}
	if was.State != is.State {
		news = append(news, "state "+arrow(string(was.State), string(is.State)))
	}
	for _, c := range is.Conditions {
		old, _ := was.Condition(c.Type)
		if old.Status != c.Status || old.Reason != c.Reason {
			news = append(news, fmt.Sprintf("%s %s (%s)", c.Type, arrow(string(old.Status), string(c.Status)), c.Reason))
		}
	}
	for _, w := range is.Waits {
		if !waited(was.Waits, w) {
			news = append(news, fmt.Sprintf("%s waits: %s %s", w.Controller, w.Code, w.Message))
		}
	}
	return strings.Join(news, "; "), nil
}

func arrow(from, to string) string {
	if from == "" || from == to {
		return legible.Dash(to)
	}
	return from + "→" + legible.Dash(to)
}

func waited(waits []resource.Wait, w resource.Wait) bool {
	for _, old := range waits {
		if old.Controller == w.Controller && old.Code == w.Code && old.Message == w.Message {
			return true
		}
	}
	return false
}
