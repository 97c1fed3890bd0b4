package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/setpointhq/setpoint/resource"
)

// WriteOptions modify a write. The zero value is a plain one.
type WriteOptions struct {
	// DryRun asks the server to judge and answer without writing.
	DryRun bool
	// Strict asks the server to refuse fields that it does not know.
	Strict bool
}

func (o WriteOptions) query() url.Values {
	q := url.Values{}
	if o.DryRun {
		q.Set("dryRun", "All")
	}
	if o.Strict {
		q.Set("fieldValidation", "Strict")
	}
	return q
}

// Create makes an object, in the namespace of its metadata, and returns it as stored. It fails with [ErrExists].
func (c *Client) Create(ctx context.Context, k Kind, o *Object, w WriteOptions) (*Object, error) {
	return c.write(ctx, k, o, w, request{op: k.op("create", o.Ref()), method: http.MethodPost, path: k.path(o.Metadata.Namespace)})
}

// Update replaces an object, and returns it as stored. With a ResourceVersion it fails with [ErrConflict] when the object is at another.
func (c *Client) Update(ctx context.Context, k Kind, o *Object, w WriteOptions) (*Object, error) {
	return c.write(ctx, k, o, w, request{op: k.op("update", o.Ref()), method: http.MethodPut, path: k.at(o.Ref())})
}

// UpdateStatus replaces the status of an object, and nothing else.
func (c *Client) UpdateStatus(ctx context.Context, k Kind, o *Object, w WriteOptions) (*Object, error) {
	return c.write(ctx, k, o, w, request{op: k.op("update the status of", o.Ref()), method: http.MethodPut, path: k.at(o.Ref(), "status")})
}

func (c *Client) write(ctx context.Context, k Kind, o *Object, w WriteOptions, r request) (*Object, error) {
	sent := *o
	sent.APIVersion, sent.Kind = k.APIVersion(), k.Kind
	body, err := json.Marshal(&sent)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.op, err)
	}
	r.body, r.content, r.query = body, mediaJSON, w.query()
	stored := &Object{}
	if err := c.call(ctx, r, stored); err != nil {
		return nil, err
	}
	return stored, nil
}

// Patch merges a JSON document into an object (RFC 7396: null removes a field, lists are replaced), and returns it as stored.
func (c *Client) Patch(ctx context.Context, k Kind, ref Ref, merge any, w WriteOptions) (*Object, error) {
	r := request{op: k.op("patch", ref), method: http.MethodPatch, path: k.at(ref), content: mediaMergePatch, query: w.query()}
	body, err := json.Marshal(merge)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.op, err)
	}
	r.body = body
	stored := &Object{}
	if err := c.call(ctx, r, stored); err != nil {
		return nil, err
	}
	return stored, nil
}

// DeleteOptions modify a deletion. The zero value asks for one of whatever has the name.
type DeleteOptions struct {
	// UID and Version, when set, must be those of the object.
	UID     resource.UID
	Version Version
	// Propagation is "Background", "Foreground" or "Orphan"; "" leaves it to the server.
	Propagation string
	DryRun      bool
}

// Delete asks for the deletion of an object. It returns nil when the object is gone, and the object as it is while something still holds it; see
// [Client.Wait]. It fails with [ErrNotFound].
func (c *Client) Delete(ctx context.Context, k Kind, ref Ref, o DeleteOptions) (*Object, error) {
	body, err := json.Marshal(o.wire())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.op("delete", ref), err)
	}
	left := &Object{}
	r := request{op: k.op("delete", ref), method: http.MethodDelete, path: k.at(ref), body: body, content: mediaJSON}
	if err := c.call(ctx, r, left); err != nil || !left.Deleting() {
		return nil, err
	}
	return left, nil
}

func (o DeleteOptions) wire() map[string]any {
	wire := map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "DeleteOptions"}
	if o.UID != "" || o.Version != "" {
		preconditions := map[string]string{}
		if o.UID != "" {
			preconditions["uid"] = string(o.UID)
		}
		if o.Version != "" {
			preconditions["resourceVersion"] = string(o.Version)
		}
		wire["preconditions"] = preconditions
	}
	if o.Propagation != "" {
		wire["propagationPolicy"] = o.Propagation
	}
	if o.DryRun {
		wire["dryRun"] = []string{"All"}
	}
	return wire
}
