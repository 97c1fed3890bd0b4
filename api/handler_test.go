package api_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/api"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/resource"
)

func TestProbesAndMetrics(t *testing.T) {
	s := serve(t, func(o *api.Options) {
		o.Authenticate = func(*http.Request) (string, error) { return "", errors.New("nobody may") }
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if _, err := io.WriteString(w, "setpoint_up 1\n"); err != nil {
				t.Error(err)
			}
		})
	})
	for _, path := range []string{"/livez", "/readyz", "/healthz"} {
		if answer, body := s.exchange(t, "GET", path, ""); answer.StatusCode != http.StatusOK || body != "ok" {
			t.Errorf("%s: %s %s", path, answer.Status, body)
		}
	}
	s.fall(errors.New("the feed stands still"))
	for _, path := range []string{"/livez", "/readyz"} {
		if answer, body := s.exchange(t, "GET", path, ""); answer.StatusCode != http.StatusServiceUnavailable || body != "the feed stands still\n" {
			t.Errorf("%s: %s %s", path, answer.Status, body)
		}
	}
	if answer, body := s.exchange(t, "GET", "/metrics", ""); answer.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "nobody may") {
		t.Errorf("/metrics for nobody: %s %s", answer.Status, body)
	}
	open := serve(t, func(o *api.Options) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if _, err := io.WriteString(w, "setpoint_up 1\n"); err != nil {
				t.Error(err)
			}
		})
	})
	if _, body := open.exchange(t, "GET", "/metrics", ""); body != "setpoint_up 1\n" {
		t.Errorf("/metrics: %s", body)
	}
	if answer, _ := serve(t).exchange(t, "GET", "/metrics", ""); answer.StatusCode != http.StatusNotFound {
		t.Errorf("/metrics that is not there: %s", answer.Status)
	}
}

// TestAuthorize: every request for resources is judged, with the words that rules are written in.
func TestAuthorize(t *testing.T) {
	var asked []api.Access
	var mu sync.Mutex
	s := serve(t, func(o *api.Options) {
		o.Authenticate = func(*http.Request) (string, error) { return "ada", nil }
		o.Authorize = func(_ *http.Request, a api.Access) error {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, a)
			return errors.New("not today")
		}
	})
	for _, r := range []struct{ method, path, verb, sub string }{
		{"GET", "", "list", ""}, {"GET", "?watch=1", "watch", ""}, {"POST", "", "create", ""}, {"DELETE", "", "deletecollection", ""},
		{"GET", "/a", "get", ""}, {"PUT", "/a", "update", ""}, {"PATCH", "/a", "patch", ""}, {"DELETE", "/a", "delete", ""},
		{"PUT", "/a/status", "update", "status"}, {"GET", "/a/why", "get", "why"}, {"GET", "/a/history", "get", "history"}, {"POST", "/a/signal", "create", "signal"},
	} {
		asked = nil
		answer, body := s.exchange(t, r.method, gateways1+r.path, "{}")
		if answer.StatusCode != http.StatusForbidden || !strings.Contains(body, "is forbidden: not today") {
			t.Errorf("%s %s: %s %s", r.method, r.path, answer.Status, body)
		}
		want := api.Access{User: "ada", Verb: r.verb, Kind: "Gateway.edge.example", Namespace: "default", Subresource: r.sub}
		if strings.HasPrefix(r.path, "/a") {
			want.Name = "a"
		}
		if len(asked) != 1 || asked[0] != want {
			t.Errorf("%s %s asks for %+v, want %+v", r.method, r.path, asked, want)
		}
	}
	if answer, _ := s.exchange(t, "GET", "/api/v1/namespaces", ""); answer.StatusCode != http.StatusForbidden {
		t.Errorf("namespaces: %s", answer.Status)
	}
}

