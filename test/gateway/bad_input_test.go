package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// refusal is what a Status says.
type refusal struct {
	Message string `json:"message"`
	Details struct {
		Causes []struct {
			Field string `json:"field"`
		} `json:"causes"`
	} `json:"details"`
}

// TestBadInput: everything that can be wrong with a request is answered with a 4xx that names the field, and leaves every object as it was.
func TestBadInput(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	d.Start()
	d.introduced()
	const (
		all   = "/apis/edge.example/v1/namespaces/default/gateways"
		shop  = all + "/shop"
		merge = "application/merge-patch+json"
		plain = "application/json"
	)
	gateway := func(spec string) string { return `{"metadata":{"name":"bad"},"spec":` + spec + `}` }
	before := d.revision()
	for _, c := range []struct {
		reason, method, path, kind, body string
		code                             int
		// says is a field, or a part of the message.
		says string
	}{
		{"an unknown field", "POST", all + "?fieldValidation=Strict", plain, gateway(`{"hostname":"a.b","colour":"red"}`), 400, "spec.colour"},
		{"a wrong type", "POST", all, plain, gateway(`{"hostname":"a.b","replicas":"two"}`), 422, "spec.replicas"},
		{"a field that is missing", "POST", all, plain, gateway(`{"replicas":2}`), 422, "spec.hostname"},
		{"a rule of the kind", "POST", all, plain, gateway(`{"hostname":"a.b","replicas":99,"routes":[]}`), 422, "spec.replicas"},
		{"a rule about a part of a list", "POST", all, plain, gateway(`{"hostname":"a.b","routes":[{"path":"x","upstream":"http://u"}]}`), 422, "spec.routes[0].path"},
		{"a rule about old and new", "PATCH", shop, merge, `{"spec":{"hostname":"other.edge.test"}}`, 422, "spec.hostname"},
		{"a stale version", "PATCH", shop, merge, `{"metadata":{"resourceVersion":"1"},"spec":{"replicas":3}}`, 409, "has been modified"},
		{"an illegal transition", "PATCH", shop + "/status", merge, `{"status":{"state":"Deleted"}}`, 422, "status.state"},
		{"an object of 2 MiB", "POST", all, plain, gateway(`{"hostname":"` + strings.Repeat("x", 2<<20) + `"}`), 413, "larger than 1 MiB"},
		{"JSON 10,000 deep", "POST", all, plain, gateway(strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)), 400, "nested"},
	} {
		code, text := d.request(c.method, c.path, c.kind, c.body)
		var r refusal
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Errorf("%s: the answer is no Status: %v: %.300s", c.reason, err, text)
		}
		said := r.Message
		for _, cause := range r.Details.Causes {
			said += " " + cause.Field
		}
		if code != c.code || !strings.Contains(said, c.says) {
			t.Errorf("%s: answered %d %.400s, want %d and %q", c.reason, code, said, c.code, c.says)
		}
		t.Logf("%s: %d %.200s", c.reason, code, r.Message)
	}
	// That somebody tried to move the gateway stays in its history; nothing else is stored.
	if now := d.revision(); now != before+1 {
		t.Errorf("the database has gone from revision %d to %d, want one record", before, now)
	}
}

// request sends what no client would.
func (d *demo) request(method, path, kind, body string) (code int, text string) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.Read("server")+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	answer, err := web.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	content, err := io.ReadAll(answer.Body)
	if closing := answer.Body.Close(); err != nil || closing != nil {
		d.t.Fatal(fmt.Errorf("read the answer: %w, close it: %w", err, closing))
	}
	return answer.StatusCode, string(content)
}
