package client

import (
	"context"
	"net/http"
	"strings"
)

// wireDiscovery is the answer to /api and /apis in its three forms: aggregated (items), groups, and versions.
type wireDiscovery struct {
	Items []struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
		Versions []struct {
			Version   string         `json:"version"`
			Resources []wireResource `json:"resources"`
		} `json:"versions"`
	} `json:"items"`
	Groups []struct {
		Versions []struct {
			GroupVersion string `json:"groupVersion"`
		} `json:"versions"`
	} `json:"groups"`
	Versions []string `json:"versions"`
	Kind     string   `json:"kind"`
}

// wireResource is a resource of the aggregated form.
type wireResource struct {
	Resource     string `json:"resource"`
	ResponseKind struct {
		Kind string `json:"kind"`
	} `json:"responseKind"`
	Scope            string   `json:"scope"`
	SingularResource string   `json:"singularResource"`
	Verbs            []string `json:"verbs"`
	ShortNames       []string `json:"shortNames"`
	Categories       []string `json:"categories"`
	Subresources     []struct {
		Subresource string `json:"subresource"`
	} `json:"subresources"`
}

func (r wireResource) kind(group, version string) Kind {
	k := Kind{
		Group: group, Version: version, Kind: r.ResponseKind.Kind, Plural: r.Resource, Singular: r.SingularResource,
		ShortNames: r.ShortNames, Categories: r.Categories, Namespaced: r.Scope == "Namespaced", Verbs: r.Verbs,
	}
	for _, s := range r.Subresources {
		k.Subresources = append(k.Subresources, s.Subresource)
	}
	return k
}

// wireResources is the list of one group's version.
type wireResources struct {
	Resources []struct {
		Name         string   `json:"name"`
		SingularName string   `json:"singularName"`
		Namespaced   bool     `json:"namespaced"`
		Kind         string   `json:"kind"`
		Verbs        []string `json:"verbs"`
		ShortNames   []string `json:"shortNames"`
		Categories   []string `json:"categories"`
	} `json:"resources"`
}

func (l wireResources) kinds(group, version string) []Kind {
	var kinds []Kind
	subresources := map[string][]string{}
	for _, r := range l.Resources {
		if plural, sub, found := strings.Cut(r.Name, "/"); found {
			subresources[plural] = append(subresources[plural], sub)
			continue
		}
		kinds = append(kinds, Kind{
			Group: group, Version: version, Kind: r.Kind, Plural: r.Name, Singular: r.SingularName, ShortNames: r.ShortNames,
			Categories: r.Categories, Namespaced: r.Namespaced, Verbs: r.Verbs,
		})
	}
	for i := range kinds {
		kinds[i].Subresources = subresources[kinds[i].Plural]
	}
	return kinds
}

func (c *Client) discover(ctx context.Context, root string) ([]Kind, error) {
	var d wireDiscovery
	if err := c.call(ctx, request{op: "ask which kinds there are", method: http.MethodGet, path: root, accept: mediaDiscovery}, &d); err != nil {
		return nil, err
	}
	var kinds []Kind
	for _, g := range d.Items {
		for _, v := range g.Versions {
			for _, r := range v.Resources {
				if r.ResponseKind.Kind != "" {
					kinds = append(kinds, r.kind(g.Metadata.Name, v.Version))
				}
			}
		}
	}
	if d.Kind == "APIGroupDiscoveryList" {
		return kinds, nil
	}
	versions := d.Versions
	for _, g := range d.Groups {
		for _, v := range g.Versions {
			versions = append(versions, v.GroupVersion)
		}
	}
	return c.discoverPlain(ctx, root, versions)
}
