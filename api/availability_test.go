package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/api"
	"github.com/setpointhq/setpoint/availability/survey"
)

const gatewaysEverywhere = "/apis/edge.example/v1/gateways"

func TestAvailabilityIsAnswered(t *testing.T) {
	s := serve(t)
	for _, name := range []string{"a", "b"} {
		if answer, body := s.exchange(t, "POST", gateways1, `{"metadata":{"name":"`+name+`"},"spec":{"host":"a.example"}}`); answer.StatusCode != http.StatusCreated {
			t.Fatalf("%s %s", answer.Status, body)
		}
	}
	for _, c := range []struct {
		reason, path     string
		reports, objects int
		groups           []string
		sizes            int
	}{
		{"one object", gateways1 + "/a/availability?window=1h&sizes=1m,10m", 1, 1, nil, 2},
		{"those of a namespace", gateways1 + "/-/availability?sizes=1m&sizes=1d", 0, 2, []string{"all"}, 2},
		{"those of all namespaces, by namespace", gatewaysEverywhere + "/-/availability?by=namespace&worst=0&window=2w&sizes=1h", 0, 2, []string{"default"}, 1},
		{"a namespace without any", strings.Replace(gateways1, "default", "none", 1) + "/-/availability?sizes=1h", 0, 0, nil, 1},
	} {
		answer, body := s.exchange(t, "GET", c.path, "")
		var a struct {
			Kind, APIVersion string
			survey.Answer
		}
		if err := json.Unmarshal([]byte(body), &a); err != nil || answer.StatusCode != http.StatusOK || a.Kind != "AvailabilityReport" || a.APIVersion != "setpoint.dev/v1" {
			t.Errorf("%s: %s %v %s", c.reason, answer.Status, err, body)
			continue
		}
		var groups []string
		for _, g := range a.Groups {
			groups = append(groups, g.Name)
		}
		if len(a.Reports) != c.reports || a.Objects != c.objects || strings.Join(groups, " ") != strings.Join(c.groups, " ") || len(a.Curve.Points) != c.sizes {
			t.Errorf("%s: %d reports, %d objects, groups %v, %d sizes: %s", c.reason, len(a.Reports), a.Objects, groups, len(a.Curve.Points), body)
		}
	}
}

func TestAvailabilityRefuses(t *testing.T) {
	s := serve(t)
	future := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for _, c := range []struct {
		reason, method, path string
		code                 int
		says                 string
	}{
		{"nobody has the name", "GET", gateways1 + "/none/availability", http.StatusNotFound, "not found"},
		{"a slip of the pen", "GET", gateways1 + "/a/availability?windows=1h", http.StatusBadRequest, `no parameter \"windows\"; want some of by, from, sizes, to, window, worst`},
		{"no length", "GET", gateways1 + "/a/availability?window=soon", http.StatusBadRequest, "want days (30d)"},
		{"no time", "GET", gateways1 + "/a/availability?from=yesterday", http.StatusBadRequest, "from: want a time as in"},
		{"the future", "GET", gateways1 + "/a/availability?to=" + future, http.StatusBadRequest, "leave the end out"},
		{"backwards", "GET", gateways1 + "/a/availability?from=2001-01-02T00:00:00Z&to=2001-01-01T00:00:00Z", http.StatusBadRequest, "exchange them"},
		{"a size that is none", "GET", gateways1 + "/a/availability?sizes=1m,big", http.StatusBadRequest, "sizes: "},
		{"too many sizes", "GET", gateways1 + "/a/availability?sizes=" + strings.Repeat("1m,", 64) + "1m", http.StatusBadRequest, "want at most 64"},
		{"too many of the worst", "GET", gateways1 + "/-/availability?worst=1001", http.StatusBadRequest, "want a number from 0 to 1000"},
		{"a grouping that there is not", "GET", gateways1 + "/-/availability?by=colour", http.StatusBadRequest, "not a grouping"},
		{"it is read only", "POST", gateways1 + "/a/availability", http.StatusMethodNotAllowed, "MethodNotAllowed"},
		{"the name that stands for all is no name", "GET", gateways1 + "/-/why", http.StatusNotFound, "NotFound"},
		{"nor where there must be one", "GET", gatewaysEverywhere + "/a/availability", http.StatusNotFound, "NotFound"},
	} {
		if answer, body := s.exchange(t, c.method, c.path, ""); answer.StatusCode != c.code || !strings.Contains(body, c.says) {
			t.Errorf("%s: %s %s, want %d and %s", c.reason, answer.Status, body, c.code, c.says)
		}
	}
}

// TestAvailabilityIsJudged: of one object it is a read, of a collection a list, by words that rules are written in.
func TestAvailabilityIsJudged(t *testing.T) {
	var asked []api.Access
	s := serve(t, func(o *api.Options) {
		o.Authorize = func(_ *http.Request, a api.Access) error { asked = append(asked, a); return nil }
	})
	for _, path := range []string{gateways1 + "/a/availability", gateways1 + "/-/availability", gatewaysEverywhere + "/-/availability"} {
		s.exchange(t, "GET", path, "")
	}
	want := []api.Access{
		{User: "anonymous", Verb: "get", Kind: "Gateway.edge.example", Namespace: "default", Name: "a", Subresource: "availability"},
		{User: "anonymous", Verb: "list", Kind: "Gateway.edge.example", Namespace: "default", Subresource: "availability"},
		{User: "anonymous", Verb: "list", Kind: "Gateway.edge.example", Subresource: "availability"},
	}
	if len(asked) != 3 || asked[0] != want[0] || asked[1] != want[1] || asked[2] != want[2] {
		t.Errorf("asked %+v, want %+v", asked, want)
	}
}
