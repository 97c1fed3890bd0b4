package cli

import (
	"encoding/json"

	"github.com/spf13/cobra"
)

func (a *app) signal() *cobra.Command {
	var payload string
	c := &cobra.Command{
		Use:   "signal KIND NAME SIGNAL | KIND/NAME SIGNAL",
		Short: "Raise a signal on an object",
		Long: `Raise a signal: a durable request to the object's driver, which acts on it when it can. Which signals there are is the kind's affair; "retry"
takes up again what was given up.`,
		Example: `  setpoint signal gateway shop retry
  setpoint signal database/orders promote --payload '{"to": "replica-2"}'`,
		Args:              between(2, 3, "KIND NAME SIGNAL, or KIND/NAME SIGNAL"),
		ValidArgsFunction: a.completeObjects,
		RunE: func(c *cobra.Command, args []string) error {
			if payload != "" && !json.Valid([]byte(payload)) {
				return usage("--payload is not JSON: %s", payload)
			}
			last := len(args) - 1
			t, err := a.one(c.Context(), args[:last])
			if err != nil {
				return err
			}
			if err := a.client.Signal(c.Context(), t.Kind, t.Ref, args[last], json.RawMessage(payload)); err != nil {
				return err
			}
			return a.out("%s signalled %s", t, args[last])
		},
	}
	c.Flags().StringVar(&payload, "payload", "", "JSON to send along")
	return c
}
