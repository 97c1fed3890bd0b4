package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/setpointhq/setpoint/resource"
)

// schemas keeps the OpenAPI documents of the kinds that are registered, one for each version of a group. They are made anew when
// a kind has come or gone.
type schemas struct {
	mu    sync.Mutex
	of    []*resource.Definition
	paths []string
	docs  map[string]document // by path: "apis/edge.example/v1"
}

type document struct {
	body []byte
	hash string
}

// openapi answers /openapi/v3 and what is below.
func (c *call) openapi(parts []string) error {
	if len(parts) == 0 || parts[0] != "v3" {
		return errNoPath()
	}
	paths, docs := c.h.schemas.current(c)
	if len(parts) == 1 {
		type entry struct {
			URL string `json:"serverRelativeURL"`
		}
		index := map[string]entry{}
		for _, p := range paths {
			index[p] = entry{"/openapi/v3/" + p + "?hash=" + docs[p].hash}
		}
		c.send(http.StatusOK, encode(map[string]any{"paths": index}))
		return nil
	}
	d, ok := docs[strings.Join(parts[1:], "/")]
	if !ok {
		return errNoPath()
	}
	c.w.Header().Set("ETag", `"`+d.hash+`"`)
	c.w.Header().Set("Vary", "Accept")
	if c.r.URL.Query().Get("hash") == d.hash {
		c.w.Header().Set("Cache-Control", "public, immutable")
	}
	if c.r.Header.Get("If-None-Match") == `"`+d.hash+`"` {
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.write(d.body)
	return nil
}

func (s *schemas) current(c *call) (paths []string, docs map[string]document) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := c.h.Plane.Registry().List()
	if s.docs != nil && slices.Equal(now, s.of) {
		return s.paths, s.docs
	}
	s.of, s.paths, s.docs = now, nil, map[string]document{}
	for _, g := range c.served() {
		for _, v := range g.versions {
			path := "apis/" + g.name + "/" + v.name
			if g.name == "" {
				path = "api/" + v.name
			}
			kinds := v.kinds
			if path == "api/v1" {
				kinds = append(slices.Clone(kinds), namespaceKind)
			}
			body := encode(openAPI(path, kinds))
			sum := sha256.Sum256(body)
			s.paths = append(s.paths, path)
			s.docs[path] = document{body, strings.ToUpper(hex.EncodeToString(sum[:]))}
		}
	}
	return s.paths, s.docs
}

// writeParameters are those that clients look for before they use them, by method.
var writeParameters = map[string][]string{
	"post":   {"dryRun", "fieldManager", "fieldValidation"},
	"put":    {"dryRun", "fieldManager", "fieldValidation"},
	"patch":  {"dryRun", "fieldManager", "fieldValidation", "force"},
	"delete": {"dryRun", "propagationPolicy", "orphanDependents"},
}

// tree is a JSON object.
type tree = map[string]any

// openAPI describes the kinds of a version of a group.
func openAPI(base string, kinds []*resource.Definition) tree {
	paths, components := tree{}, tree{metadataName: metadataSchema()}
	for _, d := range kinds {
		collection := "/" + base + "/" + d.Plural
		if d.Namespaced() {
			paths[collection] = tree{"get": operation(d, "list", "get", d.Kind+"List")}
			collection = "/" + base + "/namespaces/{namespace}/" + d.Plural
		}
		many := tree{"get": operation(d, "list", "get", d.Kind+"List")}
		one := tree{"get": operation(d, "get", "get", d.Kind)}
		paths[collection], paths[collection+"/{name}"] = many, one
		if d != namespaceKind {
			many["post"] = operation(d, "post", "post", d.Kind)
			many["delete"] = operation(d, "deletecollection", "delete", d.Kind)
			one["put"] = operation(d, "put", "put", d.Kind)
			one["patch"] = operation(d, "patch", "patch", d.Kind)
			one["delete"] = operation(d, "delete", "delete", d.Kind)
			paths[collection+"/{name}/status"] = tree{
				"get": operation(d, "get", "get", d.Kind), "put": operation(d, "put", "put", d.Kind), "patch": operation(d, "patch", "patch", d.Kind),
			}
		}
		components[schemaName(d, d.Kind)] = kindSchema(d)
		components[schemaName(d, d.Kind+"List")] = listSchema(d)
	}
	return tree{
		"openapi": "3.0.0", "info": tree{"title": "Setpoint", "version": "v1"}, "paths": paths, "components": tree{"schemas": components},
	}
}

// schemaName is the group's name backwards, the version and the kind.
func schemaName(d *resource.Definition, kind string) string {
	parts := strings.Split(d.Group, ".")
	slices.Reverse(parts)
	return strings.TrimPrefix(strings.Join(parts, ".")+"."+d.Version+"."+kind, ".")
}

func gvk(d *resource.Definition, kind string) tree {
	return tree{"group": d.Group, "version": d.Version, "kind": kind}
}

func ref(name string) tree { return tree{"$ref": "#/components/schemas/" + name} }

func operation(d *resource.Definition, action, method, answer string) tree {
	parameters := []any{}
	if d.Namespaced() {
		parameters = append(parameters, tree{"name": "namespace", "in": "path", "required": true, "schema": tree{"type": "string"}})
	}
	for _, p := range writeParameters[method] {
		parameters = append(parameters, tree{"name": p, "in": "query", "schema": tree{"type": "string", "uniqueItems": true}})
	}
	return tree{
		"operationId":                     action + d.Kind,
		"parameters":                      parameters,
		"x-kubernetes-action":             action,
		"x-kubernetes-group-version-kind": gvk(d, d.Kind),
		"responses": tree{"200": tree{"description": "OK", "content": tree{
			"application/json": tree{"schema": ref(schemaName(d, answer))},
		}}},
	}
}
