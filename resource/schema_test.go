package resource_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	. "github.com/setpointhq/setpoint/resource"
	"pgregory.net/rapid"
)

// plain is a kind whose spec has one field x with the given schema.
func plain(x *jsonschema.Schema) *Definition {
	return &Definition{Group: "g.example", Version: "v1", Kind: "Plain", Plural: "plains", Singular: "plain",
		Spec: &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{"x": x}}}
}

// judge admits an object with the spec {"x": value}.
func judge(t testing.TB, d *Definition, value string) []string {
	t.Helper()
	o := &Object{Meta: Meta{Key: d.Key("ns", "n"), UID: "u", Generation: 1, Created: noon}, Spec: json.RawMessage(`{"x":` + value + `}`)}
	return causesOf(t, d.Admit(nil, o))
}

func schema(t testing.TB, text string) *jsonschema.Schema {
	t.Helper()
	s := new(jsonschema.Schema)
	if err := json.Unmarshal([]byte(text), s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeywords(t *testing.T) {
	for _, c := range []struct {
		schema, value, want string
	}{
		{`{"const":3}`, `3.0`, ``},
		{`{"const":3}`, `4`, `spec.x FieldValueNotSupported: 4 is not one of 3`},
		{`{"enum":[null,[1],{"a":1}]}`, `{"a":1}`, ``},
		{`{"type":["string","integer"]}`, `true`, `spec.x FieldValueTypeInvalid: want a whole number or a string, not the boolean true`},
		{`{"type":"integer"}`, `30e-1`, ``},
		{`{"type":"integer"}`, `1e999999999`, `spec.x FieldValueTypeInvalid: want a whole number, not the number 1e999999999`},
		{`{"minimum":1}`, `1e-999999999`, `spec.x FieldValueInvalid: 1e-999999999 is too large or too small a number`},
		{`{"minimum":1}`, `0.5`, `spec.x FieldValueInvalid: 0.5 is not at least 1`},
		{`{"exclusiveMinimum":1}`, `1`, `spec.x FieldValueInvalid: 1 is not more than 1`},
		{`{"exclusiveMaximum":1.5}`, `1.5`, `spec.x FieldValueInvalid: 1.5 is not less than 1.5`},
		{`{"multipleOf":3}`, `10`, `spec.x FieldValueInvalid: 10 is not a multiple of 3`},
		{`{"multipleOf":3}`, `9007199254740993`, ``},
		{`{"minLength":1}`, `""`, `spec.x FieldValueRequired: must not be empty`},
		{`{"minLength":3}`, `"é"`, `spec.x FieldValueInvalid: is 1 characters long, want at least 3`},
		{`{"maxLength":2}`, `"éé"`, ``},
		{`{"maxLength":2}`, `"abc"`, `spec.x FieldValueTooLong: is 3 characters long, want at most 2`},
		{`{"minItems":1}`, `[]`, `spec.x FieldValueInvalid: has 0 items, want at least 1`},
		{`{"uniqueItems":true}`, `[{"a":1,"b":2},1,{"b":2,"a":1}]`, `spec.x[2] FieldValueDuplicate: {"b":2,"a":1} is there already, at [0]`},
		{`{"uniqueItems":true}`, `["ab",["a","b"],"a","b"]`, ``},
		{`{"minProperties":1}`, `{}`, `spec.x FieldValueInvalid: has 0 fields, want at least 1`},
		{`{"maxProperties":1,"additionalProperties":true}`, `{"a":1,"b":1}`, `spec.x FieldValueTooMany: has 2 fields, want at most 1`},
		{`{"patternProperties":{"^n":{"type":"number"}},"additionalProperties":false}`, `{"n":"a","m":1}`,
			`spec.x.n FieldValueTypeInvalid: want a number, not the string "a"; spec.x.m FieldUnknown: unknown field`},
		{`{"propertyNames":{"maxLength":2}}`, `{"abc":1}`, `spec.x.abc FieldValueTooLong: is 3 characters long, want at most 2`},
		{`{"dependentRequired":{"cert":["key"]}}`, `{"cert":1}`, `spec.x.key FieldValueRequired: is required when cert is set`},
		{`{"allOf":[{"minimum":2},{"maximum":0}]}`, `1`, `spec.x FieldValueInvalid: 1 is not at least 2; spec.x FieldValueInvalid: 1 is not at most 0`},
		{`{"anyOf":[{"type":"string"},{"type":"object","required":["a","b"]}]}`, `{"a":1}`,
			`spec.x FieldValueInvalid: fits none of the 2 forms it may have; spec.x FieldValueTypeInvalid: want a string, not an object`},
		{`{"anyOf":[{"type":"string"},{"type":"number"}]}`, `1`, ``},
		{`{"oneOf":[{"required":["a"]},{"required":["b"]}]}`, `{"a":1,"b":1}`,
			`spec.x FieldValueInvalid: fits 2 of the 2 forms of which it must have exactly one`},
		{`{"oneOf":[{"required":["a"]},{"required":["b"]}]}`, `{}`,
			`spec.x FieldValueInvalid: fits 0 of the 2 forms of which it must have exactly one; spec.x.a FieldValueRequired: is required`},
		{`{"not":{"required":["a"]}}`, `{"a":1}`, `spec.x FieldValueInvalid: has a form that is not allowed`},
		{`{"if":{"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]}}`, `{"a":1}`, `spec.x.b FieldValueRequired: is required`},
		{`{"if":{"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]}}`, `{}`, `spec.x.c FieldValueRequired: is required`},
		{`{"type":"string","nullable":true}`, `null`, ``},
		{`{"x-kubernetes-int-or-string":true}`, `"50%"`, ``},
		{`{"x-kubernetes-int-or-string":true}`, `1.5`, `spec.x FieldValueTypeInvalid: want a whole number or a string, not the number 1.5`},
		{`{"type":"object","properties":{"a":{}},"x-kubernetes-preserve-unknown-fields":true}`, `{"b":1}`, ``},
		{`{"type":"object"}`, `{"b":1}`, ``},
		{`{"format":"date-time"}`, `"noon"`, `spec.x FieldValueInvalid: "noon" is not a date and time like 2026-11-21T09:00:00Z`},
		{`{"format":"uri"}`, `"/relative"`, `spec.x FieldValueInvalid: "/relative" is not a URI`},
		{`{"format":"ipv4"}`, `"::1"`, `spec.x FieldValueInvalid: "::1" is not an IPv4 address`},
		{`{"format":"ipv6"}`, `"::1"`, ``},
		{`{"format":"ip"}`, `"1.2.3.4"`, ``},
		{`{"format":"cidr"}`, `"10.0.0.0"`, `spec.x FieldValueInvalid: "10.0.0.0" is not an address range like 10.0.0.0/8`},
		{`{"format":"uuid"}`, `"x"`, `spec.x FieldValueInvalid: "x" is not a UUID`},
		{`{"format":"uuid"}`, `"0f8fad5b-d9cb-469f-a165-70867728950e"`, ``},
		{`{"format":"duration"}`, `"1m"`, ``},
		{`{"format":"date"}`, `"2026-11-21"`, ``},
		{`{"format":"byte"}`, `"??"`, `spec.x FieldValueInvalid: "??" is not base64`},
		{`{"format":"email"}`, `"a@example.com"`, ``},
		{`{"format":"of-our-own"}`, `"whatever"`, ``},
		{`{"maxLength":1}`, `"` + strings.Repeat("ä", 50) + `"`, `spec.x FieldValueTooLong: is 50 characters long, want at most 1`},
		{`{"enum":["a"]}`, `"` + strings.Repeat("ä", 50) + `"`, `spec.x FieldValueNotSupported: "` + strings.Repeat("ä", 29) + `… is not one of "a"`},
	} {
		if got := strings.Join(judge(t, plain(schema(t, c.schema)), c.value), "; "); got != c.want {
			t.Errorf("%s judges %s:\ngot  %s\nwant %s", c.schema, c.value, got, c.want)
		}
	}
}

func TestSchemaIsRefused(t *testing.T) {
	for _, c := range []struct{ reason, schema, want string }{
		{"a keyword that would silently not be enforced", `{"$ref":"#/a"}`, "the schema of spec.x uses $ref, which is not supported"},
		{"patterns are of RE2", `{"pattern":"(?=a)"}`, "the schema of spec.x has a pattern that is not a regular expression (RE2)"},
		{"a default keeps the rules", `{"type":"integer","minimum":3,"default":1}`, "the schema of spec.x has a default that it does not allow; 1 is not at least 3"},
		{"items have no default, since there is no saying how many", `{"items":{"default":1}}`, "the schema of spec.x[] has a default, which items cannot have"},
		{"types are those of JSON", `{"type":"int"}`, `the schema of spec.x has the type "int", which JSON does not have`},
	} {
		if err := plain(schema(t, c.schema)).Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %q, got %v", c.reason, c.want, err)
		}
	}
	d := &Definition{Group: "g.example", Version: "v1", Kind: "List", Plural: "lists", Singular: "list", Spec: &jsonschema.Schema{Type: "array"}}
	if err := d.Check(); err == nil || !strings.Contains(err.Error(), `the schema of spec must have the type "object"`) {
		t.Errorf("a spec is an object, got %v", err)
	}
	cyclic := &jsonschema.Schema{Type: "object"}
	cyclic.Properties = map[string]*jsonschema.Schema{"again": cyclic}
	if err := plain(cyclic).Check(); err == nil || !strings.Contains(err.Error(), "is nested deeper than 100 levels") {
		t.Errorf("a schema that holds itself must be refused, got %v", err)
	}
}

// TestGoTypesFitTheirSchema: whatever value a Go type holds, what it encodes to is allowed by the schema derived from the type.
func TestGoTypesFitTheirSchema(t *testing.T) {
	type hash []byte
	type inner struct {
		Text string         `json:"text"`
		Open any            `json:"open"`
		Raw  map[string]any `json:"raw"`
	}
	type spec struct {
		Strings []string          `json:"strings"`
		Map     map[string]inner  `json:"map"`
		Pointer *inner            `json:"pointer"`
		Bytes   []byte            `json:"bytes"`
		Hash    hash              `json:"hash"`
		Time    time.Time         `json:"time"`
		Until   *time.Time        `json:"until,omitempty"`
		Addr    netip.Addr        `json:"addr"`
		Raw     json.RawMessage   `json:"raw,omitempty"`
		Number  json.Number       `json:"number,omitempty"`
		Small   uint8             `json:"small"`
		Float   float32           `json:"float"`
		Labels  map[string]string `json:"labels,omitzero"`
		Array   [2]bool           `json:"array"`
		Wait    time.Duration     `json:"wait"`
	}
	d := MustDefine(Options[spec, spec]{Group: "g.example", Version: "v1", Kind: "Any"})
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.Custom(func(t *rapid.T) inner {
			return inner{Text: rapid.String().Draw(t, "text"), Open: rapid.SampledFrom([]any{nil, 1, "x", []int{1}}).Draw(t, "open")}
		})
		s := spec{
			Strings: rapid.SampledFrom([][]string{nil, {}, {"a"}}).Draw(t, "strings"),
			Bytes:   rapid.SampledFrom([][]byte{nil, {}, {1, 2}}).Draw(t, "bytes"), Hash: hash{7},
			Time: time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "time"), 5), Small: rapid.Uint8().Draw(t, "small"),
			Float: rapid.Float32().Draw(t, "float"), Wait: time.Duration(rapid.Int64().Draw(t, "wait")),
			Raw: json.RawMessage(rapid.SampledFrom([]string{``, `{"any":["thing"]}`}).Draw(t, "raw")),
		}
		if rapid.Bool().Draw(t, "filled") {
			v := in.Draw(t, "inner")
			s.Map, s.Pointer, s.Until = map[string]inner{"a.b": v}, &v, &s.Time
			s.Number, s.Addr = "1.5", netip.MustParseAddr("10.0.0.1")
		}
		o, err := d.New("ns", "n", s, birth("u"))
		if err != nil {
			t.Fatal(err)
		}
		o.Status = o.Spec
		if err := d.Admit(nil, o); err != nil {
			t.Fatalf("%v\n%s", err, o.Spec)
		}
	})
}

