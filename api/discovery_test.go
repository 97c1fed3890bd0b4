package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/internal/testkit/golden"
	"github.com/setpointhq/setpoint/resource"
)

const aggregatedType = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

// TestDiscovery holds all documents of discovery against testdata/discovery.txt.
func TestDiscovery(t *testing.T) {
	s := serve(t)
	var b strings.Builder
	for _, path := range []string{"/", "/version", "/api", "/api/v1", "/apis", "/apis/edge.example", "/apis/edge.example/v1", "/apis/dns.example/v1beta1"} {
		_, body := s.exchange(t, "GET", path, "")
		b.WriteString("GET " + path + "\n" + indented(t, body) + "\n\n")
	}
	for _, path := range []string{"/api", "/apis"} {
		answer, body := s.exchange(t, "GET", path, "", "Accept", aggregatedType+",application/json")
		if got := answer.Header.Get("Content-Type"); got != aggregatedType {
			t.Errorf("%s has the type %q", path, got)
		}
		b.WriteString("GET " + path + ", aggregated\n" + indented(t, body) + "\n\n")
	}
	got := b.String()
	for _, v := range []string{"goVersion", "platform"} {
		got = withoutLine(got, v)
	}
	golden.Check(t, "discovery.txt", got)
}

func indented(t testing.TB, body string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func withoutLine(text, word string) string {
	var kept []string
	for _, line := range strings.Split(text, "\n") {
		if !strings.Contains(line, word) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// TestDiscoveryFollowsTheRegistry: ETags hold until a kind comes or goes.
func TestDiscoveryFollowsTheRegistry(t *testing.T) {
	s := serve(t)
	first, _ := s.exchange(t, "GET", "/apis", "", "Accept", aggregatedType)
	tag := first.Header.Get("ETag")
	if again, _ := s.exchange(t, "GET", "/apis", "", "Accept", aggregatedType, "If-None-Match", tag); again.StatusCode != http.StatusNotModified {
		t.Errorf("unchanged, and answered with %s", again.Status)
	}
	_, before := s.exchange(t, "GET", "/openapi/v3", "")
	if !s.kinds.Remove("Zone.dns.example") {
		t.Fatal("the kind is not registered")
	}
	if again, body := s.exchange(t, "GET", "/apis", "", "Accept", aggregatedType, "If-None-Match", tag); again.StatusCode != http.StatusOK || strings.Contains(body, "zones") {
		t.Errorf("changed, and answered with %s: %s", again.Status, body)
	}
	if _, after := s.exchange(t, "GET", "/openapi/v3", ""); before == after || strings.Contains(after, "dns.example") {
		t.Errorf("OpenAPI is served as before: %s", after)
	}
	if gone, _ := s.exchange(t, "GET", "/apis/dns.example/v1beta1/zones", ""); gone.StatusCode != http.StatusNotFound {
		t.Errorf("the kind is still served: %s", gone.Status)
	}
}

// TestOpenAPI: the index leads to documents that are fetched once, whose references are closed, and that name every kind.
func TestOpenAPI(t *testing.T) {
	s := serve(t)
	var index struct {
		Paths map[string]struct{ ServerRelativeURL string }
	}
	_, body := s.exchange(t, "GET", "/openapi/v3", "")
	if err := json.Unmarshal([]byte(body), &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Paths) != 3 {
		t.Errorf("index %s", body)
	}
	for path, entry := range index.Paths {
		answer, text := s.exchange(t, "GET", entry.ServerRelativeURL, "")
		if answer.Header.Get("Cache-Control") != "public, immutable" {
			t.Errorf("%s may be cached as %q", path, answer.Header.Get("Cache-Control"))
		}
		if again, _ := s.exchange(t, "GET", "/openapi/v3/"+path, "", "If-None-Match", answer.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s, unchanged: %s", path, again.Status)
		}
		var doc struct {
			Paths      map[string]any
			Components struct{ Schemas map[string]any }
		}
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		for _, ref := range strings.Split(text, `"$ref":"#/components/schemas/`)[1:] {
			name, _, _ := strings.Cut(ref, `"`)
			if doc.Components.Schemas[name] == nil {
				t.Errorf("%s refers to %s, which it does not have", path, name)
			}
		}
		if path == "apis/edge.example/v1" {
			golden.Check(t, "openapi.json", indented(t, text)+"\n")
		}
	}
	for _, none := range []string{"/openapi/v2", "/openapi", "/openapi/v3/apis/none/v1"} {
		if answer, _ := s.exchange(t, "GET", none, ""); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", none, answer.Status)
		}
	}
}

// page is a list, as far as these tests look.
type page struct {
	Metadata struct{ ResourceVersion, Continue string }
	Items    []struct{ Metadata struct{ Name string } }
	Reason   string
}

func (s *served) page(t testing.TB, query string) (p page, names string, code int) {
	t.Helper()
	answer, body := s.exchange(t, "GET", gateways1+"?"+query, "")
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatal(err)
	}
	for _, i := range p.Items {
		names += i.Metadata.Name
	}
	return p, names, answer.StatusCode
}

// TestPages: all pages are of the moment of the first; a token that has outlived its moment says so, and offers to go on in the present.
func TestPages(t *testing.T) {
	s := serve(t)
	for _, name := range []resource.Name{"a", "c", "e", "g"} {
		s.make(t, name, "default", nil)
	}
	first, names, _ := s.page(t, "limit=2")
	if names != "ac" || first.Metadata.Continue == "" || first.Metadata.ResourceVersion != "4" {
		t.Fatalf("first page %s %+v", names, first)
	}
	s.make(t, "f", "default", nil)
	s.exchange(t, "DELETE", gateways1+"/e", "")
	second, names, _ := s.page(t, "limit=2&continue="+first.Metadata.Continue)
	if names != "eg" || second.Metadata.Continue != "" || second.Metadata.ResourceVersion != "4" {
		t.Errorf("second page %s %+v", names, second)
	}
	if _, names, _ = s.page(t, "resourceVersion=4&resourceVersionMatch=Exact"); names != "aceg" {
		t.Errorf("exactly revision 4 is %s", names)
	}
	for i := range 64 { // other lists push the moment out
		if _, _, code := s.page(t, "limit=1"); code != http.StatusOK {
			t.Fatal(code)
		}
		s.make(t, resource.Name("z"+strings.Repeat("z", i)), "default", nil)
	}
	late, _, code := s.page(t, "limit=2&continue="+first.Metadata.Continue)
	if code != http.StatusGone || late.Reason != "Expired" || late.Metadata.Continue == "" {
		t.Fatalf("late: %d %+v", code, late)
	}
	if _, names, code = s.page(t, "limit=2&continue="+late.Metadata.Continue); names != "fg" || code != http.StatusOK {
		t.Errorf("going on in the present: %d %s", code, names)
	}
}
