package api

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestFromYAML(t *testing.T) {
	for _, c := range []struct{ reason, yaml, json, err string }{
		{"the usual", "a: 1\nb: {c: [x, 'y', \"z\"]}\n", `{"a":1,"b":{"c":["x","y","z"]}}`, ""},
		{"JSON is YAML", `{"a":{"b":null,"c":true,"d":1.5}}`, `{"a":{"b":null,"c":true,"d":1.5}}`, ""},
		{"texts stay texts", "a: '1'\nb: yes\nc: 2026-11-21\nd: |\n  x\n  y\n", `{"a":"1","b":"yes","c":"2026-11-21","d":"x\ny\n"}`, ""},
		{"numbers keep their digits", "a: 12345678901234567890.10\nb: -0\nc: 0x1f\n", `{"a":12345678901234567890.10,"b":-0,"c":31}`, ""},
		{"keys are texts", "1: a\ntrue: b\n", `{"1":"a","true":"b"}`, ""},
		{"aliases could stand for gigabytes", "a: &a x\nb: *a\n", "", "aliases (*name) are not accepted"},
		{"merging needs aliases", "<<: {a: 1}\n", "", "a key must be a plain word"},
		{"keys that JSON cannot have", "[a]: 1\n", "", "a key must be a plain word"},
		{"a key twice is a mistake", "a: 1\na: 2\n", "", "twice"},
		{"one object per request", "a: 1\n---\nb: 2\n", "", "want one document"},
		{"nothing", "", "", "there is no document"},
		{"only a comment", "# hello\n", "", "there is no document"},
		{"types that JSON does not have", "a: !!binary aGk=\n", "", "the tag !!binary is not accepted"},
		{"types that are made up", "a: !evil x\n", "", "the tag !evil is not accepted"},
		{"numbers that JSON does not have", "a: .inf\n", "", "unsupported value"},
		{"too deep", strings.Repeat("- ", 200) + "x", "", "nested deeper than 100 levels"},
		{"deep enough to exhaust a stack", strings.Repeat("[", 100_000), "", "depth"},
	} {
		got, err := fromYAML([]byte(c.yaml))
		switch {
		case c.err == "" && (err != nil || string(got) != c.json):
			t.Errorf("%s: %s, %v, want %s", c.reason, got, err, c.json)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: %v, want %s", c.reason, err, c.err)
		}
	}
}

// FuzzYAML: what is JSON reads back as it was, through YAML; what is not is refused or becomes JSON.
func FuzzYAML(f *testing.F) {
	for _, seed := range []string{`{"a":"\ud83d\ude00\u0000","b":"yes","c":"1","d":[[],{}],"":null}`, "a: |\n  x\n", "? [a]\n: {b: !!binary x}\n---\n...", `"\u2028: #"`, "1e400"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if out, err := fromYAML(text); err == nil && !json.Valid(out) {
			t.Fatalf("%q became %q, which is not JSON", text, out)
		}
		var value any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if !json.Valid(text) || d.Decode(&value) != nil {
			return
		}
		same, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		written, err := toYAML(same)
		if err != nil {
			t.Fatalf("%s: %v", same, err)
		}
		if back, err := fromYAML(written); err == nil && string(back) != string(same) {
			t.Fatalf("%s became\n%s\nand then %s", same, written, back)
		}
	})
}
