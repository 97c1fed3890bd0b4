package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/client"
)

// TestRetries: reads are repeated while it may help; writes only when they certainly were not executed.
func TestRetries(t *testing.T) {
	get := func(c *client.Client) error { _, err := c.Get(context.Background(), gateways, shop); return err }
	create := func(c *client.Client) error {
		_, err := c.Create(context.Background(), gateways, &client.Object{Metadata: client.Metadata{Name: "shop", Namespace: "default"}}, client.WriteOptions{})
		return err
	}
	signal := func(c *client.Client) error {
		_, err := c.Signal(context.Background(), gateways, shop, client.Signal{Name: "Retry", Key: "k"})
		return err
	}
	ok := reply(200, gateway("shop", 1, ""))
	after := func(code int) step {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "1")
			refuse(code, "", "wait")(w, r)
		}
	}
	for _, test := range []struct {
		reason string
		call   func(*client.Client) error
		steps  []step
		want   error
		asked  int
	}{
		{"a read is repeated over a cut connection", get, []step{cut(""), cut(`{"ki`), ok}, nil, 3},
		{"and when the server cannot serve", get, []step{refuse(503, "ServiceUnavailable", "x"), refuse(504, "Timeout", "x"), ok}, nil, 3},
		{"but not for ever", get, slices.Repeat([]step{refuse(503, "", "x")}, 4), client.ErrUnavailable, 4},
		{"and not when it is refused", get, []step{refuse(404, "NotFound", "no")}, client.ErrNotFound, 1},
		{"an internal error is not repeated", get, []step{refuse(500, "InternalError", "bug")}, nil, 1},
		{"a write is not repeated when its answer is lost", create, []step{cut("")}, client.ErrUnknown, 1},
		{"nor when the server does not know", create, []step{refuse(504, "Timeout", "x")}, client.ErrUnknown, 1},
		{"a signal neither", signal, []step{cut("")}, client.ErrUnknown, 1},
		{"nor when the server cannot say that it did nothing", create, []step{refuse(503, "", "x")}, client.ErrUnavailable, 1},
		{"but when it says so", create, []step{after(503), after(429), ok}, nil, 3},
		{"an existing object is a refusal", create, []step{refuse(409, "AlreadyExists", "x")}, client.ErrExists, 1},
	} {
		t.Run(test.reason, func(t *testing.T) {
			s, c := newScript(t, test.steps...)
			err := test.call(c)
			if test.want != nil && !errors.Is(err, test.want) || (err != nil) != (test.want != nil || test.asked == 1) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if n := len(s.requests()); n != test.asked {
				t.Errorf("%d requests, want %d", n, test.asked)
			}
		})
	}
}

// TestNoServer: a server that is not there is unavailable, for writes too, and the message says what to do.
func TestNoServer(t *testing.T) {
	c := newClient(t, "http://127.0.0.1:1")
	_, err := c.Update(t.Context(), gateways, &client.Object{Metadata: client.Metadata{Name: "shop"}}, client.WriteOptions{})
	if !errors.Is(err, client.ErrUnavailable) || !strings.Contains(err.Error(), "is the server running?") {
		t.Errorf("%v", err)
	}
	if _, err := client.New(client.Config{Server: "127.0.0.1:1"}); err == nil {
		t.Error("a server without a scheme is accepted")
	}
}

// TestTimeout: a server that does not answer is given up, and the error says that time was the reason.
func TestTimeout(t *testing.T) {
	s, _ := newScript(t, stay(""), stay(""))
	c, err := client.New(client.Config{Server: s.URL, Timeout: time.Millisecond, Attempts: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Get(t.Context(), gateways, shop); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want a deadline", err)
	}
}

// TestStatusError: what the server explains is in the message, once.
func TestStatusError(t *testing.T) {
	_, c := newScript(t, reply(422, `{"kind":"Status","code":422,"reason":"Invalid","message":"Gateway \"shop\" is invalid",
		"details":{"causes":[{"field":"spec.host","reason":"FieldValueInvalid","message":"want a full name"}]}}`),
		reply(502, "<html>no luck</html>"), reply(500, ""))
	_, err := c.Patch(t.Context(), gateways, shop, map[string]any{"spec": nil}, client.WriteOptions{})
	want := `patch gateway default/shop: Gateway "shop" is invalid; spec.host: want a full name`
	var status *client.StatusError
	if !errors.As(err, &status) || err.Error() != want || !errors.Is(err, client.ErrInvalid) || errors.Is(err, client.ErrNotFound) {
		t.Errorf("%v, want %s", err, want)
	}
	_, err = c.Patch(t.Context(), gateways, shop, nil, client.WriteOptions{})
	if err == nil || err.Error() != "patch gateway default/shop: <html>no luck</html>" || !errors.Is(err, client.ErrUnknown) {
		t.Errorf("%v", err)
	}
	_, err = c.Patch(t.Context(), gateways, shop, nil, client.WriteOptions{})
	if err == nil || err.Error() != "patch gateway default/shop: the server answered 500 Internal Server Error" {
		t.Errorf("%v", err)
	}
}

// TestApply: whatever happens between two requests, an apply ends with one of its three results, or says why not.
func TestApply(t *testing.T) {
	exists, conflict := refuse(409, "AlreadyExists", "x"), refuse(409, "Conflict", "x")
	live, next := reply(200, gateway("shop", 5, "")), reply(200, gateway("shop", 6, ""))
	gone := refuse(404, "NotFound", "x")
	for _, test := range []struct {
		reason string
		steps  []step
		did    client.Applied
		want   error
	}{
		{"it does not exist", []step{reply(201, gateway("shop", 1, ""))}, client.Created, nil},
		{"it exists and differs", []step{exists, live, next}, client.Configured, nil},
		{"it exists and does not differ", []step{exists, live, live}, client.Unchanged, nil},
		{"others write meanwhile", []step{exists, live, conflict, exists, live, next}, client.Configured, nil},
		{"it goes before it is read", []step{exists, gone, reply(201, gateway("shop", 1, ""))}, client.Created, nil},
		{"it goes before it is written", []step{exists, live, gone, reply(201, gateway("shop", 1, ""))}, client.Created, nil},
		{"the answer is lost, and it was made", []step{cut(""), exists, live, live}, client.Unchanged, nil},
		{"it is being deleted", []step{exists, reply(200, gateway("shop", 5, `,"deletionTimestamp":"2026-01-01T00:00:00Z"`))}, "", client.ErrDeleting},
		{"others never stop", slices.Repeat([]step{exists, live, conflict}, 8), "", client.ErrConflict},
		{"it is invalid", []step{refuse(422, "Invalid", "x")}, "", client.ErrInvalid},
	} {
		t.Run(test.reason, func(t *testing.T) {
			s, c := newScript(t, test.steps...)
			manifest := &client.Object{Metadata: client.Metadata{Name: "shop", Namespace: "default"}, Spec: json.RawMessage(`{"host":"b"}`)}
			_, did, err := c.Apply(t.Context(), gateways, manifest, client.WriteOptions{})
			if test.want == nil && (err != nil || did != test.did) || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("%q, %v; want %q, %v", did, err, test.did, test.want)
			}
			if n := len(s.requests()); n != len(test.steps) {
				t.Errorf("%d requests, want %d: %q", n, len(test.steps), s.requests())
			}
		})
	}
}

