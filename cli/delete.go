package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/resource"
)

// deleteFlags are those of delete.
type deleteFlags struct {
	fileFlags
	wait, ignore, dryRun bool
	timeout              time.Duration
	propagation          string
}

func (a *app) delete() *cobra.Command {
	var f deleteFlags
	c := &cobra.Command{
		Use:   "delete KIND NAME… | KIND/NAME… | -f FILE",
		Short: "Ask for the deletion of objects",
		Long: `Ask for the deletion of objects. An object is gone when everything that was made for it has been taken down; until then it says
what it waits for (setpoint why). With --wait the command returns when it is gone.`,
		Example: `  setpoint delete gateway shop --wait --timeout 2m
  setpoint delete -f shop.yaml`,
		ValidArgsFunction: a.completeObjects,
		Args: func(_ *cobra.Command, args []string) error {
			if (len(args) == 0) == (len(f.files) == 0) {
				return usage("want KIND NAME…, KIND/NAME… or -f FILE")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.runDelete(c, args, f) },
	}
	f.flags(c)
	c.Flags().BoolVar(&f.wait, "wait", false, "return when the objects are gone")
	c.Flags().DurationVar(&f.timeout, "timeout", 0, "how long to wait in all, with --wait; 0 for ever")
	c.Flags().BoolVar(&f.ignore, "ignore-not-found", false, "objects that do not exist are no error")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "have the server judge, and delete nothing")
	c.Flags().StringVar(&f.propagation, "cascade", "", "what becomes of owned objects: background, foreground or orphan; the server's choice when not said")
	completeWords(c, "cascade", "background", "foreground", "orphan")
	return c
}

// propagations are the words of --cascade.
var propagations = map[string]string{"": "", "background": "Background", "foreground": "Foreground", "orphan": "Orphan"}

func (a *app) runDelete(c *cobra.Command, args []string, f deleteFlags) error {
	if _, ok := propagations[f.propagation]; !ok {
		return usage("--cascade %q: want background, foreground or orphan", f.propagation)
	}
	targets, err := a.doomed(c, args, f)
	if err != nil {
		return err
	}
	ctx, cancel := limited(c.Context(), f.timeout)
	defer cancel()
	var problems []error
	left := map[int]resource.UID{}
	for i, t := range targets {
		o, err := a.deleteOne(c.Context(), t, f)
		if err != nil {
			problems = append(problems, err)
		}
		if o != nil {
			left[i] = o.Metadata.UID
		}
	}
	for i, t := range targets {
		if uid, ok := left[i]; ok && f.wait && !f.dryRun {
			if err := a.untilGone(ctx, t, uid); err != nil {
				problems = append(problems, err)
			}
		}
	}
	return failed(problems)
}

// doomed lists what is to be deleted; of manifests the last first.
func (a *app) doomed(c *cobra.Command, args []string, f deleteFlags) (targets []target, err error) {
	if len(args) > 0 {
		targets, err = a.targets(c.Context(), args)
		if err == nil && targets[0].Ref.Name == "" {
			err = usage("want names after %q; all objects of a kind are never deleted at once", args[0])
		}
		return targets, err
	}
	manifests, err := a.manifests(f.fileFlags)
	if err != nil {
		return nil, err
	}
	if _, err := a.connect(); err != nil {
		return nil, err
	}
	for _, m := range slices.Backward(manifests) {
		if m.object.Metadata.Name == "" {
			return nil, usage("%s: metadata.name is missing", m.from)
		}
		k, err := a.place(c, m)
		if err != nil {
			return nil, err
		}
		targets = append(targets, target{k, m.object.Ref()})
	}
	return targets, nil
}

// deleteOne asks for one deletion, and returns what is left of the object.
func (a *app) deleteOne(ctx context.Context, t target, f deleteFlags) (*client.Object, error) {
	left, err := a.client.Delete(ctx, t.Kind, t.Ref, client.DeleteOptions{Propagation: propagations[f.propagation], DryRun: f.dryRun})
	switch {
	case f.ignore && errors.Is(err, client.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case f.dryRun:
		return nil, a.out("%s deleted (dry run)", t)
	case left != nil:
		return left, a.out("%s deleting", t)
	}
	return nil, a.out("%s deleted", t)
}

func (a *app) untilGone(ctx context.Context, t target, uid resource.UID) error {
	seen := false
	last, err := a.client.Wait(ctx, t.Kind, t.Ref, func(o *client.Object) (bool, error) {
		seen = true
		return o == nil || o.Metadata.UID != uid, nil
	})
	if err != nil {
		return waitError(ctx, seen, fmt.Errorf("%s is not gone: %s; see: setpoint why %s %s", t, waiting(last), t.Singular, t.Ref.Name), err)
	}
	return a.out("%s deleted", t)
}

// limited bounds a wait; 0 does not.
func limited(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, d, errTimeout)
}

// waitError says how things stood when time was up, if that was seen, and else what went wrong.
func waitError(ctx context.Context, seen bool, state, err error) error {
	switch {
	case !errors.Is(context.Cause(ctx), errTimeout):
		return err
	case !seen:
		return fmt.Errorf("%w: %w", errTimeout, err)
	}
	return fmt.Errorf("%w: %w", errTimeout, state)
}
