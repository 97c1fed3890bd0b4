package kindsapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/api/kindsapi"
	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

type spec struct {
	Host string `json:"host"`
}

func registry(t *testing.T) *resource.Registry {
	t.Helper()
	r := &resource.Registry{}
	err := r.Register(
		resource.MustDefine(resource.Options[spec, struct{}]{
			Group: "edge.example", Version: "v1", Kind: "Gateway", ShortNames: []string{"gw"}, Description: "A way in.",
			Lifecycle: lifecycle.Table{{State: "On", Healthy: true, Stable: true, To: lifecycle.To("Off")}, {State: "Off", Final: true}},
			Columns:   []resource.Column{{Name: "Host", Path: ".spec.host"}},
		}),
		resource.MustDefine(resource.Options[spec, struct{}]{Group: "dns.example", Version: "v1", Kind: "Zone", Scope: resource.Cluster}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ask(h http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestClientReadsIt: what the handler writes is what the client understands.
func TestClientReadsIt(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle(kindsapi.Path, kindsapi.Handler(registry(t)))
	mux.Handle(strings.TrimSuffix(kindsapi.Path, "/"), kindsapi.Handler(registry(t)))
	server := httptest.NewServer(mux)
	defer server.Close()
	c, err := client.New(client.Config{Server: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all, err := c.Descriptions(t.Context())
	if err != nil || len(all) != 2 || all[0].Kind != "Zone" || all[0].Lifecycle != nil || all[0].Scope != resource.Cluster {
		t.Fatalf("%+v, %v; want the zone, without a lifecycle, first", all, err)
	}
	one, err := c.Describe(t.Context(), client.Kind{Group: "edge.example", Plural: "gateways", Kind: "Gateway"})
	if err != nil {
		t.Fatal(err)
	}
	if one.Lifecycle.States != 2 || !strings.Contains(one.Lifecycle.Text, "On") || !strings.Contains(one.Lifecycle.Mermaid, "Off") ||
		!strings.Contains(one.Lifecycle.DOT, "digraph") {
		t.Errorf("%+v: want both states, drawn three times", one.Lifecycle)
	}
	if want := (client.DescriptionColumn{Name: "Host", Type: "string", Path: ".spec.host"}); len(one.Columns) != 1 || one.Columns[0] != want {
		t.Errorf("%+v, want %+v", one.Columns, want)
	}
}

func TestRefusals(t *testing.T) {
	h := kindsapi.Handler(registry(t))
	for _, test := range []struct {
		method, path string
		code         int
		says, reason string
	}{
		{"GET", "/setpoint/v1/kinds/nothing.edge.example", 404, `"reason":"NotFound"`, "there is no such kind"},
		{"GET", "/setpoint/v1/kinds/gateways", 404, "want \\u003cplural\\u003e.\\u003cgroup\\u003e", "a plural needs its group"},
		{"GET", "/setpoint/v1/kinds/gateways.edge.example/more", 404, "NotFound", "there is nothing below a kind"},
		{"POST", "/setpoint/v1/kinds", 405, "MethodNotAllowed", "kinds are not made here"},
	} {
		w := ask(h, test.method, test.path)
		if w.Code != test.code || !strings.Contains(w.Body.String(), test.says) || !strings.Contains(w.Body.String(), `"kind":"Status"`) {
			t.Errorf("%s %s: %d %s: %s", test.method, test.path, w.Code, w.Body, test.reason)
		}
	}
}

// TestNotModified: who has an answer is not sent it again, until a kind changes.
func TestNotModified(t *testing.T) {
	r := registry(t)
	h := kindsapi.Handler(r)
	tag := ask(h, "GET", "/setpoint/v1/kinds").Header().Get("ETag")
	if w := ask(h, "GET", "/setpoint/v1/kinds/", "If-None-Match", tag); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
		t.Errorf("%d, %d bytes", w.Code, w.Body.Len())
	}
	r.Remove("Zone.dns.example")
	if w := ask(h, "GET", "/setpoint/v1/kinds", "If-None-Match", tag); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "Zone") {
		t.Errorf("%d %s: want the list without the zone", w.Code, w.Body)
	}
}
