package nodesapi_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/api/nodesapi"
	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/store"
)

// paused are facts of a take-up that was paused a while ago.
func paused(f *nodesapi.Facts) {
	f.Pause = store.Pause{By: "ada at 10.0.0.9", Since: ago(12 * time.Minute), Until: now.Add(18 * time.Minute), Left: 18 * time.Minute}
	f.Waiting = 1234
}

func TestPause(t *testing.T) {
	s := &source{facts: *healthy(func(f *nodesapi.Facts) { f.Waiting = 1234 })}
	c, _ := serve(t, s)
	p, err := c.PauseTakeUp(t.Context(), "ada", 30*time.Minute)
	if err != nil || !p.Paused || p.By != "ada at 127.0.0.1" || !p.Since.Equal(now) || !p.Until.Equal(now.Add(30*time.Minute)) || p.Waiting != 1234 {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := c.PauseTakeUp(t.Context(), "", time.Minute); err != nil {
		t.Error(err)
	}
	if p, err := c.ResumeTakeUp(t.Context()); err != nil || p != (client.TakeUp{Waiting: 1234}) {
		t.Errorf("%+v, %v", p, err)
	}
	if want := []string{"ada at 127.0.0.1=30m0s", "somebody at 127.0.0.1=1m0s", "=0s"}; !reflect.DeepEqual(s.paused, want) {
		t.Errorf("asked for %q, want %q", s.paused, want)
	}
}

// TestNodesTellOfAPause: as the client reads it.
func TestNodesTellOfAPause(t *testing.T) {
	c, _ := serve(t, &source{facts: *healthy(paused)})
	want := client.TakeUp{Paused: true, By: "ada at 10.0.0.9", Since: ago(12 * time.Minute), Until: now.Add(18 * time.Minute), Waiting: 1234}
	if n, err := c.Nodes(t.Context()); err != nil || n.TakeUp != want {
		t.Errorf("%+v, %v; want %+v", n.TakeUp, err, want)
	}
}

// TestTheDoctorTellsOfAPause: with who, how long, and how much waits; it needs nobody.
func TestTheDoctorTellsOfAPause(t *testing.T) {
	d := nodesapi.Diagnose(healthy(paused))
	if len(d.Findings) != 1 || !d.Well {
		t.Fatalf("%+v; want one finding, that needs nobody", d)
	}
	f := d.Findings[0]
	if f.Severity != nodesapi.Info || f.Code != "TakeUpPaused" || f.Object != "take-up" || !f.Since.Equal(ago(12*time.Minute)) ||
		f.What != "paused by ada at 10.0.0.9 for 12m0s, and for another 18m0s; on node a 1234 objects wait" || !strings.Contains(f.Remedy, "setpoint takeup resume") {
		t.Errorf("%+v", f)
	}
}

func TestPauseRefused(t *testing.T) {
	for _, test := range []struct {
		reason string
		err    error
		is     error
		says   string
	}{
		{"a store that was wrapped knows of no pauses", fmt.Errorf("%w (ours)", nodesapi.ErrNoPause), client.ErrConflict, "knows of no pauses (ours)"},
		{"too long", fmt.Errorf("pause: %w: of a year", store.ErrInvalid), client.ErrInvalid, "of a year"},
		{"it may be asked for again", fmt.Errorf("pause: %w", store.ErrUnavailable), client.ErrUnavailable, "ask again"},
	} {
		c, _ := serve(t, &source{facts: *healthy(), refuse: test.err})
		if _, err := c.PauseTakeUp(t.Context(), "ada", time.Hour); !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %v and %q", test.reason, err, test.is, test.says)
		}
	}
}

func TestTakeUpRequests(t *testing.T) {
	const kind = "application/json"
	for _, test := range []struct {
		method, kind, body string
		code               int
		says, asked        string
		reason             string
	}{
		{"GET", "", "", 200, `"paused":true`, "", "anybody may know"},
		{"DELETE", "", "", 405, "GET, HEAD, POST", "", "it is ended with POST"},
		{"POST", kind, `{"pause":true}`, 200, `"paused":true`, "somebody at 192.0.2.1=1h0m0s", "an hour when nothing is said"},
		{"POST", kind, `{"pause":false}`, 200, `"paused":false`, "=0s", "the end of it"},
		{"POST", "text/plain", `{"pause":true}`, 415, "application/json", "", "a form of another site can send this type unasked"},
		{"POST", kind, `{}`, 400, "want {", "", "an empty body says nothing"},
		{"POST", kind, `{"pause":"yes"}`, 400, "want {", "", "true or false"},
		{"POST", kind, `{"puase":true}`, 400, "want {", "", "a slip is not a no"},
		{"POST", kind, `{"pause":false,"for":"1h"}`, 400, "want {", "", "an end has no length: which of the two is meant?"},
		{"POST", kind, `{"pause":true,"for":"soon"}`, 400, "no time such as 30m", "", "no time"},
		{"POST", kind, `{"pause":true,"for":"0s"}`, 400, "ends a pause", "", "a pause of no length would end the one that there is"},
		{"POST", kind, `{"pause":true,"for":"-1h"}`, 400, "no time such as", "", "time does not run backwards"},
		{"POST", kind, `{"pause":true,"by":"` + strings.Repeat("a", 201) + `"}`, 400, "200 characters", "", "a novel is no name"},
	} {
		s := &source{facts: *healthy(paused)}
		r := httptest.NewRequest(test.method, nodesapi.TakeUpPath, strings.NewReader(test.body))
		r.Header.Set("Content-Type", test.kind)
		w := httptest.NewRecorder()
		nodesapi.Handler(s).ServeHTTP(w, r)
		said := w.Body.String() + w.Header().Get("Allow")
		if w.Code != test.code || !strings.Contains(said, test.says) || strings.Join(s.paused, " ") != test.asked {
			t.Errorf("%s %s: %d %s, asked for %q: %s", test.method, test.body, w.Code, said, s.paused, test.reason)
		}
	}
	if !nodesapi.Serves(nodesapi.TakeUpPath) {
		t.Error("it is not answered while the server loads, when it may be needed most")
	}
}
