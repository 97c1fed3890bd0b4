package resource_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/setpointhq/setpoint/internal/testkit/golden"
	"github.com/setpointhq/setpoint/lifecycle"
	. "github.com/setpointhq/setpoint/resource"
)

func TestDefineDerivesNames(t *testing.T) {
	d := gateways
	got := []string{d.Kind, d.Singular, d.Plural, string(d.Scope), d.APIVersion(), string(d.ID())}
	want := []string{"Gateway", "gateway", "gateways", "Namespaced", "edge.example/v1", "Gateway.edge.example"}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("derived %q, want %q", got[i], want[i])
		}
	}
	type empty struct{}
	for kind, plural := range map[string]string{"Policy": "policies", "Address": "addresses", "Key": "keys", "Switch": "switches", "Box": "boxes"} {
		d, err := Define(Options[empty, empty]{Group: "g.example", Version: "v1", Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		if d.Plural != plural {
			t.Errorf("the plural of %s is %q, want %q", kind, d.Plural, plural)
		}
	}
}

// TestDefineListsAllFaults: whoever declares a kind sees everything at once that is wrong with it.
func TestDefineListsAllFaults(t *testing.T) {
	type status struct {
		State      string   `json:"state"`
		Conditions []string `json:"conditions"`
	}
	type spec struct {
		Size string `json:"size"`
	}
	_, err := Define(Options[spec, status]{
		Group: "Edge_example", Version: "1", Kind: "gateway", Plural: "Gateways", Scope: "Tenant", ShortNames: []string{"g w"},
		Lifecycle: lifecycle.Table{{State: "On", To: lifecycle.To("Off")}},
		Computed:  []ColumnOf[spec, status]{{Column: Column{Name: "A"}}, {Column: Column{Name: "B", Path: "spec"}}, {Column: Column{Path: ".a"}}, {Column: Column{Name: "C", Path: ".a", Type: "int"}}},
		Refine: func(s, _ *jsonschema.Schema) {
			s.Properties["size"].Pattern = "("
			s.Properties["size"].Type = "text"
			s.Properties["size"].Default = json.RawMessage(`3`)
			s.Properties["size"].MultipleOf = jsonschema.Ptr(0.0)
			s.Contains = &jsonschema.Schema{}
			s.Required = append(s.Required, "siez")
		},
	})
	if err == nil {
		t.Fatal("a kind that is wrong in every way was accepted")
	}
	golden.Check(t, "define_faults.txt", err.Error()+"\n")
}

func TestDefineWantsStructs(t *testing.T) {
	_, err := Define(Options[map[string]any, int]{Group: "g.example", Version: "v1", Kind: "Thing"})
	for _, want := range []string{"the spec must be a struct, map[string]interface {} is not", "the status must be a struct, int is not"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in the error, got %v", want, err)
		}
	}
}

func TestMustDefinePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a wrong kind in a package variable must stop the program")
		}
	}()
	MustDefine(Options[struct{}, struct{}]{})
}

func TestVersions(t *testing.T) {
	for version, ok := range map[string]bool{
		"v1": true, "v12": true, "v1alpha1": true, "v2beta13": true,
		"": false, "1": false, "v": false, "v0": false, "v1beta": false, "vbeta1": false, "v1gamma1": false, "v1beta0": false, "V1": false, "v1x": false,
	} {
		d := &Definition{Group: "g.example", Version: version, Kind: "Thing", Plural: "things", Singular: "thing"}
		if err := d.Check(); (err == nil) != ok {
			t.Errorf("version %q: accepted is %v, want %v (%v)", version, err == nil, ok, err)
		}
	}
}

func TestSchemaOfTheWholeObject(t *testing.T) {
	text, err := gateways.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	pretty, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "schema.json", string(pretty)+"\n")
}

func TestSchemaSpeaksOpenAPI(t *testing.T) {
	one := any("x")
	d := &Definition{Group: "g.example", Version: "v1", Kind: "Odd", Plural: "odds", Singular: "odd",
		Spec: &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{
			"open":  {},
			"fixed": {Const: &one},
			"above": {Type: "number", ExclusiveMinimum: jsonschema.Ptr(1.5)},
			"mixed": {Types: []string{"string", "boolean"}},
			"maybe": {Types: []string{"null", "string"}},
			"forms": {AnyOf: []*jsonschema.Schema{{Type: "string"}, {}}},
		}},
	}
	text, err := d.Schema()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"open":{"x-kubernetes-preserve-unknown-fields":true}`, `"fixed":{"enum":["x"]}`,
		`"above":{"exclusiveMinimum":true,"minimum":1.5,"type":"number"}`, `"mixed":{"x-kubernetes-preserve-unknown-fields":true}`,
		`"maybe":{"nullable":true,"type":"string"}`, `"forms":{"anyOf":[{"type":"string"},{"x-kubernetes-preserve-unknown-fields":true}]}`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("OpenAPI 3.0 wants %s, which is not in\n%s", want, text)
		}
	}
}