// TestApplyOverlays: what a manifest does not determine stays as it is.
func TestApplyOverlays(t *testing.T) {
	s, c := newScript(t, refuse(409, "AlreadyExists", "x"),
		reply(200, gateway("shop", 5, `,"labels":{"a":"1","b":"2"},"finalizers":["dns"],"ownerReferences":[{"apiVersion":"v1","kind":"K","name":"n","uid":"u"}]`)),
		reply(200, gateway("shop", 6, "")))
	manifest := &client.Object{Metadata: client.Metadata{Name: "shop", Namespace: "default", Labels: map[string]string{"b": "3"}}, Spec: json.RawMessage(`{"host":"b"}`)}
	if _, _, err := c.Apply(t.Context(), gateways, manifest, client.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	sent := s.requests()[2]
	for _, want := range []string{`"labels":{"a":"1","b":"3"}`, `"finalizers":["dns"]`, `"uid":"u"`, `"resourceVersion":"5"`, `"spec":{"host":"b"}`} {
		if !strings.Contains(sent, want) {
			t.Errorf("the update lacks %s: %s", want, sent)
		}
	}
}

// TestAllReadsEveryPage: pages are asked for until there are none.
func TestAllReadsEveryPage(t *testing.T) {
	page := func(next, name string) step {
		return reply(200, `{"metadata":{"resourceVersion":"9","continue":"`+next+`"},"items":[`+gateway(name, 1, "")+`]}`)
	}
	s, c := newScript(t, page("t1", "a"), page("t2", "b"), page("", "c"))
	var names []string
	for o, err := range c.All(t.Context(), gateways, client.ListOptions{Namespace: "default"}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, string(o.Metadata.Name))
	}
	equal(t, "names", names, []string{"a", "b", "c"})
	path := "GET /apis/edge.example/v1/namespaces/default/gateways"
	equal(t, "requests", s.requests(), []string{path, path + " continue t1", path + " continue t2"})
}

// TestDelete: an object that is held comes back; one that is gone does not.
func TestDelete(t *testing.T) {
	s, c := newScript(t, reply(200, `{"kind":"Status","status":"Success"}`), reply(200, gateway("shop", 5, `,"deletionTimestamp":"2026-01-01T00:00:00Z"`)))
	left, err := c.Delete(t.Context(), gateways, shop, client.DeleteOptions{UID: "u", Propagation: "Foreground"})
	if left != nil || err != nil {
		t.Errorf("%v, %v; want it gone", left, err)
	}
	if left, err = c.Delete(t.Context(), gateways, shop, client.DeleteOptions{}); left == nil || err != nil || !left.Deleting() {
		t.Errorf("%v, %v; want it on its way out", left, err)
	}
	if want := `"preconditions":{"uid":"u"},"propagationPolicy":"Foreground"`; !strings.Contains(s.requests()[0], want) {
		t.Errorf("%s lacks %s", s.requests()[0], want)
	}
}

// TestObjectKeepsAll: what is read is written again, fields that this package does not know too.
func TestObjectKeepsAll(t *testing.T) {
	const text = `{"apiVersion":"v1","data":{"a":"b"},"kind":"ConfigMap","metadata":{"name":"x"},"spec":{"n":12345678901234567890}}`
	var o client.Object
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(&o)
	if err != nil || string(again) != text {
		t.Errorf("%s, %v; want %s", again, err, text)
	}
}

// TestKubeconfig: the file is whole, private and replaced.
func TestKubeconfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	for _, server := range []string{"http://a:1", "http://b:2"} {
		if err := client.WriteKubeconfig(path, server); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), `"server": "`+server+`"`) || !json.Valid(text) {
			t.Errorf("%s, %v", text, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want it private", info, err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%v, %v; want the file alone", left, err)
	}
	if err := client.WriteFile(filepath.Join(path, "below"), nil); err == nil {
		t.Error("a file below a file was written")
	}
}
