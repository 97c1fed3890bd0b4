package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/api"
)

// FuzzRequest sends anything at all: the answer is never a failure of the server, errors are Status objects, and what was
// stored can be read again.
func FuzzRequest(f *testing.F) {
	p := newPlane(f, gateways(), zones())
	h := api.New(api.Options{Plane: p, MaxBody: 1 << 16})
	h.Drain() // watches end when they have begun
	for _, seed := range [][4]string{
		{"POST", gateways1, "", gateway("a", "h")},
		{"POST", gateways1 + "?fieldValidation=Strict&dryRun=All", "application/yaml", "metadata: {name: a}\nspec: {host: h}"},
		{"POST", gateways1, "application/yaml", "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]"},
		{"POST", gateways1, "application/yaml", strings.Repeat("[", 1000)},
		{"POST", gateways1, "application/yaml", "? [a]\n: {b: !!binary x}\n---\n..."},
		{"POST", gateways1, "", strings.Repeat(`{"a":`, 500)},
		{"PUT", gateways1 + "/a", "", `{"metadata":{"name":"a","resourceVersion":"99999999999999999999"}}`},
		{"PATCH", gateways1 + "/a", merge, `{"metadata":{"finalizers":["a/b"],"labels":null},"spec":{"size":1e400}}`},
		{"PATCH", gateways1 + "/a", merge, `null`},
		{"PATCH", gateways1 + "/a", merge, `"text"`},
		{"PATCH", gateways1 + "/a", merge, `[]`},
		{"PATCH", gateways1 + "/a", jsonp, `[{"op":"copy","from":"","path":"/spec/x"},{"op":"copy","from":"","path":"/spec/y"}]`},
		{"PATCH", gateways1 + "/a", jsonp, `[{"op":"remove","path":"/metadata"}]`},
		{"PATCH", gateways1 + "/a", jsonp, `[{"op":"add","path":"/spec/notes/-1","value":1},null]`},
		{"PATCH", gateways1 + "/a/status", merge, `{"status":{"conditions":[{"type":"A"},{"type":"A"}],"waits":[{}]}}`},
		{"DELETE", gateways1 + "/a", "", `{"preconditions":{"uid":"x"},"dryRun":["All"]}`},
		{"DELETE", gateways1 + "?labelSelector=a", "", ""},
		{"GET", gateways1 + "?watch=1&resourceVersion=0&labelSelector=a%20in%20(b)", "", ""},
		{"GET", gateways1 + "?limit=1&continue=eyJydiI6MX0", "", ""},
		{"GET", gateways1 + "?fieldSelector=a%5C,b", "", ""},
		{"POST", gateways1 + "/a/signal", "", `{"name":"X","payload":[[[]]]}`},
		{"GET", "/apis/edge.example/v1/namespaces//gateways", "", ""},
		{"GET", "/apis///", "", ""},
		{"GET", "/openapi/v3/../..", "", ""},
		{"BREW", "/api/v1/namespaces/x", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, method, target, media, body string) {
		u, err := url.Parse(target)
		if err != nil || strings.ContainsAny(method, " \r\n\t") || method == "" {
			return
		}
		r := (&http.Request{Method: method, URL: u, Header: http.Header{"Content-Type": {media}}, Body: http.NoBody}).WithContext(t.Context())
		if body != "" {
			r.Body = httptest.NewRequest("POST", "/", strings.NewReader(body)).Body
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 && w.Code != http.StatusGatewayTimeout { // which answers a revision of the future
			t.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
		}
		if w.Code >= 400 {
			var status struct{ Kind, Reason string }
			if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil || status.Kind != "Status" || status.Reason == "" {
				t.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
			}
		}
		all, _ := p.List("Gateway.edge.example", "")
		for _, o := range all {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/apis/edge.example/v1/namespaces/"+string(o.Namespace)+"/gateways/"+string(o.Name), nil))
			if w.Code != http.StatusOK || !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%s %s left behind what cannot be read: %d %s", method, target, w.Code, w.Body)
			}
		}
	})
}