// TestOverload: what is over the bound is told to come again; probes are answered all the same.
func TestOverload(t *testing.T) {
	hold, held := make(chan struct{}), make(chan struct{})
	s := serve(t, func(o *api.Options) {
		o.MaxRequests, o.MaxWatches = 1, 1
		o.Authorize = func(r *http.Request, _ api.Access) error {
			if r.Header.Get("Hold") != "" {
				held <- struct{}{}
				<-hold
			}
			return nil
		}
	})
	var wait sync.WaitGroup
	wait.Go(func() { s.exchange(t, "GET", gateways1, "", "Hold", "yes") })
	<-held
	answer, body := s.exchange(t, "GET", gateways1, "")
	if answer.StatusCode != http.StatusTooManyRequests || answer.Header.Get("Retry-After") != "1" || !strings.Contains(body, `"reason":"TooManyRequests"`) {
		t.Errorf("one too many: %s %s", answer.Status, body)
	}
	if answer, _ := s.exchange(t, "GET", "/livez", ""); answer.StatusCode != http.StatusOK {
		t.Errorf("the probe: %s", answer.Status)
	}
	s.watch(t, gateways1, q()) // a watch has a bound of its own
	if answer, _ := s.exchange(t, "GET", gateways1+"?watch=1", ""); answer.StatusCode != http.StatusTooManyRequests {
		t.Errorf("one watch too many: %s", answer.Status)
	}
	close(hold)
	wait.Wait()
	if answer, _ := s.exchange(t, "GET", gateways1, ""); answer.StatusCode != http.StatusOK {
		t.Errorf("after the rush: %s", answer.Status)
	}
}

// TestPanic: a panic fails the request that met it, and no other.
func TestPanic(t *testing.T) {
	var said log
	s := serve(t, func(o *api.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&said, nil))
		o.Authorize = func(r *http.Request, _ api.Access) error {
			if r.Header.Get("Panic") != "" {
				panic("a bug of an author")
			}
			return nil
		}
	})
	answer, body := s.exchange(t, "GET", gateways1, "", "Panic", "yes")
	if answer.StatusCode != http.StatusInternalServerError || !strings.Contains(body, `"reason":"InternalError"`) || !strings.Contains(body, "a bug of an author") {
		t.Errorf("%s %s", answer.Status, body)
	}
	if !strings.Contains(said.String(), "handler_test.go") {
		t.Errorf("the log does not say where: %s", said.String())
	}
	if answer, _ := s.exchange(t, "GET", gateways1, ""); answer.StatusCode != http.StatusOK {
		t.Errorf("the next request: %s", answer.Status)
	}
}

// TestDrain: watches end, and further ones end at once, so that a server can shut down.
func TestDrain(t *testing.T) {
	s := serve(t)
	s.make(t, "a", "default", nil)
	w := s.watch(t, gateways1, q())
	w.expect("ADDED a@1")
	s.handler.Drain()
	w.ends()
	w = s.watch(t, gateways1, q())
	w.expect("ADDED a@1")
	w.ends()
}

