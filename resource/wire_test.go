package resource_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit/golden"
	"github.com/setpointhq/setpoint/lifecycle"
	. "github.com/setpointhq/setpoint/resource"
	"pgregory.net/rapid"
)

// full is an object with every field of the wire form.
func full(t testing.TB) *Object {
	t.Helper()
	o := newGateway(t)
	o.Revision, o.Generation, o.Observed, o.Deleted = 42, 7, 6, noon.Add(time.Hour)
	o.Owners = append(o.Owners, Owner{Key: Key{Kind: "Deployment.apps", Name: "web"}, UID: "uid-9", Version: "v1"},
		Owner{Key: Key{Kind: "ConfigMap.", Name: "settings"}, UID: "uid-8", Version: "v1"})
	o.Conditions = []Condition{
		{Type: Late, Status: True, Reason: "Budget", Message: "in Starting for 2m", Since: noon},
		{Type: Ready, Status: False, Reason: "Waiting", Observed: 6, Since: noon},
	}
	o.Waits = []Wait{{
		Controller: "gateway", Code: "Children", Message: "for 2 children", Class: "throttled", Since: noon, Until: noon.Add(time.Minute),
		On: []Ref{{Object: Key{Kind: "Address.edge.example", Namespace: "tenant", Name: "shop.address"}}, {Command: "dns/www"}},
	}}
	o.Status = json.RawMessage(`{"ip":"10.0.0.1","healthy":2}`)
	o.Action = &Action{
		Name: "Promote", Run: 40, From: "Running", Since: noon, Deadline: noon.Add(time.Hour), Phase: ActionUnwinding, Halt: HaltPaused, Message: "ada asked for it",
		End: OutcomeCanceled, Steps: []ActionStep{{Name: "fence", Phase: StepDone, Since: noon}, {Name: "promote", Phase: StepUndoing, Since: noon.Add(time.Second)}},
	}
	o.Last = &ActionEnd{Name: "Restart", Run: 12, Outcome: OutcomeFailed, Message: "refused", At: noon, Failures: 2}
	o.Signals = []StandingSignal{{Name: "NeedsRestart", By: "api:ada", At: noon, Why: "it leaks", Note: "waits for Promote"}}
	return o
}

// secret is an object whose action has what is not served.
func secret(t testing.TB) *Object {
	t.Helper()
	o := full(t)
	o.Action.Plan, o.Action.Signals = "plan-1", []uint64{7}
	o.Action.Steps[0].Adapter, o.Action.Steps[0].Key, o.Action.Steps[0].Destination, o.Action.Steps[0].Result = "hosts", "fence", "host-1", json.RawMessage(`{"password":"x"}`)
	return o
}

// TestServedActions: what only the engine needs of an action is not shown, and cannot be sent.
func TestServedActions(t *testing.T) {
	if got, want := string(AppendJSON(nil, gateways, secret(t))), string(AppendJSON(nil, gateways, full(t))); got != want {
		t.Errorf("results, slots and plans stay with the engine:\ngot  %s\nwant %s", got, want)
	}
	_, err := Parse(gateways, []byte(`{"status":{"action":{"name":"A","plan":"x","steps":[{"name":"s","result":1}]},"lastAction":[],"signals":{"name":"S"}}}`))
	want := []string{"status.lastAction FieldValueTypeInvalid: want an object, not an array", "status.signals FieldValueTypeInvalid: want an array, not an object",
		"status.action.plan FieldUnknown: unknown field", "status.action.steps[0].result FieldUnknown: unknown field"}
	if got := causesOf(t, err); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAppendJSON(t *testing.T) {
	text := AppendJSON([]byte("before "), gateways, full(t))
	body, ok := strings.CutPrefix(string(text), "before ")
	if !ok {
		t.Fatal("what was there must stay in front")
	}
	var pretty strings.Builder
	enc := json.NewEncoder(&pretty)
	enc.SetIndent("", "  ")
	if err := enc.Encode(json.RawMessage(body)); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, body)
	}
	golden.Check(t, "gateway.json", pretty.String())
}

