package nodesapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/api/nodesapi"
	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// source answers what it was told to.
type source struct {
	facts    nodesapi.Facts
	others   []nodesapi.Lease
	othersOf error
	drained  []string // "name=true", in order
	paused   []string // "by=length", in order
	refuse   error
}

func (s *source) Roster(context.Context) nodesapi.Roster           { return s.facts.Roster }
func (s *source) Leases(context.Context) ([]nodesapi.Lease, error) { return s.others, s.othersOf }
func (s *source) Facts(context.Context) nodesapi.Facts             { return s.facts }
func (s *source) Pause(_ context.Context, by string, length time.Duration) (store.Pause, error) {
	s.paused = append(s.paused, fmt.Sprintf("%s=%s", by, length))
	if s.refuse != nil || length == 0 {
		return store.Pause{}, s.refuse
	}
	return store.Pause{By: by, Since: now, Until: now.Add(length), Left: length}, nil
}

func (s *source) Drain(_ context.Context, name string, drain bool) error {
	s.drained = append(s.drained, fmt.Sprintf("%s=%t", name, drain))
	return s.refuse
}

// serve serves a source, and returns a client of it.
func serve(t *testing.T, s *source) (*client.Client, string) {
	t.Helper()
	mux := http.NewServeMux()
	for _, path := range nodesapi.Paths {
		mux.Handle(path, nodesapi.Handler(s))
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c, err := client.New(client.Config{Server: server.URL, Pause: func(context.Context, time.Duration) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, server.URL
}

// TestHowANodeHasEnded: who looks wants to see what died and is missing, and not what was stopped, or is back.
func TestHowANodeHasEnded(t *testing.T) {
	named := func(name, id string, n store.Node) store.Node { n.Name, n.ID = name, store.NodeID(id); return n }
	left := func(n *store.Node) { n.Member, n.Seen, n.Expires = false, ago(time.Minute), ago(time.Minute) }
	for _, c := range []struct {
		reason         string
		node           store.Node
		left, replaced bool
	}{
		{"a member", node("b", 128), false, false},
		{"one that has stopped was heard of when it left", node("b", 0, left), true, false},
		{"one that died was a member for some time after it was heard of last", node("b", 0, dead), false, false},
		{"one that died, and was started again under its name", named("a", "a#0", node("b", 0, dead)), false, true},
		{"one that died, and was started again on its machine", named("h/17", "h#0", node("b", 0, dead)), false, true},
		{"an earlier run that was stopped", named("a", "a#0", node("b", 0, left)), true, true},
	} {
		c.node.Joined = ago(48 * time.Hour)
		s := &source{facts: *healthy(with(node("a", 128), node("h/20", 0), c.node))}
		api, _ := serve(t, s)
		n, err := api.Nodes(t.Context())
		if err != nil || len(n.Items) != 3 {
			t.Fatalf("%s: %+v, %v", c.reason, n, err)
		}
		if got := n.Items[2]; got.Left != c.left || got.Replaced != c.replaced {
			t.Errorf("%s: left %t, replaced %t", c.reason, got.Left, got.Replaced)
		}
	}
}

// TestClientReadsIt: what the handler writes is what the client understands.
func TestClientReadsIt(t *testing.T) {
	s := &source{facts: *healthy(with(node("a", 128, skew(-1500*time.Microsecond)), node("b", 128, draining), node("c", 0, dead)), unowned(1, time.Minute))}
	s.facts.At = now
	s.others = []nodesapi.Lease{{Scope: "author/import", Holder: "h/1", Epoch: "1.4", Held: true, Expires: now}}
	c, _ := serve(t, s)
	n, err := c.Nodes(t.Context())
	if err != nil || n.Answered != "a" || !n.Shared || n.Unowned != 1 || len(n.Items) != 3 || !n.At.Equal(now) {
		t.Fatalf("%+v, %v", n, err)
	}
	if a, b := n.Items[0], n.Items[1]; a.Skew != "-2ms" || !a.Self || !a.Member || a.Shards != 128 || a.ID != "a#1" || b.Self || !b.Draining || n.Items[2].Member {
		t.Errorf("%+v", n.Items)
	}
	l, err := c.Leases(t.Context())
	if err != nil || len(l.Items) != 2 || len(l.Items[0].Shards) != 128 || len(l.Items[1].Shards) != 127 || !reflect.DeepEqual(l.Unowned, []int{255}) {
		t.Fatalf("%+v, %v", l, err)
	}
	if first := l.Items[0].Shards[1]; first.Shard != 2 || first.Epoch != "1.3" || l.Items[0].Low != "1.3" || l.Items[0].High != "1.3" {
		t.Errorf("%+v", l.Items[0])
	}
	if want := (client.Lease{Scope: "author/import", Holder: "h/1", Epoch: "1.4", Held: true, Expires: now}); len(l.Others) != 1 || l.Others[0] != want {
		t.Errorf("%+v, want %+v", l.Others, want)
	}
	d, err := c.Doctor(t.Context())
	if err != nil || d.Well || len(d.Findings) == 0 || d.Findings[0].Code != "ShardsUnowned" || !d.Findings[0].Since.Equal(ago(time.Minute)) {
		t.Errorf("%+v, %v", d, err)
	}
}

// TestEpochsOfANode: the lowest and the highest, compared as epochs and not as texts.
func TestEpochsOfANode(t *testing.T) {
	s := &source{facts: *healthy(func(f *nodesapi.Facts) {
		f.Assigned = f.Assigned[:6]
		f.Assigned[0].Epoch = resource.Epoch{Incarnation: 1, Counter: 12}
		f.Assigned[5].Node, f.Assigned[5].Epoch = "forgotten#1", resource.Epoch{Incarnation: 2, Counter: 1}
	})}
	c, _ := serve(t, s)
	l, err := c.Leases(t.Context())
	if err != nil || l.Items[0].Low != "1.3" || l.Items[0].High != "1.12" || len(l.Items) != 3 || l.Items[2].Node != "forgotten#1" || l.Items[2].Member {
		t.Errorf("%+v, %v", l.Items, err)
	}
}

func TestTheDatabaseIsAway(t *testing.T) {
	s := &source{facts: *healthy(func(f *nodesapi.Facts) { f.Err, f.At = errAway, ago(time.Minute) }), othersOf: errors.New("ask the database: refused")}
	c, _ := serve(t, s)
	n, err := c.Nodes(t.Context())
	if err != nil || n.Problem != errAway.Error() || len(n.Items) != 2 || !n.At.Equal(ago(time.Minute)) {
		t.Errorf("%+v, %v: want what is remembered, and why", n, err)
	}
	l, err := c.Leases(t.Context())
	if err != nil || !strings.Contains(l.Problem, errAway.Error()) || !strings.Contains(l.Problem, "ask the database") || l.Others == nil {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestDrain(t *testing.T) {
	s := &source{facts: *healthy(with(node("edge/1", 256), node("b", 0)))}
	c, url := serve(t, s)
	if warning, err := c.Drain(t.Context(), "edge/1", true); err != nil || warning != "" {
		t.Errorf("%q, %v", warning, err)
	}
	if warning, err := c.Drain(t.Context(), "edge/1", false); err != nil || warning != "" {
		t.Errorf("%q, %v", warning, err)
	}
	if want := []string{"edge/1=true", "edge/1=false"}; !reflect.DeepEqual(s.drained, want) {
		t.Errorf("asked for %q, want %q", s.drained, want)
	}
	answer, err := http.Post(url+"/setpoint/v1/nodes/edge/1/drain", "application/json", strings.NewReader(`{"drain": true}`))
	if err != nil || answer.StatusCode != http.StatusOK || len(s.drained) != 3 || s.drained[2] != "edge/1=true" {
		t.Errorf("a name with a slash as it is: %v, %v, %q", answer, err, s.drained)
	}
	if err := answer.Body.Close(); err != nil {
		t.Error(err)
	}
	s.facts.Nodes[1].Draining = true
	if warning, err := c.Drain(t.Context(), "edge/1", true); err != nil || !strings.Contains(warning, "no other node is left") {
		t.Errorf("%q, %v: want to be told that nobody works then", warning, err)
	}
}

func TestDrainRefused(t *testing.T) {
	for _, test := range []struct {
		reason string
		err    error
		is     error
		says   string
	}{
		{"nobody else could take the work", fmt.Errorf("%w (sqlite)", nodesapi.ErrAlone), client.ErrConflict, "drain x: one process works on this database at a time"},
		{"a name that was never seen is a slip", fmt.Errorf("cordon x: %w", store.ErrNotFound), client.ErrNotFound, "GET /setpoint/v1/nodes lists"},
		{"no name that a database can hold", fmt.Errorf("cordon x: %w", store.ErrInvalid), client.ErrInvalid, "cordon x"},
		{"it may be asked for again", fmt.Errorf("cordon x: %w", store.ErrUnavailable), client.ErrUnavailable, "nothing was changed"},
	} {
		c, _ := serve(t, &source{facts: *healthy(), refuse: test.err})
		if _, err := c.Drain(t.Context(), "x", true); !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %v and %q", test.reason, err, test.is, test.says)
		}
	}
}

func TestRefusals(t *testing.T) {
	h := nodesapi.Handler(&source{facts: *healthy()})
	for _, test := range []struct {
		method, path, kind, body string
		code                     int
		says, reason             string
	}{
		{"POST", "/setpoint/v1/nodes", "", "", 405, "MethodNotAllowed", "nodes make themselves known"},
		{"DELETE", "/setpoint/v1/doctor", "", "", 405, "MethodNotAllowed", "it changes nothing"},
		{"GET", "/setpoint/v1/nodes/a/drain", "", "", 405, "with POST", "a link must not drain"},
		{"GET", "/setpoint/v1/nodes/a", "", "", 404, "NotFound", "one node has no page"},
		{"POST", "/setpoint/v1/nodes//drain", "application/json", `{"drain":true}`, 404, "NotFound", "a node has a name"},
		{"POST", "/setpoint/v1/nodes/a/drain", "text/plain", `{"drain":true}`, 415, "application/json", "a form of another site can send this type unasked"},
		{"POST", "/setpoint/v1/nodes/a/drain", "application/json", `{}`, 400, "want {", "an empty body says nothing"},
		{"POST", "/setpoint/v1/nodes/a/drain", "application/json", `{"drain":"yes"}`, 400, "want {", "true or false"},
		{"POST", "/setpoint/v1/nodes/a/drain", "application/json", `{"drian":true}`, 400, "want {", "a slip is not a no"},
	} {
		r := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
		r.Header.Set("Content-Type", test.kind)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != test.code || !strings.Contains(w.Body.String(), test.says) || !strings.Contains(w.Body.String(), `"kind":"Status"`) {
			t.Errorf("%s %s: %d %s: %s", test.method, test.path, w.Code, w.Body, test.reason)
		}
	}
}
