package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"github.com/setpointhq/setpoint/resource"
)

// PageSize is how many objects [Client.All] asks for at once.
const PageSize = 500

// ListOptions select objects.
type ListOptions struct {
	// Namespace is empty for all namespaces.
	Namespace resource.Namespace
	// Labels is a label selector: "app=shop,tier in (web, api)".
	Labels string
	// Fields is a field selector: "metadata.name=shop".
	Fields string
	// Limit bounds a page; 0 leaves it to the server.
	Limit uint64
	// Continue is [List.Continue] of the page before.
	Continue string
}

func (o ListOptions) query() url.Values {
	q := url.Values{}
	setText(q, "labelSelector", o.Labels)
	setText(q, "fieldSelector", o.Fields)
	setText(q, "continue", o.Continue)
	setUint(q, "limit", o.Limit)
	return q
}

// Get reads one object. It fails with [ErrNotFound].
func (c *Client) Get(ctx context.Context, k Kind, r Ref) (*Object, error) {
	o := &Object{}
	if err := c.read(ctx, request{op: k.op("get", r), method: http.MethodGet, path: k.at(r)}, o); err != nil {
		return nil, err
	}
	return o, nil
}

// List reads one page of a list. [ErrExpired] says that Continue came too late: begin again.
func (c *Client) List(ctx context.Context, k Kind, o ListOptions) (*List, error) {
	var wire wireList
	r := request{op: "list " + k.String(), method: http.MethodGet, path: k.path(o.Namespace), query: o.query(), list: true}
	if err := c.read(ctx, r, &wire); err != nil {
		return nil, err
	}
	for _, item := range wire.Items {
		if item.Kind == "" {
			item.APIVersion, item.Kind = k.APIVersion(), k.Kind
		}
	}
	return &List{Version: wire.Metadata.ResourceVersion, Continue: wire.Metadata.Continue, Items: wire.Items}, nil
}

// All reads a whole list, page by page. The loop ends after the first error.
func (c *Client) All(ctx context.Context, k Kind, o ListOptions) iter.Seq2[*Object, error] {
	return func(yield func(*Object, error) bool) {
		if o.Limit == 0 {
			o.Limit = PageSize
		}
		for {
			page, err := c.List(ctx, k, o)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.Continue == "" {
				return
			}
			o.Continue = page.Continue
		}
	}
}

// whole reads all pages. Its position is that of the first, so that what changes while the others are read is watched again, not missed.
func (c *Client) whole(ctx context.Context, k Kind, o ListOptions) (*List, error) {
	o.Limit = PageSize
	all, err := c.List(ctx, k, o)
	if err != nil {
		return nil, err
	}
	for all.Continue != "" {
		o.Continue = all.Continue
		page, err := c.List(ctx, k, o)
		if err != nil {
			return nil, err
		}
		all.Items = append(all.Items, page.Items...)
		all.Continue = page.Continue
	}
	return all, nil
}
