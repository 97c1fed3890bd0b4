package main

import (
	"context"
	"errors"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/resource"
)

// ask is the customer: it creates the page, changes it, or deletes it.
func ask(ctx context.Context, plane *setpoint.Plane, title string, remove bool) error {
	select {
	case <-plane.Loaded(): // what exists is known
	case <-ctx.Done():
		return nil
	}
	spec := PageSpec{Title: title, Text: "Kept by Setpoint."}
	page, err := Pages.New("default", "home", spec, resource.Birth{Now: time.Now()})
	if err != nil {
		return err
	}
	if remove {
		_, _, err = plane.Delete(ctx, "api:me", page.Key, setpoint.Preconditions{}, false)
		return err
	}
	_, err = plane.Create(ctx, "api:me", page, false)
	if errors.Is(err, setpoint.ErrExists) {
		_, err = plane.Update(ctx, "api:me", page.Key, func(old *setpoint.Object) (*setpoint.Object, error) {
			next := old.Clone()
			next.Spec = page.Spec
			return next, nil
		}, false)
	}
	return err
}
