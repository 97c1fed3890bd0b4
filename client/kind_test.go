package client_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/client"
)

const aggregatedCore = `{"kind":"APIGroupDiscoveryList","items":[{"metadata":{"name":""},"versions":[{"version":"v1","resources":[
	{"resource":"configmaps","responseKind":{"kind":"ConfigMap"},"scope":"Namespaced","singularResource":"configmap","shortNames":["cm"],"verbs":["get","list"]}]}]}]}`

const aggregated = `{"kind":"APIGroupDiscoveryList","items":[
	{"metadata":{"name":"edge.example"},"versions":[{"version":"v1","resources":[
		{"resource":"gateways","responseKind":{"kind":"Gateway"},"scope":"Namespaced","singularResource":"gateway","shortNames":["gw"],"verbs":["get","list"],"subresources":[{"subresource":"why"}]},
		{"resource":"zones","responseKind":{"kind":"Zone"},"scope":"Cluster","singularResource":"zone","verbs":["get"]}]}]},
	{"metadata":{"name":"net.example"},"versions":[{"version":"v2","resources":[
		{"resource":"gateways","responseKind":{"kind":"Gateway"},"scope":"Namespaced","singularResource":"gateway","verbs":["get"]},
		{"resource":"gws","responseKind":{"kind":"Gw"},"scope":"Namespaced","singularResource":"gws","verbs":["get"]}]}]}]}`

// TestResolve: kinds are found by any name that a person would type.
func TestResolve(t *testing.T) {
	for _, test := range []struct {
		typed, want string
		err         error
		hint        string
		reason      string
	}{
		{"zones", "zones.edge.example", nil, "", "the plural"},
		{"Zone", "zones.edge.example", nil, "", "the kind"},
		{"cm", "configmaps", nil, "", "a short name, of the core group"},
		{"gateways.edge.example", "gateways.edge.example", nil, "", "with the group"},
		{"gateway.v2.net.example", "gateways.net.example", nil, "", "with version and group"},
		{"gw", "gws.net.example", nil, "", "a kind's own name goes before a short one"},
		{"gateway", "", client.ErrAmbiguousKind, "gateways.v1.edge.example, gateways.v2.net.example", "two groups have it"},
		{"zoens", "", client.ErrUnknownKind, `did you mean "zones"?`, "a slip of the finger"},
		{"elephant", "", client.ErrUnknownKind, "setpoint kinds", "nothing like it"},
	} {
		steps := []step{reply(200, aggregatedCore), reply(200, aggregated)}
		_, c := newScript(t, steps...)
		k, err := c.Resolve(t.Context(), test.typed)
		if !errors.Is(err, test.err) || err == nil && k.String() != test.want {
			t.Errorf("%s: %s, %v: %s", test.typed, k, err, test.reason)
		}
		if err != nil && !strings.Contains(err.Error(), test.hint) {
			t.Errorf("%s: %v does not say %s", test.typed, err, test.hint)
		}
	}
}

// TestResolveAsksAgain: a kind that came later is found, and known ones are not asked for.
func TestResolveAsksAgain(t *testing.T) {
	s, c := newScript(t, refuse(404, "NotFound", "no core group"), reply(200, `{"kind":"APIGroupDiscoveryList","items":[]}`),
		reply(200, aggregatedCore), reply(200, aggregated))
	if _, err := c.Resolve(t.Context(), "zones"); !errors.Is(err, client.ErrUnknownKind) {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := c.Resolve(t.Context(), "zones"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.requests()); n != 4 {
		t.Errorf("%d requests, want 4", n)
	}
	if k, err := c.KindOf(t.Context(), "edge.example/v1", "Gateway"); err != nil || k.Subresources[0] != "why" {
		t.Errorf("%v, %v", k, err)
	}
}

// TestPlainDiscovery: servers without aggregated discovery are understood.
func TestPlainDiscovery(t *testing.T) {
	_, c := newScript(t,
		reply(200, `{"kind":"APIVersions","versions":["v1"]}`),
		reply(200, `{"resources":[{"name":"configmaps","singularName":"configmap","namespaced":true,"kind":"ConfigMap","verbs":["list"]}]}`),
		reply(200, `{"kind":"APIGroupList","groups":[{"versions":[{"groupVersion":"edge.example/v1"}]}]}`),
		reply(200, `{"resources":[{"name":"gateways/status","kind":"Gateway"},{"name":"gateways","singularName":"gateway","namespaced":true,"kind":"Gateway","shortNames":["gw"],"verbs":["list"]}]}`),
	)
	kinds, err := c.Kinds(t.Context())
	if err != nil || len(kinds) != 2 {
		t.Fatalf("%v, %v", kinds, err)
	}
	if k := kinds[1]; k.String() != "gateways.edge.example" || !k.Can("list") || len(k.Subresources) != 1 || k.ID() != "Gateway.edge.example" {
		t.Errorf("%+v", k)
	}
}
