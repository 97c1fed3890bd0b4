package api_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/api"
	"github.com/setpointhq/setpoint/internal/testkit/golden"
)

// exchange sends a request and returns the answer.
func (s *served) exchange(t testing.TB, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

// varying is what differs from run to run.
var varying = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`), "UID"},
	{regexp.MustCompile(`20\d\d-\d\d-\d\dT[0-9:.]+Z`), "TIME"},
	{regexp.MustCompile(`"\d+s"\]`), `"AGE"]`},
	{regexp.MustCompile(`gen-[bcdfghjklmnpqrstvwxz2456789]{5}`), "gen-XXXXX"},
}

const (
	gateways1 = "/apis/edge.example/v1/namespaces/default/gateways"
	merge     = "application/merge-patch+json"
	jsonp     = "application/json-patch+json"
)

// TestTranscript holds the answers to a conversation against testdata/transcript.txt.
func TestTranscript(t *testing.T) {
	s := serve(t, func(o *api.Options) { o.MaxBody = 4000 })
	var b strings.Builder
	steps := []struct {
		reason, method, path, body string
		header                     []string
	}{
		{"the name comes from the URL's collection", "POST", gateways1, gateway("a", "a.example"), nil},
		{"a name is made from a prefix", "POST", gateways1, `{"metadata":{"generateName":"gen-"},"spec":{"host":"g"}}`, nil},
		{"AlreadyExists", "POST", gateways1, gateway("a", "a.example"), nil},
		{"NotFound names the resource by its plural", "GET", gateways1 + "/none", "", nil},
		{"a path that leads nowhere", "GET", "/apis/edge.example/v1/namespaces/default/gatewayz", "", nil},
		{"a group that is not there", "GET", "/apis/none.example", "", nil},
		{"a namespaced object has no path without a namespace", "GET", "/apis/edge.example/v1/gateways/a", "", nil},
		{"a subresource that is not there", "GET", gateways1 + "/a/scale", "", nil},
		{"Invalid lists every cause", "POST", gateways1, `{"metadata":{"name":"B_"},"spec":{"size":10}}`, nil},
		{"a name is required", "POST", gateways1, `{"spec":{"host":"h"}}`, nil},
		{"another namespace than the URL's", "POST", gateways1, `{"metadata":{"name":"b","namespace":"other"},"spec":{"host":"h"}}`, nil},
		{"a revision cannot be set on a new object", "POST", gateways1, `{"metadata":{"name":"b","resourceVersion":"7"},"spec":{"host":"h"}}`, nil},
		{"no JSON", "POST", gateways1, `{"metadata":`, nil},
		{"another kind", "POST", gateways1, `{"apiVersion":"v1","kind":"Pod"}`, nil},
		{"a wrong type in metadata", "POST", gateways1, `{"metadata":{"name":"b","labels":{"a":1}},"spec":{"host":"h"}}`, nil},
		{"unknown fields when Strict", "POST", gateways1 + "?fieldValidation=Strict", `{"metadata":{"name":"b"},"spec":{"hots":1,"host":"h"}}`, nil},
		{"unknown fields are warned of by default", "POST", gateways1 + "?dryRun=All", `{"metadata":{"name":"b"},"spec":{"hots":1,"host":"h"}}`, nil},
		{"unknown fields are passed over when Ignore", "POST", gateways1 + "?dryRun=All&fieldValidation=Ignore", `{"metadata":{"name":"b"},"spec":{"hots":1,"host":"h"}}`, nil},
		{"options out of range", "POST", gateways1 + "?dryRun=Some&fieldValidation=Loose&fieldManager=" + strings.Repeat("x", 129), gateway("b", "h"), nil},
		{"a media type that is not read", "POST", gateways1, "x", []string{"Content-Type", "application/vnd.kubernetes.protobuf"}},
		{"a media type that is not written", "GET", gateways1 + "/a", "", []string{"Accept", "application/vnd.kubernetes.protobuf"}},
		{"a body that is too large", "POST", gateways1, gateway("b", strings.Repeat("h", 5000)), nil},
		{"the collection cannot be replaced", "PUT", gateways1, "{}", nil},
		{"nothing is made in all namespaces at once", "POST", "/apis/edge.example/v1/gateways", gateway("b", "h"), nil},
		{"YAML is read", "PUT", gateways1 + "/a", "metadata:\n  name: a\n  labels: {color: blue}\nspec:\n  host: b.example\n", []string{"Content-Type", "application/yaml"}},
		{"YAML is written", "GET", gateways1 + "/a", "", []string{"Accept", "application/yaml"}},
		{"YAML aliases are refused", "PUT", gateways1 + "/a", "metadata: &m\n  name: a\nspec: *m\n", []string{"Content-Type", "application/yaml"}},
		{"another name than the URL's", "PUT", gateways1 + "/a", gateway("b", "h"), nil},
		{"an old revision is a conflict", "PUT", gateways1 + "/a", `{"metadata":{"name":"a","resourceVersion":"1"},"spec":{"host":"h"}}`, nil},
		{"another UID is a conflict", "PUT", gateways1 + "/a", `{"metadata":{"name":"a","uid":"x"},"spec":{"host":"h"}}`, nil},
		{"an ETag that is not the object's is a conflict", "PUT", gateways1 + "/a", gateway("a", "h"), []string{"If-Match", `"1"`}},
		{"what is not there cannot be replaced", "PUT", gateways1 + "/none", gateway("none", "h"), nil},
		{"a write that changes nothing keeps the revision", "PUT", gateways1 + "/a", `{"metadata":{"name":"a","labels":{"color":"blue"}},"spec":{"host":"b.example"}}`, nil},
		{"a patch cannot change what identifies the object", "PATCH", gateways1 + "/a", `{"metadata":{"name":"b","namespace":"other","uid":"x","creationTimestamp":"2001-01-01T00:00:00Z","deletionTimestamp":"2001-01-01T00:00:00Z"}}`, []string{"Content-Type", merge}},
		{"a patch of an old revision is a conflict", "PATCH", gateways1 + "/a", `{"metadata":{"resourceVersion":"1"}}`, []string{"Content-Type", merge}},
		{"a patch is judged like a write", "PATCH", gateways1 + "/a?fieldValidation=Strict", `{"spec":{"hots":"x"}}`, []string{"Content-Type", merge}},
		{"a patch that is none", "PATCH", gateways1 + "/a", `[1`, []string{"Content-Type", merge}},
		{"a JSON patch whose test fails", "PATCH", gateways1 + "/a", `[{"op":"test","path":"/spec/host","value":"x"}]`, []string{"Content-Type", jsonp}},
		{"a JSON patch that is none", "PATCH", gateways1 + "/a", `{}`, []string{"Content-Type", jsonp}},
		{"strategic merge", "PATCH", gateways1 + "/a", `{}`, []string{"Content-Type", "application/strategic-merge-patch+json"}},
		{"server-side apply", "PATCH", gateways1 + "/a", `{}`, []string{"Content-Type", "application/apply-patch+yaml"}},
		{"the driver moves the state", "PATCH", gateways1 + "/a/status", `{"status":{"state":"Active"}}`, []string{"Content-Type", merge}},
		{"the status is written apart", "PATCH", gateways1 + "/a/status", `{"spec":{"host":"ignored"},"metadata":{"labels":{"ignored":"x"}},"status":{"address":"10.0.0.1"}}`, []string{"Content-Type", merge}},
		{"a label selector that is none", "GET", gateways1 + "?labelSelector=a%3D%3D%3D", "", nil},
		{"a field that cannot be selected by", "GET", gateways1 + "?fieldSelector=spec.host%3Dx", "", nil},
		{"a limit that is none", "GET", gateways1 + "?limit=-1", "", nil},
		{"a continue token that is none", "GET", gateways1 + "?continue=x", "", nil},
		{"a match without a revision", "GET", gateways1 + "?resourceVersionMatch=Exact", "", nil},
		{"a match that is none", "GET", gateways1 + "?resourceVersion=1&resourceVersionMatch=Roughly", "", nil},
		{"a moment that is gone", "GET", gateways1 + "?resourceVersion=1&resourceVersionMatch=Exact", "", nil},
		{"a revision that is none", "GET", gateways1 + "?resourceVersion=x", "", nil},
		{"a watch that asks for initial events wrongly", "GET", gateways1 + "?watch=1&sendInitialEvents=true", "", nil},
		{"metadata only", "GET", gateways1 + "/a", "", []string{"Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}},
		{"a list of metadata", "GET", gateways1 + "?labelSelector=color%3Dblue", "", []string{"Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}},
		{"a table", "GET", gateways1 + "?labelSelector=color&includeObject=None", "", []string{"Accept", "application/json;as=Table;g=meta.k8s.io;v=v1"}},
		{"problem details", "GET", gateways1 + "/none", "", []string{"Accept", "application/problem+json"}},
		{"the object as it was", "GET", gateways1 + "/a", "", []string{"If-None-Match", `"4"`}},
		{"HEAD has no body", "HEAD", gateways1 + "/a", "", nil},
		{"a signal", "POST", gateways1 + "/a/signal", `{"name":"NeedsRestart","payload":{"hard":true}}`, nil},
		{"a signal that says why, and until when", "POST", gateways1 + "/a/signal", `{"name":"NeedsRestart","why":"it leaks","dedupe":"leak","forSeconds":3600}`, nil},
		{"a signal that stands already", "POST", gateways1 + "/a/signal", `{"name":"NeedsRestart","why":"it still leaks","dedupe":"leak"}`, nil},
		{"a signal out of range", "POST", gateways1 + "/a/signal", `{"name":"NeedsRestart","forSeconds":-1}`, nil},
		{"a signal with more than there is", "POST", gateways1 + "/a/signal", `{"name":"NeedsRestart","when":"now"}`, nil},
		{"the signals that stand", "GET", gateways1 + "/a/signal", "", nil},
		{"as a list", "GET", gateways1 + "/a/signals", "", nil},
		{"signals of nobody", "GET", gateways1 + "/none/signals", "", nil},
		{"actions", "GET", gateways1 + "/a/actions", "", nil},
		{"actions of nobody", "GET", gateways1 + "/none/actions", "", nil},
		{"nobody starts an action", "POST", gateways1 + "/a/actions", `{"name":"Restart"}`, nil},
		{"nor changes one", "PATCH", gateways1 + "/a/actions", `{"phase":"Running"}`, []string{"Content-Type", merge}},
		{"nor one of nobody", "POST", gateways1 + "/none/actions", `{}`, nil},
		{"that it was tried is on record", "GET", gateways1 + "/a/history?limit=1", "", nil},
		{"an action cannot be written as a status either", "PATCH", gateways1 + "/a/status", `{"status":{"action":{"name":"Restart"}}}`, []string{"Content-Type", merge}},
		{"a signal without a name", "POST", gateways1 + "/a/signal", `{}`, nil},
		{"a signal that the kind does not have", "POST", gateways1 + "/a/signal", `{"name":"NeedsNothing"}`, nil},
		{"a signal to nobody", "POST", gateways1 + "/none/signal", `{"name":"NeedsRestart"}`, nil},
		{"why", "GET", gateways1 + "/a/why", "", nil},
		{"why is read only", "POST", gateways1 + "/a/why", "", nil},
		{"history", "GET", gateways1 + "/a/history?limit=1", "", nil},
		{"history of nothing", "GET", gateways1 + "/none/history", "", nil},
		{"history without bounds", "GET", gateways1 + "/a/history?limit=100001", "", nil},
		{"namespaces cannot be created", "POST", "/api/v1/namespaces", `{"metadata":{"name":"x"}}`, nil},
		{"a namespace", "GET", "/api/v1/namespaces/default", "", nil},
		{"a namespace that nobody uses", "GET", "/api/v1/namespaces/none", "", nil},
		{"delete of another object", "DELETE", gateways1 + "/a", `{"kind":"DeleteOptions","preconditions":{"uid":"x"}}`, nil},
		{"delete of another revision", "DELETE", gateways1 + "/a", `{"preconditions":{"resourceVersion":"1"}}`, nil},
		{"delete options out of range", "DELETE", gateways1 + "/a?dryRun=x&propagationPolicy=Somehow&orphanDependents=true", "", nil},
		{"delete options of another kind", "DELETE", gateways1 + "/a", `{"kind":"Pod"}`, nil},
		{"a dry delete", "DELETE", gateways1 + "/a?dryRun=All", "", nil},
		{"delete", "DELETE", gateways1 + "/a", `{"propagationPolicy":"Background"}`, nil},
		{"deleted already", "DELETE", gateways1 + "/a", "", nil},
		{"the history remains", "GET", gateways1 + "/a/history?limit=1", "", nil},
		{"deletecollection lists what is gone", "DELETE", gateways1, "", nil},
		{"an unknown method", "BREW", gateways1, "", nil},
	}
	for _, step := range steps {
		answer, body := s.exchange(t, step.method, step.path, step.body, step.header...)
		fmt.Fprintf(&b, "# %s\n> %s %.120s\n", step.reason, step.method, step.path)
		for i := 0; i < len(step.header); i += 2 {
			fmt.Fprintf(&b, "> %s: %s\n", step.header[i], step.header[i+1])
		}
		if step.body != "" {
			fmt.Fprintf(&b, "> %.160s\n", strings.ReplaceAll(strings.TrimSpace(step.body), "\n", "\n> "))
		}
		fmt.Fprintf(&b, "< %s\n", answer.Status)
		for _, h := range []string{"Content-Type", "ETag", "Location", "Allow", "Warning", "Retry-After"} {
			for _, v := range answer.Header.Values(h) {
				fmt.Fprintf(&b, "< %s: %s\n", h, v)
			}
		}
		if body != "" {
			fmt.Fprintf(&b, "< %s\n", strings.ReplaceAll(strings.TrimSpace(body), "\n", "\n< "))
		}
		b.WriteString("\n")
	}
	got := b.String()
	for _, v := range varying {
		got = v.what.ReplaceAllString(got, v.as)
	}
	golden.Check(t, "transcript.txt", got)
}