func TestColumns(t *testing.T) {
	o := full(t)
	if got, want := gateways.Row(o), []any{"shop.example", "False", 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	cell := func(path string, o *Object) any { return gateways.Cell(Column{Path: path}, o) }
	for path, want := range map[string]any{
		".metadata.name":                               "shop",
		".metadata.generation":                         int64(7),
		".metadata.labels['example.com/tier']":         "1",
		".spec.routes[1].strip":                        true,
		".spec.routes[0]":                              `{"path":"/a","backend":"a"}`,
		".spec.routes[9]":                              nil,
		".spec.none.at.all":                            nil,
		".status.state":                                "Starting",
		"{.status.healthy}":                            int64(2),
		`.status.conditions[?(@.type=='Late')].reason`: "Budget",
		`.status.conditions[?(@.type=="None")].reason`: nil,
	} {
		if got := cell(path, o); got != want {
			t.Errorf("%s is %v (%T), want %v", path, got, got, want)
		}
	}
	if got := cell(".spec.x", &Object{Spec: json.RawMessage(`{"x":1.5}`)}); got != 1.5 {
		t.Errorf("got %v, want 1.5", got)
	}
	if got := cell(".spec.x", &Object{Spec: json.RawMessage(`{`)}); got != nil {
		t.Errorf("what is no JSON is an empty cell, got %v", got)
	}
	for _, wrong := range []string{"", "spec", ".", ".a..b", ".a[", ".a[-1]", ".a[x]", "[0]", `.a[?(@.b)]`, `.a[?(b=="c")]`} {
		d := &Definition{Group: "g.example", Version: "v1", Kind: "Plain", Plural: "plains", Singular: "plain", Columns: []Column{{Name: "C", Path: wrong}}}
		if d.Check() == nil {
			t.Errorf("the path %q was accepted", wrong)
		}
	}
}
