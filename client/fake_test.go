package client_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.Cleanup(os.Exit)) }

// script is a server that answers each request by the next step, and remembers what it was asked.
type script struct {
	*httptest.Server
	t     *testing.T
	mu    sync.Mutex
	asked []string
	steps []step
}

// step answers one request.
type step func(w http.ResponseWriter, r *http.Request)

// newScript starts a server, and a client of it that does not pause.
func newScript(t *testing.T, steps ...step) (*script, *client.Client) {
	t.Helper()
	s := &script{t: t, steps: steps}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s, newClient(t, s.URL)
}

func newClient(t *testing.T, server string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Server: server, Pause: func(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	line := r.Method + " " + r.URL.Path
	if v := r.URL.Query().Get("resourceVersion"); v != "" {
		line += " from " + v
	}
	if v := r.URL.Query().Get("continue"); v != "" {
		line += " continue " + v
	}
	if len(body) > 0 {
		line += " " + string(body)
	}
	s.mu.Lock()
	s.asked = append(s.asked, line)
	var next step
	if len(s.steps) > 0 {
		next, s.steps = s.steps[0], s.steps[1:]
	}
	s.mu.Unlock()
	if next == nil {
		s.t.Errorf("unexpected request: %s", line)
		http.Error(w, "the script is at its end", http.StatusTeapot)
		return
	}
	next(w, r)
}

// requests are those asked so far.
func (s *script) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// reply answers with a code and a body.
func reply(code int, body string) step {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

// refuse answers with a Status.
func refuse(code int, reason, message string) step {
	return reply(code, fmt.Sprintf(`{"kind":"Status","status":"Failure","code":%d,"reason":%q,"message":%q}`, code, reason, message))
}

// cut sends a part of an answer and breaks the connection.
func cut(part string) step {
	return func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, part)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// stay sends a part of an answer and keeps the connection until the client leaves.
func stay(part string) step {
	return func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, part)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
}

// gateways is the kind of the tests.
var gateways = client.Kind{Group: "edge.example", Version: "v1", Kind: "Gateway", Plural: "gateways", Singular: "gateway", Namespaced: true}

var shop = client.Ref{Namespace: "default", Name: "shop"}

// gateway is the JSON of one at a version.
func gateway(name string, version int, more string) string {
	return fmt.Sprintf(`{"apiVersion":"edge.example/v1","kind":"Gateway","metadata":{"name":%q,"namespace":"default","uid":"uid-%s","resourceVersion":"%d","generation":1%s},`+
		`"spec":{"host":"a"}}`, name, name, version, more)
}

func event(kind, object string) string {
	return fmt.Sprintf(`{"type":%q,"object":%s}`+"\n", kind, object)
}

func list(version int, items ...string) string {
	body := ""
	for i, item := range items {
		if i > 0 {
			body += ","
		}
		body += item
	}
	return fmt.Sprintf(`{"metadata":{"resourceVersion":"%d"},"items":[%s]}`, version, body)
}
