package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/server"
)

// gates have a decision table, and nobody here who acts on it: what is raised stands.
var gates = setpoint.MustDefine(setpoint.KindOptions[struct{}, struct{}]{
	Group: "test.example", Version: "v1", Kind: "Gate",
	Lifecycle: setpoint.Lifecycle{
		{State: "Shut", Stable: true, To: setpoint.To("Moving", "Leaving")},
		{State: "Moving", To: setpoint.To("Shut", "Leaving")},
		{State: "Leaving", Deleting: true, To: setpoint.To("Left")},
		{State: "Left", Final: true},
	},
	Decisions: setpoint.Decisions{
		Signals: []setpoint.Signal{{Name: "Oil", About: "it squeaks"}, {Name: "Paint", About: "it rusts"}},
		Actions: []setpoint.ActionStates{{Name: "Mend", Via: "Moving", To: "Shut", Else: "Shut"}},
		Rows: []setpoint.Row{
			{When: decide.All("Oil"), Do: "Mend"}, {When: decide.All("Paint"), Ignore: "it may rust"},
			{When: decide.All("Oil", "Paint"), Forbid: "paint does not hold on oil"},
		},
	},
})

// TestWhatClientsMayNotDo: a signal that the table forbids, a write of the state and the start of an action are refused in words, over HTTP, and the latter two
// are on record.
func TestWhatClientsMayNotDo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	listening, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- server.Run(ctx, server.Options{
			Listen: "127.0.0.1:0", Store: filepath.Join(t.TempDir(), "setpoint.db"), Kinds: []*setpoint.Definition{gates.Definition},
			Listening: func(url string) error { listening <- url; return nil },
		})
	}()
	var url string
	select {
	case url = <-listening:
	case err := <-ended:
		t.Fatalf("the server ended: %v", err)
	}
	c, err := client.New(client.Config{Server: url})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		c.Close()
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	kind, err := c.Resolve(t.Context(), "gates")
	if err != nil {
		t.Fatal(err)
	}
	ref := client.Ref{Namespace: "default", Name: "g"}
	made, err := c.Create(t.Context(), kind, &client.Object{Metadata: client.Metadata{Name: "g", Namespace: "default"}, Spec: json.RawMessage(`{}`)}, client.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	raises(t, c, kind, ref)

	status := map[string]json.RawMessage{}
	if err := json.Unmarshal(made.Status, &status); err != nil {
		t.Fatal(err)
	}
	status["state"] = json.RawMessage(`"Moving"`)
	if made.Status, err = json.Marshal(status); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UpdateStatus(t.Context(), kind, made, client.WriteOptions{}); !errors.Is(err, client.ErrInvalid) || !strings.Contains(err.Error(), "raise a signal") {
		t.Errorf("a write of the state: %v", err)
	}
	if o, err := c.Update(t.Context(), kind, made, client.WriteOptions{}); err != nil || !strings.Contains(string(o.Status), `"Shut"`) {
		t.Errorf("a replacement by what was read before does not concern the status: %v, %v", o, err)
	}
	answer, err := http.Post(url+"/apis/test.example/v1/namespaces/default/gates/g/actions", "application/json", strings.NewReader(`{"name":"Mend"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("the start of an action: %s, %v", answer.Status, err)
	}
	recorded := map[string]int{}
	history, err := c.History(t.Context(), kind, ref, client.HistoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range history {
		recorded[e.Reason+" by "+e.Writer.Name]++
	}
	if recorded["StateWriteRefused by api:anonymous"] != 1 || recorded["ActionRefused by api:anonymous"] != 1 {
		t.Errorf("the history has %v: want each refusal once", recorded)
	}
}

// raises tries signals that the table allows and that it does not.
func raises(t *testing.T, c *client.Client, kind client.Kind, ref client.Ref) {
	t.Helper()
	for _, raise := range []struct {
		reason string
		signal client.Signal
		fresh  bool
		says   string
	}{
		{"the table knows it", client.Signal{Name: "Oil", Why: "it squeaks", Key: "k"}, true, ""},
		{"it stands", client.Signal{Name: "Oil", Key: "k"}, false, ""},
		{"the table forbids it beside the first", client.Signal{Name: "Paint"}, false, "paint does not hold on oil"},
		{"the table does not know it", client.Signal{Name: "Polish"}, false, "it has Oil, Paint"},
		{"an action is abandoned for a reason", client.Signal{Name: "Abandon"}, false, "say why"},
	} {
		raised, err := c.Signal(t.Context(), kind, ref, raise.signal)
		switch {
		case raise.says == "" && (err != nil || raised.Fresh != raise.fresh):
			t.Errorf("%s: %+v, %v", raise.reason, raised, err)
		case raise.says != "" && (!errors.Is(err, client.ErrInvalid) || !strings.Contains(err.Error(), raise.says)):
			t.Errorf("%s: got %v, want a refusal that says %q", raise.reason, err, raise.says)
		}
	}
	standing, err := c.Signals(t.Context(), kind, ref)
	if err != nil || len(standing) != 1 || standing[0].Name != "Oil" || standing[0].Why != "it squeaks" || standing[0].By != "api:anonymous" || standing[0].Key != "k" {
		t.Errorf("%+v, %v: want the one that was raised", standing, err)
	}
}
