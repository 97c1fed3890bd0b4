package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/setpointhq/setpoint/resource"
)

// Kind says where a kind is served, and what may be done with it.
type Kind struct {
	// Group is empty for the Kubernetes core group, which is served under /api.
	Group, Version string
	// Kind is CamelCase; Plural stands in URLs.
	Kind, Plural, Singular string
	ShortNames, Categories []string
	Namespaced             bool
	// Verbs are "get", "list", "create", …; Subresources "status", "why", ….
	Verbs, Subresources []string
}

// String is "<plural>.<group>", or "<plural>" in the core group.
func (k Kind) String() string { return dotted(k.Plural, k.Group) }

// ID names the kind across versions.
func (k Kind) ID() resource.KindID { return resource.MakeKindID(k.Kind, k.Group) }

// APIVersion is "<group>/<version>", or "<version>" in the core group.
func (k Kind) APIVersion() string {
	if k.Group == "" {
		return k.Version
	}
	return k.Group + "/" + k.Version
}

// Can reports whether the server offers a verb for the kind.
func (k Kind) Can(verb string) bool { return slices.Contains(k.Verbs, verb) }

// Names are all words that [Client.Resolve] takes for the kind, without its group.
func (k Kind) Names() []string {
	names := append([]string{k.Plural, cmp.Or(k.Singular, strings.ToLower(k.Kind)), strings.ToLower(k.Kind)}, k.ShortNames...)
	slices.Sort(names[1:3])
	return append(slices.Compact(names[:3]), names[3:]...)
}

func dotted(word, group string) string {
	if group == "" {
		return word
	}
	return word + "." + group
}

// path of the collection in a namespace, or of all when that is empty, and below it.
func (k Kind) path(ns resource.Namespace, below ...string) string {
	segments := []string{"apis", k.Group, k.Version}
	if k.Group == "" {
		segments = []string{"api", k.Version}
	}
	if ns != "" && k.Namespaced {
		segments = append(segments, "namespaces", string(ns))
	}
	return join(append(append(segments, k.Plural), below...)...)
}

func (k Kind) at(r Ref, below ...string) string {
	return k.path(r.Namespace, append([]string{string(r.Name)}, below...)...)
}

// noun is the kind's word in messages.
func (k Kind) noun() string { return cmp.Or(k.Singular, strings.ToLower(k.Kind)) }

func (k Kind) op(verb string, r Ref) string { return verb + " " + k.noun() + " " + r.String() }

// kindCache remembers what the server serves.
type kindCache struct {
	mu    sync.Mutex
	kinds []Kind
}

// Kinds asks the server which kinds it serves, sorted by group and kind.
func (c *Client) Kinds(ctx context.Context) ([]Kind, error) {
	var kinds []Kind
	for _, root := range []string{"/api", "/apis"} {
		found, err := c.discover(ctx, root)
		if err != nil && (root == "/apis" || !errors.Is(err, ErrNotFound)) {
			return nil, err
		}
		kinds = append(kinds, found...)
	}
	slices.SortFunc(kinds, func(a, b Kind) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Version, b.Version))
	})
	c.kinds.mu.Lock()
	defer c.kinds.mu.Unlock()
	c.kinds.kinds = slices.Clone(kinds)
	return kinds, nil
}

// Resolve finds a kind by what a person typed: its plural, singular, kind or short name in any case, and the first three also followed by
// ".<group>" or ".<version>.<group>". Full names go before short ones. What the server serves is asked for once, and again when a name is not known.
// The errors are [ErrUnknownKind], with the nearest name, and [ErrAmbiguousKind], with the names to choose from.
func (c *Client) Resolve(ctx context.Context, typed string) (Kind, error) {
	return c.find(ctx, func(kinds []Kind) (Kind, error) { return resolve(kinds, typed) })
}

// KindOf finds the kind of a manifest by its apiVersion and kind.
func (c *Client) KindOf(ctx context.Context, apiVersion, kind string) (Kind, error) {
	return c.find(ctx, func(kinds []Kind) (Kind, error) {
		for _, k := range kinds {
			if k.APIVersion() == apiVersion && k.Kind == kind {
				return k, nil
			}
		}
		return Kind{}, fmt.Errorf("%s in %s: %w%s", kind, apiVersion, ErrUnknownKind, served(kinds, kind))
	})
}

// served says under which version a kind is served, when it is not the one that was asked for.
func served(kinds []Kind, kind string) string {
	for _, k := range kinds {
		if strings.EqualFold(k.Kind, kind) {
			return fmt.Sprintf(" (the server has %s in %s)", k.Kind, k.APIVersion())
		}
	}
	return " (see: setpoint kinds)"
}

func (c *Client) find(ctx context.Context, in func([]Kind) (Kind, error)) (Kind, error) {
	c.kinds.mu.Lock()
	kinds := c.kinds.kinds
	c.kinds.mu.Unlock()
	if kinds != nil {
		if k, err := in(kinds); err == nil {
			return k, nil
		}
	}
	kinds, err := c.Kinds(ctx)
	if err != nil {
		return Kind{}, err
	}
	return in(kinds)
}

func resolve(kinds []Kind, typed string) (Kind, error) {
	word := strings.ToLower(typed)
	var full, short []Kind
	for _, k := range kinds {
		names := k.Names()
		long := len(names) - len(k.ShortNames)
		matches := slices.ContainsFunc(names[:long], func(n string) bool {
			return word == n || word == dotted(n, k.Group) || word == dotted(n+"."+k.Version, k.Group)
		})
		if matches {
			full = append(full, k)
		} else if slices.Contains(names[long:], word) {
			short = append(short, k)
		}
	}
	if len(full) == 0 {
		full = short
	}
	switch len(full) {
	case 1:
		return full[0], nil
	case 0:
		return Kind{}, fmt.Errorf("%q: %w%s", typed, ErrUnknownKind, nearest(word, kinds))
	}
	choices := make([]string, len(full))
	for i, k := range full {
		choices[i] = dotted(k.Plural+"."+k.Version, k.Group)
	}
	return Kind{}, fmt.Errorf("%q: %w; say one of %s", typed, ErrAmbiguousKind, strings.Join(choices, ", "))
}

// discoverPlain reads the lists of servers that have no aggregated discovery.
func (c *Client) discoverPlain(ctx context.Context, root string, versions []string) ([]Kind, error) {
	var kinds []Kind
	for _, gv := range versions {
		group, version, found := strings.Cut(gv, "/")
		if !found {
			group, version = "", gv
		}
		var list wireResources
		r := request{op: "ask what " + gv + " has", method: http.MethodGet, path: root + join(strings.Split(gv, "/")...)}
		if err := c.call(ctx, r, &list); err != nil {
			return nil, err
		}
		kinds = append(kinds, list.kinds(group, version)...)
	}
	return kinds, nil
}
