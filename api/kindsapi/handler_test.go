package kindsapi_test

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/api/kindsapi"
	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

type spec struct {
	Host string `json:"host"`
}

var (
	life = lifecycle.Table{
		{State: "On", Parent: "Up", Healthy: true, Stable: true, To: lifecycle.To("Turning", "Leaving")},
		{State: "Turning", Parent: "Up", Budget: 90 * time.Second, Late: "Check", To: lifecycle.To("On", "Leaving")},
		{State: "Leaving", Deleting: true, To: lifecycle.To("Off")},
		{State: "Off", Final: true},
	}
	table = decide.Table{
		Signals: []decide.Signal{{Name: "Turn", About: "turn it round"}, {Name: "Check", About: "see to it"}},
		Actions: []decide.Action{{Name: "Turn", Via: "Turning", To: "On", Else: "On", Yield: []decide.SignalName{"Check"}}, {Name: "Check"}},
		Rows: []decide.Row{
			{In: decide.In("Up"), When: decide.All("Turn").Without("Check"), Guard: "free", Priority: 5, Do: "Turn"},
			{When: decide.All("Turn"), Defer: "it is held"},
			{When: decide.All("Check"), Priority: 9, Do: "Check"},
			{In: decide.In("Leaving"), When: decide.All("Turn"), Forbid: "it is leaving"},
		},
	}
)

func registry(t *testing.T) *resource.Registry {
	t.Helper()
	r := &resource.Registry{}
	err := r.Register(
		resource.MustDefine(resource.Options[spec, struct{}]{
			Group: "edge.example", Version: "v1", Kind: "Gateway", ShortNames: []string{"gw"}, Description: "A way in.",
			Lifecycle: life,
			Decisions: table,
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
	gotLife, gotTable, err := one.Tables()
	if err != nil || !reflect.DeepEqual(gotLife, life) || !reflect.DeepEqual(gotTable, table) || one.Decisions.Text != decide.Text(table) {
		t.Errorf("%v: the tables came over as\n%+v\n%+v, want\n%+v\n%+v", err, gotLife, gotTable, life, table)
	}
	if none, nothing, err := all[0].Tables(); err != nil || none != nil || !reflect.DeepEqual(nothing, decide.Table{}) {
		t.Errorf("a kind without tables has %v and %v, %v", none, nothing, err)
	}
	if one.Lifecycle.States != 4 || !strings.Contains(one.Lifecycle.Text, "On") || !strings.Contains(one.Lifecycle.Mermaid, "Off") ||
		!strings.Contains(one.Lifecycle.DOT, "digraph") {
		t.Errorf("%+v: want all states, drawn three times", one.Lifecycle)
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
