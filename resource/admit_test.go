package resource_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/setpointhq/setpoint/lifecycle"
	. "github.com/setpointhq/setpoint/resource"
)

func TestNewIsAdmitted(t *testing.T) {
	o := newGateway(t)
	mustAdmit(t, nil, o)
	if o.Generation != 1 || o.State != "Starting" || !o.StateSince.Equal(noon) || o.UID != "uid-1" {
		t.Errorf("a new object is in its first generation and state: %+v", o.Meta)
	}
	if !strings.Contains(string(o.Spec), `"size":"small"`) {
		t.Errorf("the default is filled in: %s", o.Spec)
	}
	if a, b := NewUID(), NewUID(); a == b || len(a) != 36 {
		t.Errorf("two identifiers must differ and be UUIDs: %s %s", a, b)
	}
}

// TestAdmitNew: what a new object may not be.
func TestAdmitNew(t *testing.T) {
	for _, c := range []struct {
		reason string
		change func(*Object)
		want   []string
	}{
		{"another kind's object", func(o *Object) { o.Kind = "Other.edge.example" },
			[]string{"kind FieldValueInvalid: is Other.edge.example, want Gateway.edge.example"}},
		{"an object needs a name", func(o *Object) { o.Name = "" }, []string{"metadata.name FieldValueRequired: is required"}},
		{"names go into DNS", func(o *Object) { o.Name = "Shop_1" },
			[]string{`metadata.name FieldValueInvalid: "Shop_1" must be lower-case letters, digits, '-' and '.', each part beginning and ending with a letter or digit`}},
		{"a name is at most 253 long", func(o *Object) { o.Name = Name(strings.Repeat("a", 254)) },
			[]string{"metadata.name FieldValueInvalid: is 254 characters long, at most 253 are allowed"}},
		{"a tenant's object needs its tenant", func(o *Object) { o.Namespace = "" }, []string{"metadata.namespace FieldValueRequired: is required"}},
		{"a namespace has no dots", func(o *Object) { o.Namespace = "a.b" },
			[]string{`metadata.namespace FieldValueInvalid: "a.b" must be lower-case letters, digits and '-', beginning and ending with a letter or digit`}},
		{"identity and birth are the engine's to give", func(o *Object) { o.UID, o.Created = "", time.Time{} },
			[]string{"metadata.uid FieldValueRequired: is required", "metadata.creationTimestamp FieldValueRequired: is required"}},
		{"generations count from 1", func(o *Object) { o.Generation = 2 }, []string{"metadata.generation FieldValueInvalid: is 2, want 1"}},
		{"nobody can have seen a later generation", func(o *Object) { o.Observed = 2 },
			[]string{"status.observedGeneration FieldValueInvalid: is 2, above the generation 1"}},
		{"every object begins at the beginning", func(o *Object) { o.State = "Running" },
			[]string{"status.state FieldValueForbidden: a new object begins in Starting, not in Running"}},
		{"a state must be known", func(o *Object) { o.State = "Runing" },
			[]string{`status.state FieldValueNotSupported: "Runing" is not a state of Gateway (did you mean "Running"?)`}},
		{"what is new is not being deleted", func(o *Object) { o.Deleted = noon },
			[]string{"metadata.deletionTimestamp FieldValueForbidden: a new object cannot be deleted already"}},
		{"labels are searched for", func(o *Object) { o.Labels = map[string]string{"a b": "c d", "-/x": "ok"} },
			[]string{`metadata.labels[-/x] FieldValueInvalid: the key "-/x": the part before the slash "-" must be lower-case letters, digits, '-' and '.', each part beginning and ending with a letter or digit`,
				`metadata.labels[a b] FieldValueInvalid: the key "a b" must be letters, digits, '-', '_' and '.', beginning and ending with a letter or digit`,
				`metadata.labels[a b] FieldValueInvalid: the value "c d" must be letters, digits, '-', '_' and '.', beginning and ending with a letter or digit`}},
		{"the engine's annotations are written by the engine", func(o *Object) { o.Annotations = map[string]string{AnnotationChild: "x", "x/": "y"} },
			[]string{"metadata.annotations[setpoint.dev/child] FieldValueForbidden: is written by the engine", `metadata.annotations[x/] FieldValueInvalid: the key "x/" has no name`}},
		{"annotations are bounded", func(o *Object) { o.Annotations = map[string]string{"big": strings.Repeat("x", 256<<10)} },
			[]string{"metadata.annotations FieldValueTooLong: are 262147 bytes in all, at most 262144 are allowed"}},
		{"an owner is meant by its UID, and one controls", func(o *Object) {
			site := Key{Kind: "Site.edge.example", Name: "site"}
			o.Owners = []Owner{{Key: site, UID: "a", Controller: true}, {Key: site, UID: "a", Child: "x"}, {UID: o.UID}}
		}, []string{"metadata.ownerReferences[1].uid FieldValueDuplicate: a is an owner already",
			"metadata.ownerReferences[2].kind FieldValueRequired: is required", "metadata.ownerReferences[2].name FieldValueRequired: is required",
			"metadata.ownerReferences[2].uid FieldValueInvalid: an object cannot own itself",
			"metadata.ownerReferences FieldValueInvalid: 2 owners control the object, at most one may"}},
		{"a finalizer is a name, once", func(o *Object) { o.Finalizers = []Finalizer{"a", "a", "b c"} },
			[]string{`metadata.finalizers[1] FieldValueDuplicate: "a" is there already`,
				`metadata.finalizers[2] FieldValueInvalid: "b c" must be letters, digits, '-', '_' and '.', beginning and ending with a letter or digit`}},
		{"needs are names of siblings", func(o *Object) { o.Needs = []string{"a,b"} },
			[]string{`metadata.annotations[setpoint.dev/needs][0] FieldValueInvalid: "a,b" must be lower-case letters, digits, '-' and '.', each part beginning and ending with a letter or digit`}},
		{"conditions are sorted, unique and of three values", func(o *Object) {
			o.Conditions = []Condition{{Type: "B", Status: "Yes"}, {Type: "A", Status: True}, {Type: "A", Status: False, Reason: strings.Repeat("r", 1025)}, {Status: Unknown}}
		}, []string{`status.conditions[0].status FieldValueNotSupported: "Yes" is not one of True, False, Unknown`,
			`status.conditions[1].type FieldValueInvalid: "A" must stand before "B"`, `status.conditions[2].type FieldValueDuplicate: "A" is there already`,
			"status.conditions[2].reason FieldValueTooLong: is 1025 bytes long, at most 1024 are allowed",
			"status.conditions[3].type FieldValueRequired: is required", `status.conditions[3].type FieldValueInvalid: "" must stand before "A"`}},
		{"waits are sorted, one each", func(o *Object) { o.Waits = []Wait{{Controller: "b", Code: "X"}, {Controller: "b"}, {Code: "X"}} },
			[]string{"status.waits[1].code FieldValueRequired: is required", "status.waits[1].controller FieldValueInvalid: waits must be sorted by controller, one each",
				"status.waits[2].controller FieldValueRequired: is required", "status.waits[2].controller FieldValueInvalid: waits must be sorted by controller, one each"}},
		{"whoever takes an action over must be able to go on from it", func(o *Object) {
			o.Action = &Action{Phase: "Going", Message: strings.Repeat("m", 32<<10+1), Steps: []ActionStep{{Name: "a"}, {}, {Name: "a"}}}
		}, []string{"status.action.name FieldValueRequired: is required", `status.action.phase FieldValueNotSupported: "Going" is not one of Running, Unwinding`,
			"status.action.message FieldValueTooLong: is 32769 bytes long, at most 32768 are allowed",
			"status.action.steps[1].name FieldValueRequired: is required", `status.action.steps[2].name FieldValueDuplicate: "a" has begun already`}},
		{"the engine's part of a status is not the author's", func(o *Object) { o.Status = json.RawMessage(`{"ip":"","healthy":1,"state":"Running"}`) },
			[]string{`status.state FieldUnknown: unknown field`, "status.state FieldValueForbidden: is the engine's field, and not one of the stored status"}},
	} {
		o := newGateway(t)
		c.change(o)
		if got := causesOf(t, gateways.Admit(nil, o)); !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.reason, got, c.want)
		}
	}
}

