package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
)

// Applied says what [Client.Apply] did.
type Applied string

// The three results of an apply.
const (
	Created    Applied = "created"
	Configured Applied = "configured"
	Unchanged  Applied = "unchanged"
)

// applyAttempts bounds how often an apply starts over because others write at the same time.
const applyAttempts = 8

// Apply makes an object what a manifest says: it creates it, or else replaces its spec (and further top-level fields) by the manifest's
// and merges labels and annotations into those it has. Owners, finalizers, status and all else that the server wrote stay. Each attempt is one
// write, so nothing is half done; when others write at the same time it starts over, a bounded number of times.
//
// A manifest with a resourceVersion is meant for exactly that version: when the object has moved on, [ErrConflict]. An object
// that is being deleted is not touched: [ErrDeleting].
func (c *Client) Apply(ctx context.Context, k Kind, manifest *Object, w WriteOptions) (*Object, Applied, error) {
	var last error
	for attempt := 1; attempt <= applyAttempts; attempt++ {
		if attempt > 1 {
			if err := c.config.Pause(ctx, c.backoff(attempt)); err != nil {
				return nil, "", errors.Join(last, err)
			}
		}
		stored, did, err := c.applyOnce(ctx, k, manifest, w)
		if err == nil || ctx.Err() != nil || !startOver(err, manifest) {
			return stored, did, err
		}
		last = err
	}
	return nil, "", fmt.Errorf("given up after %d attempts, others write it all the time: %w", applyAttempts, last)
}

// startOver reports whether reading the object again may help.
func startOver(err error, manifest *Object) bool {
	switch {
	case errors.Is(err, ErrUnknown):
		return true
	case errors.Is(err, ErrConflict):
		return manifest.Metadata.ResourceVersion == ""
	}
	return errors.Is(err, errGone)
}

// errGone: the object existed when it was created, and did not when it was read.
var errGone = errors.New("it came and went")

func (c *Client) applyOnce(ctx context.Context, k Kind, manifest *Object, w WriteOptions) (*Object, Applied, error) {
	if manifest.Metadata.ResourceVersion == "" {
		fresh := *manifest
		fresh.Metadata.UID, fresh.Status = "", nil
		stored, err := c.Create(ctx, k, &fresh, w)
		if !errors.Is(err, ErrExists) {
			return stored, Created, err
		}
	}
	live, err := c.Get(ctx, k, manifest.Ref())
	switch {
	case errors.Is(err, ErrNotFound) && manifest.Metadata.ResourceVersion == "":
		return nil, "", fmt.Errorf("%w: %w", errGone, err)
	case err != nil:
		return nil, "", err
	}
	if err := replaceable(k, manifest, live); err != nil {
		return nil, "", err
	}
	before := live.Metadata.ResourceVersion
	stored, err := c.Update(ctx, k, overlay(live, manifest), w)
	switch {
	case errors.Is(err, ErrNotFound) && manifest.Metadata.ResourceVersion == "":
		return nil, "", fmt.Errorf("%w: %w", errGone, err)
	case err != nil:
		return nil, "", err
	case w.DryRun && bytes.Equal(stored.Raw, live.Raw), !w.DryRun && stored.Metadata.ResourceVersion == before:
		return stored, Unchanged, nil
	}
	return stored, Configured, nil
}

func replaceable(k Kind, manifest, live *Object) error {
	ref, m := live.Ref(), manifest.Metadata
	switch {
	case live.Deleting():
		return fmt.Errorf("apply %s %s: %w: wait until it is gone (setpoint wait %s/%s --for=delete) and apply again",
			k.noun(), ref, ErrDeleting, k.noun(), ref.Name)
	case m.UID != "" && m.UID != live.Metadata.UID:
		return fmt.Errorf("apply %s %s: %w: the manifest is about the object with the uid %s, this one is another, with %s; remove the uid to mean any",
			k.noun(), ref, ErrConflict, m.UID, live.Metadata.UID)
	case m.ResourceVersion != "" && m.ResourceVersion != live.Metadata.ResourceVersion:
		return fmt.Errorf("apply %s %s: %w: the manifest is about version %s, the object is at %s by now; get it again, or remove the resourceVersion to mean any",
			k.noun(), ref, ErrConflict, m.ResourceVersion, live.Metadata.ResourceVersion)
	}
	return nil
}

// overlay is live with what a manifest determines.
func overlay(live, manifest *Object) *Object {
	next := *live
	next.Spec, next.Other = manifest.Spec, manifest.Other
	next.Metadata.Labels = merged(live.Metadata.Labels, manifest.Metadata.Labels)
	next.Metadata.Annotations = merged(live.Metadata.Annotations, manifest.Metadata.Annotations)
	if manifest.Metadata.Owners != nil {
		next.Metadata.Owners = manifest.Metadata.Owners
	}
	if manifest.Metadata.Finalizers != nil {
		next.Metadata.Finalizers = manifest.Metadata.Finalizers
	}
	return &next
}

func merged(live, wanted map[string]string) map[string]string {
	if len(live) == 0 {
		return wanted
	}
	all := maps.Clone(live)
	maps.Copy(all, wanted)
	return all
}
