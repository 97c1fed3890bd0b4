package codec

import (
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

type failer interface {
	Fatalf(format string, args ...any)
}

func attributes(t *rapid.T) resource.Attributes {
	text := func() string { return texts.Draw(t, "text") }
	few := rapid.IntRange(0, 2)
	var a resource.Attributes
	for range few.Draw(t, "labels") {
		if a.Labels == nil {
			a.Labels = map[string]string{}
		}
		a.Labels[text()] = text()
	}
	for range few.Draw(t, "annotations") {
		if a.Annotations == nil {
			a.Annotations = map[string]string{}
		}
		a.Annotations[text()] = text()
	}
	for range few.Draw(t, "owners") {
		a.Owners = append(a.Owners, resource.Owner{Key: keys.Draw(t, "owner"), UID: resource.UID(text()), Child: text(), Version: text(),
			Controller: rapid.Bool().Draw(t, "controller"), Block: rapid.Bool().Draw(t, "block")})
	}
	for range few.Draw(t, "finalizers") {
		a.Finalizers = append(a.Finalizers, resource.Finalizer(text()))
	}
	for range few.Draw(t, "needs") {
		a.Needs = append(a.Needs, text())
	}
	for range few.Draw(t, "conditions") {
		a.Conditions = append(a.Conditions, resource.Condition{Type: text(), Status: resource.Truth(text()), Reason: text(), Message: text(),
			Observed: resource.Generation(rapid.Uint64().Draw(t, "observed")), Since: times.Draw(t, "since")})
	}
	a.Observed = resource.Generation(rapid.Uint64().Draw(t, "observed"))
	for range few.Draw(t, "waits") {
		w := resource.Wait{Controller: text(), Code: text(), Message: text(), Until: times.Draw(t, "until"), Class: text(), Since: times.Draw(t, "since")}
		for range few.Draw(t, "on") {
			w.On = append(w.On, resource.Ref{Object: keys.Draw(t, "object"), Command: text()})
		}
		a.Waits = append(a.Waits, w)
	}
	a.Action, a.Last = action(t), actionEnd(t)
	for range few.Draw(t, "standing") {
		a.Signals = append(a.Signals, resource.StandingSignal{Name: lifecycle.SignalName(text()), By: text(), At: times.Draw(t, "at"), Why: text(), Note: text()})
	}
	return a
}

// results are answers of adapters: JSON as they print it.
var results = rapid.SampledFrom([]json.RawMessage{nil, {}, json.RawMessage(`null`), json.RawMessage(`"left"`), json.RawMessage(`{"a":[1,-2.5e3,{"b":"x, y }\"\\"}]}`),
	json.RawMessage(" {\"a\" :\t[ true , null ]}\n"), json.RawMessage(`"<&>"`), json.RawMessage("\"\u2028é\xff\""), json.RawMessage(`["\u00e9\/",""]`), json.RawMessage(`"\\"`), json.RawMessage(`7`)})

func action(t *rapid.T) *resource.Action {
	if rapid.Bool().Draw(t, "no action") {
		return nil
	}
	text := func() string { return texts.Draw(t, "text") }
	a := &resource.Action{Name: text(), Run: resource.Revision(rapid.Uint64().Draw(t, "run")), From: lifecycle.State(text()), Since: times.Draw(t, "since"),
		Deadline: times.Draw(t, "deadline"), Phase: resource.ActionPhase(text()), Halt: resource.ActionHalt(text()), Halted: text(), Paused: times.Draw(t, "paused"), Message: text(), End: resource.ActionOutcome(text()), Plan: text()}
	for range rapid.IntRange(0, 2).Draw(t, "signals") {
		a.Signals = append(a.Signals, rapid.Uint64().Draw(t, "signal"))
	}
	for range rapid.IntRange(0, 3).Draw(t, "steps") {
		a.Steps = append(a.Steps, resource.ActionStep{Name: text(), Phase: resource.StepPhase(text()), Since: times.Draw(t, "since"), Adapter: text(), Key: text(), Destination: text(), Result: results.Draw(t, "result")})
	}
	return a
}

func actionEnd(t *rapid.T) *resource.ActionEnd {
	if rapid.Bool().Draw(t, "no end") {
		return nil
	}
	text := func() string { return texts.Draw(t, "text") }
	return &resource.ActionEnd{Name: text(), Run: resource.Revision(rapid.Uint64().Draw(t, "run")), Outcome: resource.ActionOutcome(text()), Message: text(), At: times.Draw(t, "at"), Failures: rapid.Uint64().Draw(t, "failures")}
}

// mended is what encoding/json makes of attributes, there and back.
func mended(t failer, a resource.Attributes) resource.Attributes {
	var b resource.Attributes
	if err := json.Unmarshal(marshal(t, &a), &b); err != nil {
		t.Fatalf("unmarshal: %v", err)
	}
	return b
}

func marshal(t failer, a *resource.Attributes) []byte {
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	return text
}

// loose is JSON without types, which shows the names of fields as they are written.
func loose(t failer, text []byte) any {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("unmarshal: %v", err)
	}
	return v
}