// TestAdmitSpec: every fault of a specification is listed, with the exact path of the field.
func TestAdmitSpec(t *testing.T) {
	for _, c := range []struct {
		reason, spec string
		want         []string
	}{
		{"nothing wrong", `{"host":"a.example","size":"large","replicas":9,"routes":null,"weights":null,"expires":null}`, nil},
		{"what is required must be there", `{"size":"small"}`, []string{"spec.host FieldValueRequired: is required"}},
		{"no specification at all lacks it too", ``, []string{"spec.host FieldValueRequired: is required"}},
		{"a slip of the pen is recognised", `{"host":"a.example","relpicas":3}`,
			[]string{`spec.relpicas FieldUnknown: unknown field (did you mean "replicas"?)`}},
		{"what is like nothing gets no suggestion", `{"host":"a.example","zzzzzzzz":3}`, []string{`spec.zzzzzzzz FieldUnknown: unknown field`}},
		{"many faults, all listed", `{"host":"-","size":"smal","replicas":10,"routes":[{"path":"a","backend":1},{"path":"/x"},{"backend":"b","pth":"/","path":"/y"}]}`,
			[]string{`spec.host FieldValueInvalid: "-" is not a host name`,
				`spec.size FieldValueNotSupported: "smal" is not one of "small", "medium", "large" (did you mean "small"?)`,
				"spec.replicas FieldValueInvalid: 10 is not at most 9",
				`spec.routes[0].path FieldValueInvalid: "a" does not match ^/`,
				"spec.routes[0].backend FieldValueTypeInvalid: want a string, not the number 1",
				"spec.routes[1].backend FieldValueRequired: is required",
				`spec.routes[2].pth FieldUnknown: unknown field (did you mean "path"?)`}},
		{"types are not guessed", `{"host":"a.example","replicas":"3","routes":{},"weights":{"x.y":1.5}}`,
			[]string{`spec.replicas FieldValueTypeInvalid: want a whole number, not the string "3"`,
				"spec.routes FieldValueTypeInvalid: want an array or null, not an object",
				"spec.weights[x.y] FieldValueTypeInvalid: want a whole number, not the number 1.5"}},
		{"lists are bounded", `{"host":"a.example","routes":[{"path":"/","backend":"a"},{"path":"/","backend":"a"},{"path":"/","backend":"a"},{"path":"/","backend":"a"}]}`,
			[]string{"spec.routes FieldValueTooMany: has 4 items, want at most 3"}},
		{"a specification is an object", `[]`, []string{"spec FieldValueTypeInvalid: want an object, not an array"}},
		{"what the schema allows, the Go type must be able to hold", `{"host":"a.example","allow":["nonsense"]}`,
			[]string{` FieldValueInvalid: decoding the spec: netip.ParsePrefix("nonsense"): no '/'`}},
		{"the author's function speaks last, and in full", `{"host":"a.example","routes":[{"path":"/a","backend":"/a"},{"path":"/b","backend":"/b"}],"extra":{"plain":"x"}}`,
			[]string{"spec.routes[0].backend FieldValueInvalid: is the path", "spec.routes[1].backend FieldValueInvalid: is the path", "spec FieldValueInvalid: extra must not be plain"}},
		{"not JSON", `{`, []string{"spec FieldValueInvalid: is not JSON: want a field's name in double quotes here"}},
	} {
		o := newGateway(t)
		o.Spec = json.RawMessage(c.spec)
		if got := causesOf(t, gateways.Admit(nil, o)); !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.reason, got, c.want)
		}
	}
}

