package api

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"

	"github.com/setpointhq/setpoint/resource"
)

// The version of Kubernetes whose dialect this is. Clients compare it with their own.
const dialectMajor, dialectMinor = "1", "32"

func (c *call) version() error {
	c.send(http.StatusOK, encode(version.Info{
		Major: dialectMajor, Minor: dialectMinor,
		GitVersion: "v" + dialectMajor + "." + dialectMinor + ".0+setpoint." + c.h.Version,
		GoVersion:  runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}))
	return nil
}

// paths answers the root with what there is.
func (c *call) paths() error {
	paths := []string{"/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"}
	if c.h.Metrics != nil {
		paths = append(paths, "/metrics")
	}
	for _, g := range c.served() {
		if g.name == "" {
			continue
		}
		paths = append(paths, "/apis/"+g.name)
		for _, v := range g.versions {
			paths = append(paths, "/apis/"+g.name+"/"+v.name)
		}
	}
	slices.Sort(paths)
	c.send(http.StatusOK, encode(map[string]any{"paths": paths}))
	return nil
}

// servedGroup is an API group with its kinds.
type servedGroup struct {
	name     string
	versions []servedVersion
}

type servedVersion struct {
	name  string
	kinds []*resource.Definition
}

// served sorts the registered kinds by group and version. The core group is always there, and first.
func (c *call) served() []servedGroup {
	groups := []servedGroup{{versions: []servedVersion{{name: "v1"}}}}
	for _, d := range c.h.Plane.Registry().List() { // by group and kind
		if groups[len(groups)-1].name != d.Group {
			groups = append(groups, servedGroup{name: d.Group})
		}
		g := &groups[len(groups)-1]
		at := slices.IndexFunc(g.versions, func(v servedVersion) bool { return v.name == d.Version })
		if at < 0 {
			g.versions = append(g.versions, servedVersion{name: d.Version})
			at = len(g.versions) - 1
		}
		g.versions[at].kinds = append(g.versions[at].kinds, d)
	}
	return groups
}

func (c *call) coreVersions() error {
	if media := discoveryMedia(c.r); media != "" {
		return c.aggregated(media, c.served()[:1])
	}
	c.send(http.StatusOK, encode(metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}}))
	return nil
}

func (c *call) groups() error {
	served := c.served()[1:]
	if media := discoveryMedia(c.r); media != "" {
		return c.aggregated(media, served)
	}
	list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: []metav1.APIGroup{}}
	for _, g := range served {
		list.Groups = append(list.Groups, apiGroup(g))
	}
	c.send(http.StatusOK, encode(list))
	return nil
}

func (c *call) oneGroup(name string) error {
	for _, g := range c.served()[1:] {
		if g.name == name {
			group := apiGroup(g)
			group.TypeMeta = metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}
			c.send(http.StatusOK, encode(group))
			return nil
		}
	}
	return errNoPath()
}

func apiGroup(g servedGroup) metav1.APIGroup {
	group := metav1.APIGroup{Name: g.name}
	for _, v := range g.versions {
		group.Versions = append(group.Versions, metav1.GroupVersionForDiscovery{GroupVersion: g.name + "/" + v.name, Version: v.name})
	}
	group.PreferredVersion = group.Versions[0]
	return group
}

// resources answers with the kinds of one version of a group.
func (c *call) resources(group, version string) error {
	for _, g := range c.served() {
		for _, v := range g.versions {
			if g.name != group || v.name != version {
				continue
			}
			list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
				GroupVersion: strings.TrimPrefix(group+"/"+version, "/"), APIResources: []metav1.APIResource{}}
			for _, d := range c.advertised(g.name, v) {
				list.APIResources = append(list.APIResources, d.plain()...)
			}
			c.send(http.StatusOK, encode(list))
			return nil
		}
	}
	return errNoPath()
}

// advert is a kind as discovery shows it.
type advert struct {
	kind, plural, singular string
	namespaced             bool
	short, categories      []string
	verbs                  []string
	// bare kinds have no subresources.
	bare bool
}

// subresources are those of every kind, with what they answer and to what.
var subresources = []struct {
	name, kind string
	own        bool // the kind is one of Setpoint's
	verbs      []string
}{
	{"actions", "ActionReport", true, []string{"get"}},
	{"availability", "AvailabilityReport", true, []string{"get"}},
	{"history", "HistoryList", true, []string{"get"}},
	{"signal", "Signal", true, []string{"create", "get"}},
	{"signals", "SignalList", true, []string{"get"}},
	{"status", "", false, []string{"get", "patch", "update"}},
	{"why", "Explanation", true, []string{"get"}},
}