// TestAttributesAgainstJSON holds both directions to the standard library.
func TestAttributesAgainstJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := attributes(t)
		text, err := AppendAttributes(nil, &a)
		if err != nil {
			t.Fatal(err)
		}
		var standard, ours resource.Attributes
		if err := json.Unmarshal(text, &standard); err != nil {
			t.Fatalf("what we wrote is not JSON: %v\n%s", err, text)
		}
		if err := ParseAttributes(text, &ours); err != nil {
			t.Fatalf("we cannot read %s: %v", text, err)
		}
		if p, q := loose(t, text), loose(t, marshal(t, &a)); !reflect.DeepEqual(p, q) {
			t.Fatalf("we wrote\n%s\nthe standard library\n%v", text, q)
		}
		want := mended(t, a)
		if !reflect.DeepEqual(standard, want) {
			t.Fatalf("we wrote\n%s\nfor\n%+v", text, want)
		}
		if !reflect.DeepEqual(ours, want) {
			t.Fatalf("we read\n%+v\nof\n%s", ours, text)
		}
	})
}

// TestOddAttributes holds what a person may have written to the standard library, faults included.
func TestOddAttributes(t *testing.T) {
	for _, text := range []string{
		`{"labels":{"a":"b"}}`, ` {"labels" : {"a":"b"}}`, `{"Labels":{"a":"b"}}`, `{"labels":{}}`, `{"labels":null}`, `{"labels":{"a":"b"},"labels":{"c":"d"}}`,
		`{"labels":{"a":"\u00e9"}}`, `{"labels":{"a":"é"}}`, `{"other":1}`, `{"owners":[{"uid":"x","controller":false}]}`, `{"owners":[{"UID":"x","controller":true}]}`, `{"finalizers":[]}`, `{"finalizers":["a","b"]}`, `{"finalizers":["a",]}`,
		`{"observedGeneration":7}`, `{"observedGeneration":07}`, `{"observedGeneration":-1}`, `{"observedGeneration":99999999999999999999}`, `{"observedGeneration":}`,
		`{"conditions":[{"type":"Ready","lastTransitionTime":"2026-01-02T03:04:05.006Z"}]}`, `{"conditions":[{"type":"Ready","lastTransitionTime":"2026-01-02T03:04:05+02:00"}]}`,
		`{"conditions":[{"lastTransitionTime":"yesterday"}]}`, `{"conditions":[{"lastTransitionTime":"2026-1-2T3:4:5Z"}]}`, `{"waits":[{"on":[{}]}]}`, `{"labels":{"a":"b"}`, `{"labels":{"a":"b"}}x`, `{`, `[]`, `null`, `"x"`, `{,}`, "{\"labels\":{\"a\":\"\x01\"}}",
		`{"action":{}}`, `{"action":null}`, `{"action":{"name":"a"},"action":{"plan":"b"}}`, `{"lastAction":{"run":1}}`, `{"lastAction":{"run":"1"}}`, `{"signals":[{"name":"a"}]}`, `{"signals":[]}`,
		`{"action":{"signals":[1,2]}}`, `{"action":{"signals":[-1]}}`, `{"action":{"steps":[{"result":{"a": 1}}]}}`, `{"action":{"steps":[{"result": 1}]}}`, `{"action":{"steps":[{"result":1 }]}}`,
		`{"action":{"steps":[{"result":}]}}`, `{"action":{"steps":[{"result":{]}]}}`, `{"action":{"steps":[{"result":"a]}}`, `{"action":{"steps":[{"result":1,"result":2}]}}`, `{"action":{"steps":[{"result":null}]}}`,
		`{"action":{"steps":[{"result":"\\"}]}}`, `{"action":{"steps":[{"result":01}]}}`, `{"action":{"steps":[{"result":1`, `{"action":{"steps":[{"result":"\`,
	} {
		var ours, standard resource.Attributes
		got, want := ParseAttributes([]byte(text), &ours), json.Unmarshal([]byte(text), &standard)
		if (got == nil) != (want == nil) {
			t.Errorf("%s: error %v, the standard library says %v", text, got, want)
		} else if got == nil && !reflect.DeepEqual(ours, standard) {
			t.Errorf("%s: got %+v, the standard library reads %+v", text, ours, standard)
		}
	}
}
