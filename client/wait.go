package client

import (
	"context"
	"fmt"
)

// Wait follows one object until a condition holds, and returns the object as it was then: nil when it did not exist. The condition is asked with the
// object as it is at first and after every change, with nil while it does not exist; its error ends the wait. When ctx ends first, the error wraps
// that of ctx, and the object as it was last is returned too.
func (c *Client) Wait(ctx context.Context, k Kind, ref Ref, holds func(*Object) (bool, error)) (*Object, error) {
	o := WatchOptions{ListOptions: ListOptions{Namespace: ref.Namespace, Fields: "metadata.name=" + string(ref.Name)}}
	var now *Object
	synced := false
	for e, err := range c.Follow(ctx, k, o) {
		if err != nil {
			return now, fmt.Errorf("wait for %s %s: %w", k.noun(), ref, err)
		}
		switch e.Type {
		case Added, Modified:
			now = e.Object
		case Deleted:
			if now != nil && now.Metadata.UID == e.Object.Metadata.UID {
				now = nil
			}
		case Synced:
			synced = true
		}
		if !synced {
			continue
		}
		if ok, err := holds(now); ok || err != nil {
			return now, err
		}
	}
	return now, fmt.Errorf("wait for %s %s: %w", k.noun(), ref, context.Cause(ctx))
}