// TestAdmitUpdate: what a write may change, and what not.
func TestAdmitUpdate(t *testing.T) {
	later := noon.Add(time.Hour)
	for _, c := range []struct {
		reason string
		old    func(*Object)
		change func(*Object)
		want   []string
	}{
		{"nothing changed", nil, func(*Object) {}, nil},
		{"identity cannot be changed", nil, func(o *Object) { o.Name, o.Namespace, o.UID, o.Created = "other", "other", "other", later },
			[]string{"metadata.name FieldValueForbidden: cannot be changed", "metadata.namespace FieldValueForbidden: cannot be changed",
				"metadata.uid FieldValueForbidden: cannot be changed", "metadata.creationTimestamp FieldValueForbidden: cannot be changed"}},
		{"a new specification is a new generation", nil, func(o *Object) { o.Spec = json.RawMessage(`{"host":"shop.example"}`) },
			[]string{"metadata.generation FieldValueInvalid: is 1, want 2"}},
		{"the same specification is not", nil, func(o *Object) { o.Generation = 2 }, []string{"metadata.generation FieldValueInvalid: is 2, want 1"}},
		{"spelling is not a change", nil, func(o *Object) {
			o.Spec = json.RawMessage(`{ "size":"small", "routes":[{"backend":"a","path":"/a"},{"strip":true,"path":"/b","backend":"b"}], "host":"shop.e\u0078ample" }`)
		}, nil},
		{"asking for deletion is a new generation", nil, func(o *Object) { o.Deleted = later }, []string{"metadata.generation FieldValueInvalid: is 1, want 2"}},
		{"deletion may be asked for", nil, func(o *Object) { o.Deleted, o.Generation = later, 2 }, nil},
		{"deletion is never taken back", func(o *Object) { o.Deleted, o.Generation = noon, 2 }, func(o *Object) { o.Deleted, o.Generation = time.Time{}, 3 },
			[]string{"metadata.deletionTimestamp FieldValueForbidden: deletion is under way and cannot be taken back"}},
		{"nor put off", func(o *Object) { o.Deleted, o.Generation = noon, 2 }, func(o *Object) { o.Deleted = later },
			[]string{"metadata.deletionTimestamp FieldValueForbidden: deletion is under way and cannot be taken back"}},
		{"what is being deleted is not held by anyone new", func(o *Object) { o.Deleted, o.Generation = noon, 2 }, func(o *Object) { o.Finalizers = []Finalizer{"gateway", "late"} },
			[]string{`metadata.finalizers[1] FieldValueForbidden: "late" cannot be added while the object is being deleted`}},
		{"holders may let go", func(o *Object) { o.Deleted, o.Generation = noon, 2 }, func(o *Object) { o.Finalizers = nil }, nil},
		{"an allowed transition", nil, func(o *Object) { o.State, o.StateSince = "Running", later }, nil},
		{"the table forbids any other", nil, func(o *Object) { o.State = "Gone" }, []string{"status.state FieldValueForbidden: cannot go from Starting to Gone"}},
		{"a transition has a time", nil, func(o *Object) { o.State, o.StateSince = "Running", time.Time{} },
			[]string{"status.stateSince FieldValueRequired: is required when the state changes"}},
		{"the way out of a state that the table has forgotten stays open", func(o *Object) { o.State = "Ancient" }, func(o *Object) { o.State = "Leaving" }, nil},
		{"and one may stay in it", func(o *Object) { o.State = "Ancient" }, func(o *Object) { o.Labels = nil }, nil},
		{"a specification from laxer times stays", func(o *Object) { o.Spec = json.RawMessage(`{"relic":1}`) }, func(o *Object) { o.Finalizers = nil }, nil},
		{"but a new one keeps the rules of today", func(o *Object) { o.Spec = json.RawMessage(`{"relic":1}`) },
			func(o *Object) { o.Spec, o.Generation = json.RawMessage(`{"relic":2}`), 2 },
			[]string{"spec.host FieldValueRequired: is required", "spec.relic FieldUnknown: unknown field"}},
		{"a status is judged when it changes", nil, func(o *Object) { o.Status = json.RawMessage(`{"ip":4}`) },
			[]string{"status.ip FieldValueTypeInvalid: want a string, not the number 4"}},
		{"and not when it does not", func(o *Object) { o.Status = json.RawMessage(`{"relic":1}`) }, func(o *Object) { o.Status = json.RawMessage(`{ "relic": 1 }`) }, nil},
		{"the author's function sees old and new", nil, func(o *Object) { o.Spec, o.Generation = json.RawMessage(`{"host":"other.example"}`), 2 },
			[]string{"spec.host FieldValueInvalid: cannot be changed"}},
	} {
		old := newGateway(t)
		if c.old != nil {
			c.old(old)
		}
		o := old.Clone()
		c.change(o)
		if got := causesOf(t, gateways.Admit(old, o)); !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.reason, got, c.want)
		}
	}
}