// advertised lists the kinds of a version, namespaces among those of the core.
func (c *call) advertised(group string, v servedVersion) (list []advert) {
	for _, d := range v.kinds {
		list = append(list, advert{
			kind: d.Kind, plural: d.Plural, singular: d.Singular, namespaced: d.Namespaced(), short: d.ShortNames, categories: d.Categories,
			verbs: []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"},
		})
	}
	if group == "" && v.name == "v1" {
		list = append(list, advert{kind: "Namespace", plural: "namespaces", singular: "namespace", short: []string{"ns"}, verbs: []string{"get", "list"}, bare: true})
	}
	return list
}

func (a advert) plain() []metav1.APIResource {
	list := []metav1.APIResource{{Name: a.plural, SingularName: a.singular, Namespaced: a.namespaced, Kind: a.kind, Verbs: a.verbs,
		ShortNames: a.short, Categories: a.categories}}
	for _, s := range subresources {
		if a.bare {
			break
		}
		r := metav1.APIResource{Name: a.plural + "/" + s.name, Namespaced: a.namespaced, Kind: a.kind, Verbs: s.verbs}
		if s.own {
			r.Kind, r.Group, r.Version = s.kind, resource.Group, "v1"
		}
		list = append(list, r)
	}
	return list
}

// discoveryMedia is the first form of aggregated discovery that is asked for before the plain one, "" for the plain one.
func discoveryMedia(r *http.Request) string {
	for _, a := range accepts(r) {
		if a.as == "APIGroupDiscoveryList" && a.group == "apidiscovery.k8s.io" && (a.version == "v2" || a.version == "v2beta1") {
			return a.version
		}
		if a.as == "" && anyJSON(a.media) {
			return ""
		}
	}
	return ""
}

// aggregated answers with all groups at once, or with 304 when the client has that already.
func (c *call) aggregated(version string, groups []servedGroup) error {
	items := []any{}
	for _, g := range groups {
		items = append(items, c.discoverGroup(g))
	}
	body := encode(map[string]any{"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/" + version, "metadata": struct{}{}, "items": items})
	sum := sha256.Sum256(body)
	tag := `"` + strings.ToUpper(hex.EncodeToString(sum[:])) + `"`
	header := c.w.Header()
	header.Set("ETag", tag)
	header.Set("Vary", "Accept")
	header.Set("Cache-Control", "public")
	if c.r.Header.Get("If-None-Match") == tag {
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	header.Set("Content-Type", fmt.Sprintf("application/json;g=apidiscovery.k8s.io;v=%s;as=APIGroupDiscoveryList", version))
	c.write(body)
	return nil
}

func (c *call) discoverGroup(g servedGroup) any {
	versions := []any{}
	for _, v := range g.versions {
		resources := []any{}
		for _, a := range c.advertised(g.name, v) {
			resources = append(resources, a.discover(g.name, v.name))
		}
		versions = append(versions, map[string]any{"version": v.name, "freshness": "Current", "resources": resources})
	}
	meta := map[string]any{"creationTimestamp": nil}
	if g.name != "" {
		meta["name"] = g.name
	}
	return map[string]any{"metadata": meta, "versions": versions}
}

func (a advert) discover(group, version string) any {
	type gvk struct {
		Group   string `json:"group"`
		Version string `json:"version"`
		Kind    string `json:"kind"`
	}
	scope := "Cluster"
	if a.namespaced {
		scope = "Namespaced"
	}
	subs := []any{}
	for _, s := range subresources {
		if a.bare {
			break
		}
		kind := gvk{group, version, a.kind}
		if s.own {
			kind = gvk{resource.Group, "v1", s.kind}
		}
		subs = append(subs, map[string]any{"subresource": s.name, "responseKind": kind, "verbs": s.verbs})
	}
	r := map[string]any{"resource": a.plural, "responseKind": gvk{group, version, a.kind}, "scope": scope, "singularResource": a.singular, "verbs": a.verbs}
	if len(a.short) > 0 {
		r["shortNames"] = a.short
	}
	if len(a.categories) > 0 {
		r["categories"] = a.categories
	}
	if len(subs) > 0 {
		r["subresources"] = subs
	}
	return r
}