func TestAppendJSONLeavesOutWhatIsNotThere(t *testing.T) {
	d := MustDefine(Options[struct{}, struct{}]{Group: "g.example", Version: "v1", Kind: "Thing"})
	got := string(AppendJSON(nil, d, &Object{Meta: Meta{Key: Key{Name: "x"}}, Status: json.RawMessage(` {} `)}))
	if want := `{"apiVersion":"g.example/v1","kind":"Thing","metadata":{"name":"x"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	core := &Definition{Version: "v1", Kind: "Namespace", Plural: "namespaces", Singular: "namespace", Scope: Cluster}
	if got := string(AppendJSON(nil, core, &Object{})); got != `{"apiVersion":"v1","kind":"Namespace","metadata":{}}` {
		t.Errorf("a kind of the core group has no group in its version: %s", got)
	}
	if err := core.Check(); err != nil {
		t.Error(err)
	}
}

// objects draws objects that can go over the wire: times that Kubernetes knows in whole seconds, names that are names.
func objects() *rapid.Generator[*Object] {
	name := rapid.StringMatching(`[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?`)
	text := rapid.String()
	second := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(1, 4e9).Draw(t, "second"), 0).UTC()
	})
	nano := rapid.Custom(func(t *rapid.T) time.Time {
		return second.Draw(t, "s").Add(time.Duration(rapid.IntRange(0, 999999999).Draw(t, "ns")))
	})
	maybe := func(t *rapid.T, g *rapid.Generator[time.Time], label string) time.Time {
		if rapid.Bool().Draw(t, "has "+label) {
			return g.Draw(t, label)
		}
		return time.Time{}
	}
	kind := rapid.SampledFrom([]KindID{"Site.edge.example", "Deployment.apps", "ConfigMap."})
	labels := rapid.MapOfN(name, text, 0, 3)
	return rapid.Custom(func(t *rapid.T) *Object {
		o := &Object{Meta: Meta{
			Key: gateways.Key(Namespace(name.Draw(t, "ns")), Name(name.Draw(t, "name"))), UID: UID(name.Draw(t, "uid")),
			Generation: Generation(rapid.Uint64().Draw(t, "generation")), Revision: Revision(rapid.Uint64().Draw(t, "revision")),
			Created: maybe(t, second, "created"), Deleted: maybe(t, second, "deleted"),
			State: lifecycle.State(text.Draw(t, "state")), StateSince: maybe(t, nano, "since"),
			Attributes: Attributes{
				Labels: labels.Draw(t, "labels"), Annotations: labels.Draw(t, "annotations"),
				Needs: rapid.SliceOfN(name, 0, 3).Draw(t, "needs"), Observed: Generation(rapid.Uint64().Draw(t, "observed")),
			},
		}}
		for range rapid.IntRange(0, 3).Draw(t, "owners") {
			o.Owners = append(o.Owners, Owner{Key: Key{Kind: kind.Draw(t, "kind"), Name: Name(name.Draw(t, "owner"))}, UID: UID(name.Draw(t, "uid")),
				Version: rapid.SampledFrom([]string{"v1", "v2beta1"}).Draw(t, "version"), Block: rapid.Bool().Draw(t, "block")})
		}
		if len(o.Owners) > 0 && rapid.Bool().Draw(t, "controlled") {
			o.Owners[0].Controller, o.Owners[0].Child = true, rapid.SampledFrom([]string{"", "child"}).Draw(t, "child")
		}
		for range rapid.IntRange(0, 2).Draw(t, "finalizers") {
			o.Finalizers = append(o.Finalizers, Finalizer(text.Draw(t, "finalizer")))
		}
		for i := range rapid.IntRange(0, 2).Draw(t, "conditions") {
			o.Conditions = append(o.Conditions, Condition{Type: string(rune('A' + i)), Status: Truth(text.Draw(t, "truth")), Reason: text.Draw(t, "reason"),
				Message: text.Draw(t, "message"), Observed: Generation(rapid.Uint64().Draw(t, "observed")), Since: maybe(t, second, "transition")})
		}
		for i := range rapid.IntRange(0, 2).Draw(t, "waits") {
			w := Wait{Controller: string(rune('a' + i)), Code: text.Draw(t, "code"), Message: text.Draw(t, "message"), Class: text.Draw(t, "class"),
				Until: maybe(t, nano, "until"), Since: maybe(t, nano, "since")}
			for range rapid.IntRange(0, 2).Draw(t, "on") {
				w.On = append(w.On, Ref{Object: Key{Kind: kind.Draw(t, "kind"), Namespace: Namespace(name.Draw(t, "ns")), Name: Name(name.Draw(t, "name"))}, Command: text.Draw(t, "command")})
			}
			o.Waits = append(o.Waits, w)
		}
		if rapid.Bool().Draw(t, "has action") {
			o.Action = &Action{
				Name: text.Draw(t, "action"), Run: Revision(rapid.Uint64().Draw(t, "run")), From: lifecycle.State(text.Draw(t, "from")), Since: maybe(t, nano, "began"),
				Deadline: maybe(t, nano, "deadline"), Phase: ActionPhase(text.Draw(t, "phase")), Halt: ActionHalt(text.Draw(t, "halt")), Message: text.Draw(t, "why"),
				End: ActionOutcome(text.Draw(t, "end")),
			}
			for range rapid.IntRange(0, 2).Draw(t, "steps") {
				o.Action.Steps = append(o.Action.Steps, ActionStep{Name: text.Draw(t, "step"), Phase: StepPhase(text.Draw(t, "step phase")), Since: maybe(t, nano, "step since")})
			}
		}
		if rapid.Bool().Draw(t, "has last action") {
			o.Last = &ActionEnd{Name: text.Draw(t, "last"), Run: Revision(rapid.Uint64().Draw(t, "last run")), Outcome: ActionOutcome(text.Draw(t, "outcome")),
				Message: text.Draw(t, "how"), At: maybe(t, nano, "at")}
		}
		for range rapid.IntRange(0, 2).Draw(t, "signals") {
			o.Signals = append(o.Signals, StandingSignal{Name: lifecycle.SignalName(text.Draw(t, "signal")), By: text.Draw(t, "by"), At: maybe(t, nano, "raised"),
				Why: text.Draw(t, "why"), Note: text.Draw(t, "note")})
		}
		if rapid.Bool().Draw(t, "has spec") {
			o.Spec = drawJSON(t, labels.Draw(t, "spec"))
		}
		if author := labels.Filter(func(m map[string]string) bool { return len(m) > 0 }); rapid.Bool().Draw(t, "has status") {
			o.Status = drawJSON(t, author.Draw(t, "status"))
			if slices.ContainsFunc([]string{"state", "waits", "action", "signals"}, func(f string) bool { return strings.Contains(string(o.Status), `"`+f+`"`) }) {
				o.Status = nil // those names are the engine's
			}
		}
		return o
	})
}

func drawJSON(t *rapid.T, v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestWireRoundTrip: what is served and sent back is the same object, and is served alike again.
func TestWireRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := objects().Draw(t, "object")
		text := AppendJSON(nil, gateways, o)
		back, err := Parse(gateways, text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if want := tidy(o); !reflect.DeepEqual(back, want) {
			t.Fatalf("\ngot  %+v %s %s\nwant %+v %s %s\nover %s", back.Meta, back.Spec, back.Status, want.Meta, want.Spec, want.Status, text)
		}
		if again := AppendJSON(nil, gateways, back); string(again) != string(text) {
			t.Fatalf("served differently:\n%s\n%s", text, again)
		}
	})
}

// tidy makes empty collections nil, as Parse does.
func tidy(o *Object) *Object {
	c := o.Clone()
	if len(c.Labels) == 0 {
		c.Labels = nil
	}
	if len(c.Annotations) == 0 {
		c.Annotations = nil
	}
	if len(c.Needs) == 0 {
		c.Needs = nil
	}
	if c.State == "" {
		c.StateSince = time.Time{} // without a state there is no time of entering it
	}
	return c
}

func TestKeepPrecision(t *testing.T) {
	old := full(t)
	old.Owners[0].Namespace = "tenant"
	back, err := Parse(gateways, AppendJSON(nil, gateways, old))
	if err != nil {
		t.Fatal(err)
	}
	back.Conditions[0].Since = noon.Truncate(time.Second).Add(time.Second) // this one the client has changed
	back.KeepPrecision(old)
	if !back.Created.Equal(old.Created) || !back.Deleted.Equal(old.Deleted) || !back.Conditions[1].Since.Equal(noon) {
		t.Error("times that were only cut to seconds must be exact again")
	}
	if back.Owners[0] != old.Owners[0] || back.Owners[1].Namespace != "" {
		t.Errorf("the namespace of an owner that stayed must be back: %+v", back.Owners)
	}
	if back.Conditions[0].Since.Equal(noon) {
		t.Error("a time that was changed must stay changed")
	}
}

// TestParseAccepts: what clients send besides what is kept.
func TestParseAccepts(t *testing.T) {
	o, err := Parse(gateways, []byte(`{
		"kind": "Gateway", "apiVersion": "edge.example/v1",
		"metadata": {
			"name": "shop", "namespace": "tenant", "generateName": "s-", "selfLink": "/x", "managedFields": [{"manager": "kubectl"}],
			"creationTimestamp": null, "resourceVersion": "", "labels": {"a": null}, "annotations": {}, "finalizers": []
		},
		"spec": {"host": "x", "big": 12345678901234567890, "exact": 1.10},
		"status": {"conditions": [{"type": "B", "status": "True"}, {"type": "A", "status": "False", "lastTransitionTime": "2026-11-21T13:00:00+01:00"}], "ip": "1"}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"host":"x","big":12345678901234567890,"exact":1.10}`; string(o.Spec) != want {
		t.Errorf("the spec keeps its order and its digits: got %s, want %s", o.Spec, want)
	}
	if string(o.Status) != `{"ip":"1"}` || o.Conditions[0].Type != "A" || !o.Conditions[0].Since.Equal(noon.Truncate(time.Second)) {
		t.Errorf("conditions are sorted, and apart from the author's status: %s %+v", o.Status, o.Conditions)
	}
	if o.Revision != 0 || !o.Created.IsZero() || o.Labels["a"] != "" || o.Annotations != nil {
		t.Errorf("null and empty stand for absence: %+v", o.Meta)
	}
}

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	for _, c := range []struct {
		reason, body string
		want         []string
	}{
		{"not JSON", "{\n  \"kind\": \"Gateway\"\n  \"spec\": {}\n}", []string{" FieldValueInvalid: want a comma or } here (line 3, column 3)"}},
		{"cut short", `{"spec":{"host":"a`, []string{"spec.host FieldValueInvalid: the text ends inside a string (line 1, column 19)"}},
		{"two objects", `{} {}`, []string{" FieldValueInvalid: there is more after the end of the value (line 1, column 4)"}},
		{"a field twice, of which only one could count", `{"spec":{"routes":[{},{"path":"/a","path":"/b"}]}}`,
			[]string{`spec.routes[1].path FieldValueInvalid: the field "path" is there twice (line 1, column 36)`}},
		{"nested to exhaust the stack", `{"spec":{"x":` + deep + `}}`,
			[]string{"spec.x" + strings.Repeat("[0]", 98) + " FieldValueInvalid: nested deeper than 100 levels (line 1, column 112)"}},
		{"not an object", `[]`, []string{" FieldValueTypeInvalid: want an object, not an array"}},
		{"another kind", `{"apiVersion":"edge.example/v2","kind":"Gate"}`,
			[]string{`apiVersion FieldValueInvalid: is "edge.example/v2", want "edge.example/v1"`, `kind FieldValueInvalid: is "Gate", want "Gateway"`}},
		{"wrong types, all of them", `{"metadata":{"name":1,"labels":{"a":1},"finalizers":[1],"generation":"1","resourceVersion":"x","creationTimestamp":"noon","ownerReferences":[{"controller":"yes"}]},"spec":"x","status":{"state":1,"conditions":{},"waits":[1]}}`,
			[]string{"metadata.name FieldValueTypeInvalid: want a string, not the number 1", "metadata.labels[a] FieldValueTypeInvalid: want a string, not the number 1",
				"metadata.finalizers[0] FieldValueTypeInvalid: want a string, not the number 1", `metadata.generation FieldValueTypeInvalid: want a number, not the string "1"`,
				`metadata.resourceVersion FieldValueInvalid: revision "x": want a whole number from 0`,
				`metadata.creationTimestamp FieldValueInvalid: want a time like 2026-11-21T09:00:00Z, not "noon"`,
				`metadata.ownerReferences[0].controller FieldValueTypeInvalid: want a boolean, not the string "yes"`,
				`spec FieldValueTypeInvalid: want an object, not the string "x"`,
				"status.state FieldValueTypeInvalid: want a string, not the number 1", "status.conditions FieldValueTypeInvalid: want an array, not an object",
				"status.waits[0] FieldValueTypeInvalid: want an object, not the number 1"}},
		{"counts are whole", `{"metadata":{"generation":-1}}`, []string{"metadata.generation FieldValueInvalid: want a whole number from 0, not -1"}},
		{"fields that are nobody's", `{"sepc":{},"metadata":{"lables":{}},"status":{"conditions":[{"typ":"x"}]}}`,
			[]string{`sepc FieldUnknown: unknown field (did you mean "spec"?)`, `metadata.lables FieldUnknown: unknown field (did you mean "labels"?)`,
				`status.conditions[0].typ FieldUnknown: unknown field (did you mean "type"?)`}},
		{"a child has a parent", `{"metadata":{"annotations":{"setpoint.dev/child":"x"},"ownerReferences":[{"uid":"a"}]}}`,
			[]string{"metadata.annotations[setpoint.dev/child] FieldValueForbidden: names a child, but the object has no controlling owner"}},
	} {
		_, err := Parse(gateways, []byte(c.body))
		if got := causesOf(t, err); !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.reason, got, c.want)
		}
	}
	if _, err := Parse(gateways, make([]byte, MaxBytes+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a body above the bound must be refused unread, got %v", err)
	}
}

func TestParseLenientDropsAndTells(t *testing.T) {
	body := []byte(`{"sepc":{},"metadata":{"name":"x","lables":{}},"spec":{"host":"a","hots":"b","routes":[{"path":"/","pth":1}],"extra":{"any":"thing"}},"status":{"ip":"1","iq":2}}`)
	o, warnings, err := ParseLenient(gateways, body)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range warnings {
		got = append(got, w.Error())
	}
	want := []string{`sepc: unknown field (did you mean "spec"?)`, `metadata.lables: unknown field (did you mean "labels"?)`,
		`spec.hots: unknown field (did you mean "host"?)`, `spec.routes[0].pth: unknown field (did you mean "path"?)`, `status.iq: unknown field (did you mean "ip"?)`}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if string(o.Spec) != `{"host":"a","routes":[{"path":"/"}],"extra":{"any":"thing"}}` || string(o.Status) != `{"ip":"1"}` {
		t.Errorf("what is not known is dropped, and nothing else: %s %s", o.Spec, o.Status)
	}
	if _, _, err := ParseLenient(gateways, []byte(`{"spec":1}`)); err == nil {
		t.Error("lenient to fields that are not known, not to wrong types")
	}
}

// FuzzParse: whatever comes in, Parse neither panics nor accepts what it could not serve and read again alike.
func FuzzParse(f *testing.F) {
	f.Add(AppendJSON(nil, gateways, full(f)))
	for _, seed := range []string{``, `{}`, `null`, `{"metadata":{"name":"a"},"spec":{"a":[1,2.5e3,"\ud800","é",null,true]}}`, `{"status":{"state":"x","ip":"\u0000"}}`,
		`{"spec":{"a":1,"a":2}}`, "{\"spec\":{\"\xff\":1}}", `{"metadata":{"creationTimestamp":"9999-12-31T23:59:59+24:00"}}`,
		`{"metadata":{"ownerReferences":[{"apiVersion":"/","kind":"."}],"annotations":{"setpoint.dev/needs":",,"}}}`,
		`{"metadata":{"creationTimestamp":"0000-01-01T00:00:00+12:00"}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := Parse(gateways, body)
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatalf("accepted what is not JSON: %q", body)
		}
		text := AppendJSON(nil, gateways, o)
		again, err := Parse(gateways, text)
		if err != nil {
			t.Fatalf("cannot read what it served: %v\n%s", err, text)
		}
		if third := AppendJSON(nil, gateways, again); string(third) != string(text) {
			t.Fatalf("served differently:\n%s\n%s", text, third)
		}
	})
}
