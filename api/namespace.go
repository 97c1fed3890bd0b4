package api

import (
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/setpointhq/setpoint/resource"
)

// namespaceKind describes namespaces to the parts of this package that serve objects. There are no such objects in the store: a
// namespace exists because something is in it, and "default" always does.
var namespaceKind = &resource.Definition{
	Version: "v1", Kind: "Namespace", Plural: "namespaces", Singular: "namespace", ShortNames: []string{"ns"}, Scope: resource.Cluster,
	Columns: []resource.Column{{Name: "Status", Type: "string", Description: "The status of the namespace",
		Value: func(*resource.Object) any { return "Active" }}},
}

// namespaces answers what is asked of namespaces: reading them is all there is to do, since they need not be created.
func (c *call) namespaces(rest []string) error {
	c.target.def = namespaceKind
	if len(rest) == 1 {
		c.target.name = resource.Name(rest[0])
	}
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead || c.isWatch() {
		c.w.Header().Set("Allow", "GET, HEAD")
		e := apierrors.NewMethodNotSupported(schema.GroupResource{Resource: "namespaces"}, strings.ToLower(c.r.Method))
		e.ErrStatus.Message += ": a namespace exists as soon as an object is created in it"
		return e
	}
	a := Access{User: c.user, Verb: "list", Kind: namespaceKind.ID(), Name: c.target.name}
	if a.Name != "" {
		a.Verb = "get"
	}
	if err := c.h.Authorize(c.r, a); err != nil {
		return apierrors.NewForbidden(c.target.resource(), string(a.Name), err)
	}
	if a.Name != "" {
		return c.oneNamespace()
	}
	s, err := c.selector()
	if err != nil {
		return err
	}
	var found []*resource.Object
	all, at := c.namespacesInUse()
	for _, o := range all {
		if s.matches(o) {
			found = append(found, o)
		}
	}
	return c.answerList(found, listMeta{at: at})
}

func (c *call) oneNamespace() error {
	all, _ := c.namespacesInUse()
	for _, o := range all {
		if o.Name == c.target.name {
			return c.sendObject(http.StatusOK, o)
		}
	}
	return apierrors.NewNotFound(c.target.resource(), string(c.target.name))
}

// namespacesInUse makes the namespaces up from the objects that are in them. They are as old as the oldest of these.
func (c *call) namespacesInUse() (list []*resource.Object, at resource.Revision) {
	oldest := map[resource.Namespace]time.Time{metav1.NamespaceDefault: {}}
	for _, d := range c.h.Plane.Registry().List() {
		objects, now := c.h.Plane.List(d.ID(), "")
		at = max(at, now)
		for _, o := range objects {
			if o.Namespace == "" {
				continue
			}
			if t, ok := oldest[o.Namespace]; !ok || t.IsZero() || o.Created.Before(t) {
				oldest[o.Namespace] = o.Created
			}
		}
	}
	for ns, created := range oldest {
		name := resource.Name(ns)
		o := &resource.Object{Meta: resource.Meta{Key: namespaceKind.Key("", name), UID: resource.UID("namespace-" + name), Created: created}}
		o.Labels = map[string]string{"kubernetes.io/metadata.name": string(ns)}
		o.Spec, o.Status = []byte(`{}`), []byte(`{"phase":"Active"}`)
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b *resource.Object) int { return a.Compare(b.Key) })
	return list, at
}