func TestAdmitSize(t *testing.T) {
	o := newGateway(t)
	o.Spec = json.RawMessage(`{"host":"` + strings.Repeat("a", MaxBytes) + `"}`)
	if err := gateways.Admit(nil, o); !errors.Is(err, ErrTooLarge) {
		t.Errorf("an object above the bound must be refused before it is judged, got %v", err)
	}
}

func TestInvalidNamesTheObject(t *testing.T) {
	o := newGateway(t)
	o.Spec = json.RawMessage(`{"size":"small","hots":"x"}`)
	want := `Gateway.edge.example/tenant/shop is not valid: spec.host: is required; spec.hots: unknown field (did you mean "host"?)`
	if err := gateways.Admit(nil, o); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestClusterScope(t *testing.T) {
	d := MustDefine(Options[struct{}, struct{}]{Group: "g.example", Version: "v1", Kind: "Zone", Scope: Cluster})
	o, err := d.New("", "zone", struct{}{}, birth("z"))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Admit(nil, o); err != nil {
		t.Error(err)
	}
	o.Namespace = "tenant"
	if got := causesOf(t, d.Admit(nil, o)); !slices.Equal(got, []string{"metadata.namespace FieldValueForbidden: Zone belongs to no namespace"}) {
		t.Errorf("an object of the cluster has no tenant: %q", got)
	}
}

// TestDefaultsHideNothing: filling in a default must not add a field that the client forgot, nor drop one that the kind does not have.
func TestDefaultsHideNothing(t *testing.T) {
	for _, c := range []struct{ reason, spec, want string }{
		{"the default is added, all else stays", `{"hots":"x", "routes":[]}`, `{"hots":"x","routes":[],"size":"small"}`},
		{"what is set stays as it was written", `{"host":"x", "size":"large"}`, `{"host":"x", "size":"large"}`},
		{"what cannot be decoded is left to be judged", `{"host":1}`, `{"host":1}`},
		{"defaults alone", ``, `{"size":"small"}`},
	} {
		o := &Object{Spec: json.RawMessage(c.spec)}
		if err := gateways.ApplyDefaults(o); err != nil {
			t.Fatal(err)
		}
		if string(o.Spec) != c.want {
			t.Errorf("%s: got %s, want %s", c.reason, o.Spec, c.want)
		}
		again := string(o.Spec)
		if err := gateways.ApplyDefaults(o); err != nil || string(o.Spec) != again {
			t.Errorf("%s: defaults applied twice must be as once: %s, then %s (%v)", c.reason, again, o.Spec, err)
		}
	}
	type nested struct {
		Inner struct {
			A int  `json:"a"`
			B *int `json:"b,omitempty"`
		} `json:"inner"`
	}
	d := MustDefine(Options[nested, struct{}]{Group: "g.example", Version: "v1", Kind: "Nested", Default: func(n *nested) { n.Inner.A, n.Inner.B = 7, nil }})
	body, err := d.EncodeSpec(json.RawMessage(`{"inner":{"b":3,"other":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	if string(body) != `{"inner":{"other":1,"a":7}}` {
		t.Errorf("a field that the kind does not have neither stops the defaults nor is dropped by them: %s", body)
	}
	if body, err = d.EncodeSpec(json.RawMessage(`{"inner":{"b":3}}`)); err != nil || string(body) != `{"inner":{"a":7}}` {
		t.Errorf("a default reaches inside, and may take away: %s %v", body, err)
	}
}

// TestSchemaDefaults: a kind without Go types has its defaults in its schema.
func TestSchemaDefaults(t *testing.T) {
	d := &Definition{Group: "g.example", Version: "v1", Kind: "Plain", Plural: "plains", Singular: "plain",
		Spec: &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{
			"size":  {Type: "string", Default: json.RawMessage(`"small"`)},
			"limit": {Type: "object", Properties: map[string]*jsonschema.Schema{"cpu": {Type: "integer", Default: json.RawMessage(`2`)}}},
			"list":  {Type: "array", Items: &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{"n": {Type: "integer", Default: json.RawMessage(`1`)}}}},
			"map":   {Type: "object", AdditionalProperties: &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{"n": {Type: "integer", Default: json.RawMessage(`1`)}}}},
		}},
	}
	o, err := d.New("ns", "name", json.RawMessage(`{"limit":{},"list":[{},{"n":5}],"map":{"x":{}}}`), birth("u"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"limit":{"cpu":2},"list":[{"n":1},{"n":5}],"map":{"x":{"n":1}},"size":"small"}`; string(o.Spec) != want {
		t.Errorf("got %s, want %s", o.Spec, want)
	}
	if err := d.Admit(nil, o); err != nil {
		t.Error(err)
	}
}

func TestGenerationAfter(t *testing.T) {
	old := newGateway(t)
	for _, c := range []struct {
		reason string
		change func(*Object)
		want   Generation
	}{
		{"a status is no new configuration", func(o *Object) { o.Status = json.RawMessage(`{"ip":"1"}`) }, 1},
		{"a specification is", func(o *Object) { o.Spec = json.RawMessage(`{}`) }, 2},
		{"deletion is", func(o *Object) { o.Deleted = noon }, 2},
		{"both at once are one", func(o *Object) { o.Deleted, o.Spec = noon, json.RawMessage(`{}`) }, 2},
	} {
		o := old.Clone()
		if c.change(o); GenerationAfter(old, o) != c.want {
			t.Errorf("%s: got %d, want %d", c.reason, GenerationAfter(old, o), c.want)
		}
	}
}

// TestDefaultsOnlyInside: a default deep inside is found without one further out.
func TestDefaultsOnlyInside(t *testing.T) {
	n := map[string]*jsonschema.Schema{"n": {Type: "integer", Default: json.RawMessage(`1`)}}
	for _, x := range []*jsonschema.Schema{
		{Type: "array", Items: &jsonschema.Schema{Type: "object", Properties: n}},
		{Type: "object", AdditionalProperties: &jsonschema.Schema{Type: "object", Properties: n}},
	} {
		given, want := `{"x":[{}]}`, `{"x":[{"n":1}]}`
		if x.Type == "object" {
			given, want = `{"x":{"k":{}}}`, `{"x":{"k":{"n":1}}}`
		}
		if got, err := plain(x).EncodeSpec(json.RawMessage(given)); err != nil || string(got) != want {
			t.Errorf("got %s (%v), want %s", got, err, want)
		}
	}
}

// TestWrongDefinitionAdmitsNothing: a definition that was filled in by hand is checked before it judges.
func TestWrongDefinitionAdmitsNothing(t *testing.T) {
	d := &Definition{Kind: "thing", Lifecycle: lifecycle.Table{{State: "On"}}}
	o := &Object{}
	_, pruned := d.Prune(o)
	_, schema := d.Schema()
	for _, err := range []error{d.Admit(nil, o), d.ApplyDefaults(o), pruned, schema} {
		if err == nil || !strings.Contains(err.Error(), "the kind \"thing\" must begin with a capital letter") {
			t.Errorf("want what is wrong with the kind, got %v", err)
		}
	}
}
