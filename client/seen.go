package client

import (
	"context"
	"errors"
	"maps"
	"net/url"

	"github.com/setpointhq/setpoint/resource"
)

// Several nodes serve one database, each from a view of its own, which follows within milliseconds. A client whose requests go to one node and then to another must not be shown a world in which what it has just
// written is not there yet: so it asks for answers that are no older than the newest thing it was shown.

// tooLarge is the cause that a server names when it has not come to a revision in time.
const tooLarge = "ResourceVersionTooLarge"

// saw notes what a reply shows.
func (c *Client) saw(into any) {
	var shown Version
	switch v := into.(type) {
	case *Object:
		shown = v.Metadata.ResourceVersion
	case *wireList:
		shown = v.Metadata.ResourceVersion
	case *wireTable:
		shown = v.Metadata.ResourceVersion
	}
	at, err := resource.ParseRevision(string(shown))
	if err != nil {
		return // nothing is said of a revision
	}
	for was := c.seen.Load(); uint64(at) > was; was = c.seen.Load() {
		if c.seen.CompareAndSwap(was, uint64(at)) {
			return
		}
	}
}

// read is call for what the view of a server answers, no older than what this client was shown. A server that does not come to that is asked for what it has: the database may have been restored to a time before, or be
// away from it.
func (c *Client) read(ctx context.Context, r request, into any) error {
	at := c.seen.Load()
	if at == 0 || r.query.Has("continue") {
		return c.call(ctx, r, into)
	}
	fresh := r
	fresh.query = maps.Clone(r.query)
	if fresh.query == nil {
		fresh.query = url.Values{}
	}
	fresh.query.Set("resourceVersion", resource.Revision(at).String())
	if r.list {
		fresh.query.Set("resourceVersionMatch", "NotOlderThan")
	}
	err := c.call(ctx, fresh, into)
	if !behind(err) {
		return err
	}
	c.seen.CompareAndSwap(at, 0)
	return c.call(ctx, r, into)
}

// behind reports whether a server has said that it has not come to the revision that was asked for.
func behind(err error) bool {
	var status *StatusError
	if !errors.As(err, &status) {
		return false
	}
	for _, cause := range status.Causes {
		if cause.Reason == tooLarge {
			return true
		}
	}
	return false
}
