package api

import (
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/setpointhq/setpoint/resource"
)

// target is what a URL addresses.
type target struct {
	def         *resource.Definition
	namespace   resource.Namespace
	name        resource.Name
	subresource string
}

func (t target) key() resource.Key { return t.def.Key(t.namespace, t.name) }

// resource names the kind as Status errors do: by its plural.
func (t target) resource() schema.GroupResource {
	if t.def == nil {
		return schema.GroupResource{}
	}
	return schema.GroupResource{Group: t.def.Group, Resource: t.def.Plural}
}

func (t target) groupKind() schema.GroupKind {
	if t.def == nil {
		return schema.GroupKind{}
	}
	return schema.GroupKind{Group: t.def.Group, Kind: t.def.Kind}
}

// errNoPath is the answer to a path that leads nowhere.
func errNoPath() error {
	e := apierrors.NewGenericServerResponse(http.StatusNotFound, "", schema.GroupResource{}, "", "", 0, false)
	return e
}

func (c *call) route() error {
	path := strings.Trim(c.r.URL.Path, "/")
	parts := strings.Split(path, "/")
	switch parts[0] {
	case "":
		return c.get(c.paths)
	case "version":
		if len(parts) == 1 {
			return c.get(c.version)
		}
	case "metrics":
		if len(parts) == 1 && c.h.Metrics != nil {
			c.h.Metrics.ServeHTTP(c.w, c.r)
			return nil
		}
	case "openapi":
		return c.get(func() error { return c.openapi(parts[1:]) })
	case "api":
		if len(parts) == 1 {
			return c.get(c.coreVersions)
		}
		return c.group("", parts[1:])
	case "apis":
		switch len(parts) {
		case 1:
			return c.get(c.groups)
		case 2:
			return c.get(func() error { return c.oneGroup(parts[1]) })
		}
		return c.group(parts[1], parts[2:])
	}
	return errNoPath()
}

// get answers what can only be read.
func (c *call) get(answer func() error) error {
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		return c.refuseMethod("GET, HEAD")
	}
	return answer()
}

// group routes what stands behind /apis/<group>: a version, and then a list of resources, or resources.
func (c *call) group(group string, parts []string) error {
	version, rest := parts[0], parts[1:]
	if len(rest) == 0 {
		return c.get(func() error { return c.resources(group, version) })
	}
	if group == "" && version == "v1" && rest[0] == "namespaces" && len(rest) < 3 {
		return c.namespaces(rest[1:])
	}
	t := target{}
	if rest[0] == "namespaces" && len(rest) >= 3 {
		t.namespace, rest = resource.Namespace(rest[1]), rest[2:]
		if t.namespace == "" {
			return errNoPath()
		}
	}
	def, ok := c.h.Plane.Registry().Resource(group, version, rest[0])
	if !ok || len(rest) > 3 {
		return errNoPath()
	}
	t.def = def
	if len(rest) > 1 {
		t.name = resource.Name(rest[1])
		if t.name == "" {
			return errNoPath()
		}
	}
	if len(rest) > 2 {
		t.subresource = rest[2]
	}
	if t.name == everyName && t.subresource == "availability" {
		t.name = ""
	}
	if t.namespace != "" && !def.Namespaced() || t.name != "" && t.namespace == "" && def.Namespaced() {
		return errNoPath()
	}
	c.target = t
	return c.resource()
}

// verb is a request for a resource: its name, and who answers it.
type verb struct {
	name   string
	answer func() error
}

// resource routes by method.
func (c *call) resource() error {
	verbs, known := c.verbs()
	if !known {
		return errNoPath()
	}
	v, ok := verbs[c.r.Method]
	if !ok {
		var allowed []string
		for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
			if _, ok := verbs[m]; ok {
				allowed = append(allowed, m)
			}
		}
		return c.refuseMethod(strings.Join(allowed, ", "))
	}
	t := c.target
	a := Access{User: c.user, Verb: v.name, Kind: t.def.ID(), Namespace: t.namespace, Name: t.name, Subresource: t.subresource}
	if err := c.h.Authorize(c.r, a); err != nil {
		return apierrors.NewForbidden(t.resource(), string(t.name), err)
	}
	return v.answer()
}

func (c *call) verbs() (verbs map[string]verb, known bool) {
	switch c.target.subresource {
	case "":
		return c.mainVerbs(), true
	case "status":
		get := verb{"get", c.getObject}
		return map[string]verb{"GET": get, "HEAD": get, "PUT": {"update", c.replace}, "PATCH": {"patch", c.patch}}, true
	case "why":
		get := verb{"get", c.why}
		return map[string]verb{"GET": get, "HEAD": get}, true
	case "history":
		get := verb{"get", c.history}
		return map[string]verb{"GET": get, "HEAD": get}, true
	case "availability":
		get := verb{"get", c.availability}
		if c.target.name == "" {
			get.name = "list"
		}
		return map[string]verb{"GET": get, "HEAD": get}, true
	case "signal":
		get := verb{"get", c.signals}
		return map[string]verb{"GET": get, "HEAD": get, "POST": {"create", c.signal}}, true
	case "signals":
		get := verb{"get", c.signals}
		return map[string]verb{"GET": get, "HEAD": get}, true
	case "actions":
		get := verb{"get", c.actions}
		return map[string]verb{
			"GET": get, "HEAD": get, "POST": {"create", c.refuseAction}, "PUT": {"update", c.refuseAction},
			"PATCH": {"patch", c.refuseAction}, "DELETE": {"delete", c.refuseAction},
		}, true
	}
	return nil, false
}

func (c *call) mainVerbs() map[string]verb {
	t := c.target
	if t.name != "" {
		get := verb{"get", c.getObject}
		if c.isWatch() {
			get = verb{"watch", c.watch}
		}
		return map[string]verb{
			"GET": get, "HEAD": get, "PUT": {"update", c.replace}, "PATCH": {"patch", c.patch}, "DELETE": {"delete", c.delete},
		}
	}
	list := verb{"list", c.list}
	if c.isWatch() {
		list = verb{"watch", c.watch}
	}
	verbs := map[string]verb{"GET": list, "HEAD": list}
	if t.namespace != "" || !t.def.Namespaced() {
		verbs["POST"] = verb{"create", c.create}
		verbs["DELETE"] = verb{"deletecollection", c.deleteCollection}
	}
	return verbs
}

func (c *call) refuseMethod(allowed string) error {
	c.w.Header().Set("Allow", allowed)
	action := map[string]string{"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}[c.r.Method]
	if action == "" {
		action = c.r.Method
	}
	return apierrors.NewMethodNotSupported(c.target.resource(), action)
}

// isWatch recognises a watch as the original does: by the parameter, of which any value but 0 and false counts.
func (c *call) isWatch() bool {
	if c.r.Method != http.MethodGet {
		return false
	}
	values, ok := c.r.URL.Query()["watch"]
	if ok {
		return values[0] != "0" && values[0] != "false"
	}
	return wantsEvents(c.r)
}
