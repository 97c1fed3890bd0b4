package client_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/resource"
)

const shopPath = "/apis/edge.example/v1/namespaces/default/gateways/shop"

// TestSignal: what is said about a signal is what is sent, and nothing else.
func TestSignal(t *testing.T) {
	s, c := newScript(t,
		reply(201, `{"kind":"Signal","id":7,"name":"NeedsRestart","fresh":true}`),
		reply(200, `{"kind":"Signal","id":7,"name":"NeedsRestart","fresh":false}`),
		refuse(422, "Invalid", "signal refused: forbidden"),
	)
	first, err := c.Signal(t.Context(), gateways, shop, client.Signal{
		Name: "NeedsRestart", Payload: json.RawMessage(`{"hard":true}`), Why: "it leaks", Key: "leak", For: 90 * time.Second,
	})
	if err != nil || *first != (client.RaisedSignal{ID: 7, Name: "NeedsRestart", Fresh: true}) {
		t.Errorf("got %+v, %v: want the new signal", first, err)
	}
	second, err := c.Signal(t.Context(), gateways, shop, client.Signal{Name: "NeedsRestart"})
	if err != nil || second.Fresh {
		t.Errorf("got %+v, %v: want the one that stands", second, err)
	}
	if _, err := c.Signal(t.Context(), gateways, shop, client.Signal{Name: "NeedsRest"}); !errors.Is(err, client.ErrInvalid) || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("got %v, want the reason of the refusal", err)
	}
	if _, err := c.Signal(t.Context(), gateways, shop, client.Signal{Name: "X", Payload: json.RawMessage(`{`)}); err == nil {
		t.Error("a payload that is no JSON was sent")
	}
	want := []string{
		`POST ` + shopPath + `/signal {"name":"NeedsRestart","payload":{"hard":true},"why":"it leaks","dedupe":"leak","forSeconds":90}`,
		`POST ` + shopPath + `/signal {"name":"NeedsRestart"}`, `POST ` + shopPath + `/signal {"name":"NeedsRest"}`,
	}
	if got := s.requests(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSignalsAndActions(t *testing.T) {
	_, c := newScript(t,
		reply(200, `{"items":[{"id":7,"name":"NeedsRestart","by":"ada","at":"2026-11-21T09:00:00Z","dedupe":"leak","note":"waits for Promote"}]}`),
		reply(200, `{"action":{"name":"Promote","run":4,"phase":"Running","steps":[{"name":"fence","phase":"Done","result":{"ok":true}}]},"lastAction":{"name":"Restart","outcome":"Failed"}}`),
		refuse(404, "NotFound", "no"), refuse(404, "NotFound", "no"),
	)
	standing, err := c.Signals(t.Context(), gateways, shop)
	if err != nil || len(standing) != 1 || standing[0].Key != "leak" || standing[0].Note != "waits for Promote" || !standing[0].Expires.IsZero() {
		t.Errorf("got %+v, %v", standing, err)
	}
	a, err := c.Actions(t.Context(), gateways, shop)
	if err != nil || a.Action.Run != 4 || string(a.Action.Steps[0].Result) != `{"ok":true}` || a.Last.Outcome != resource.OutcomeFailed {
		t.Errorf("got %+v, %v", a, err)
	}
	if _, err := c.Signals(t.Context(), gateways, shop); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("signals of nobody: %v", err)
	}
	if _, err := c.Actions(t.Context(), gateways, shop); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("actions of nobody: %v", err)
	}
}