// TestSlowWatcher: a client that does not read holds up nobody. What it has missed and what is not retained any more, it is told to list again.
func TestSlowWatcher(t *testing.T) {
	s := serve(t, func(o *api.Options) { o.WriteTimeout = time.Hour }) // or a busy machine ends the connection of one who has read nothing for so long
	slow, quick := s.watch(t, gateways1, q()), s.watch(t, gateways1, q())
	notes := `{"host":"h","notes":["` + strings.Repeat("x", 500_000) + `"]}`
	const objects = 64 // 32 MB, more than any buffer on the way takes
	var last resource.Revision
	for i := range objects {
		o := &resource.Object{Meta: resource.Meta{Key: gatewayKey(resource.Name(fmt.Sprintf("g%d", i)))}, Spec: []byte(notes)}
		made, err := s.Create(t.Context(), "test", o, api.WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		last = made.Revision
		quick.expect(fmt.Sprintf("ADDED g%d@%d", i, last))
	}
	if err := s.store.Compact(t.Context(), last, time.Time{}); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for {
		e := slow.next()
		if e.Type == "ERROR" {
			if e.Object.Reason != "Expired" || seen == objects {
				t.Errorf("after %d events %+v", seen, e)
			}
			break
		}
		if want := fmt.Sprintf("ADDED g%d@%d", seen, seen+1); e.String() != want {
			t.Fatalf("event %s, want %s", e, want)
		}
		if seen++; seen == objects {
			break // everything was on its way already
		}
	}
}

// TestPatchesMeet: patches that name no revision are applied one after the other, and none is lost.
func TestPatchesMeet(t *testing.T) {
	s := serve(t)
	s.make(t, "a", "default", nil)
	const patches = 24
	var wait sync.WaitGroup
	for i := range patches {
		wait.Go(func() {
			answer, body := s.exchange(t, "PATCH", gateways1+"/a", fmt.Sprintf(`{"metadata":{"labels":{"n%d":"x"}}}`, i), "Content-Type", merge)
			if answer.StatusCode != http.StatusOK {
				t.Errorf("%s %s", answer.Status, body)
			}
		})
	}
	wait.Wait()
	o, _ := s.Get(gatewayKey("a"))
	if len(o.Labels) != patches {
		t.Errorf("%d labels, want %d", len(o.Labels), patches)
	}
}

// TestEngineFields: what the engine keeps of an object survives a client that does not know of it, and cannot be forged by one that does.
func TestEngineFields(t *testing.T) {
	s := serve(t)
	owner := s.make(t, "owner", "default", nil)
	o := &resource.Object{Meta: resource.Meta{Key: gatewayKey("child")}, Spec: []byte(`{"host":"h"}`)}
	o.Needs = []string{"ip"}
	o.Owners = []resource.Owner{{Key: owner.Key, UID: owner.UID, Child: "dns"}}
	if _, err := s.Create(t.Context(), "test", o, api.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	// As it is served, without the engine's annotations.
	text := fmt.Sprintf(`{"metadata":{"name":"child","ownerReferences":[{"apiVersion":"edge.example/v1","kind":"Gateway","name":"owner","uid":%q,"controller":true}]},"spec":{"host":"new"}}`, owner.UID)
	if answer, body := s.exchange(t, "PUT", gateways1+"/child", text); answer.StatusCode != http.StatusOK {
		t.Fatal(body)
	}
	got, _ := s.Get(gatewayKey("child"))
	if len(got.Owners) != 1 || got.Owners[0].Child != "dns" || got.Owners[0].Namespace != "default" || len(got.Needs) != 1 || got.State != "Pending" {
		t.Errorf("after a replacement: %+v", got.Meta)
	}
	forged := strings.Replace(text, `"name":"child"`, `"name":"forged","annotations":{"setpoint.dev/child":"x","setpoint.dev/needs":"y"}`, 1)
	if answer, body := s.exchange(t, "POST", gateways1, forged); answer.StatusCode != http.StatusCreated {
		t.Fatal(body)
	}
	got, _ = s.Get(gatewayKey("forged"))
	if got.Owners[0].Child != "" || got.Owners[0].Namespace != "default" || len(got.Needs) != 0 || got.UID == "" {
		t.Errorf("forged: %+v", got.Meta)
	}
}

// TestFresh: a read of a revision that is not seen yet waits for it, and gives up in words that clients know.
func TestFresh(t *testing.T) {
	s := serve(t, func(o *api.Options) { o.FreshTimeout = 50 * time.Millisecond })
	answer, body := s.exchange(t, "GET", gateways1+"?resourceVersion=9", "")
	if answer.StatusCode != http.StatusGatewayTimeout || !strings.Contains(body, "Too large resource version: 9, current: 0") || answer.Header.Get("Retry-After") != "1" {
		t.Errorf("%s %s", answer.Status, body)
	}
	patient := serve(t)
	var wait sync.WaitGroup
	wait.Go(func() {
		if answer, body := patient.exchange(t, "GET", gateways1+"?resourceVersion=1", ""); answer.StatusCode != http.StatusOK || !strings.Contains(body, `"name":"a"`) {
			t.Errorf("%s %s", answer.Status, body)
		}
	})
	patient.make(t, "a", "default", nil)
	wait.Wait()
	testkit.Wait(t, "the object is seen", func() bool { _, ok := patient.Get(gatewayKey("a")); return ok })
}
