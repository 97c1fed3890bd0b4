package resource

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// anyJSON draws JSON values as Go has them.
func anyJSON(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kinds := 6
		if depth == 0 {
			kinds = 4
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return rapid.Float64().Draw(t, "number")
		case 3:
			return rapid.String().Draw(t, "string")
		case 4:
			return rapid.SliceOfN(anyJSON(depth-1), 0, 4).Draw(t, "array")
		}
		return rapid.MapOfN(rapid.String(), anyJSON(depth-1), 0, 20).Draw(t, "object")
	})
}

func decodeAny(t *rapid.T, text []byte) (v any) {
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return v
}

// TestScannerAgreesWithTheStandard: what encoding/json writes is read, and written again it means the same.
func TestScannerAgreesWithTheStandard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyJSON(3).Draw(t, "value")
		indent := rapid.SampledFrom([]string{"", " ", "\t"}).Draw(t, "indent")
		text, err := json.MarshalIndent(v, "", indent)
		if err != nil {
			t.Fatal(err)
		}
		n, err := parseJSON(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if got := decodeAny(t, n.render(nil)); !reflect.DeepEqual(got, decodeAny(t, text)) {
			t.Fatalf("got %v, want %v", got, v)
		}
		// Sorted fields have one canonical form, which a second reading keeps.
		again, err := parseJSON(n.render(nil))
		if err != nil || string(canonical(&again)) != string(canonical(&n)) {
			t.Fatalf("the canonical form changed: %s, then %s (%v)", canonical(&n), canonical(&again), err)
		}
	})
}

// TestScannerIsAsStrictAsTheStandard: of texts that are nearly JSON it takes those that encoding/json takes, but for duplicates,
// depth, and strings that are not UTF-8.
func TestScannerIsAsStrictAsTheStandard(t *testing.T) {
	for _, text := range []string{
		"", " ", "nul", "nulll", "tru", "fals", "truefalse", "01", "1.", ".5", "-", "-0", "+1", "1e", "1e+", "1e5", "1E-05", "0x1", "NaN", `"`, `"\`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\ud83d\ude00"`,
		"\"\t\"", "\"\x7f\"", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{", `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{a:1}`, `{"a" 1}`, `{"a":1 "b":2}`, "[] []", "\ufeff{}", "'a'", "1 ", "\v1",
	} {
		_, err := parseJSON([]byte(text))
		if want := json.Valid([]byte(text)); (err == nil) != want {
			t.Errorf("%q: valid is %v, want %v (%v)", text, err == nil, want, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune(`{}[]":,0123.eE+-tfn \ua`)), 0, 12, -1).Draw(t, "text")
		_, err := parseJSON([]byte(text))
		if want := json.Valid([]byte(text)); (err == nil) != want && (err == nil || !strings.Contains(err.Error(), "there twice")) {
			t.Fatalf("%q: valid is %v, want %v (%v)", text, err == nil, want, err)
		}
	})
}

func TestDuplicatesInLargeObjects(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"k":0`)
	for i := range 40 {
		b.WriteString(`,"k` + strings.Repeat("x", i+1) + `":0`)
	}
	if _, err := parseJSON([]byte(b.String() + `}`)); err != nil {
		t.Errorf("forty different fields: %v", err)
	}
	for _, twice := range []string{"k", "kx", "k" + strings.Repeat("x", 39)} {
		if _, err := parseJSON([]byte(b.String() + `,"` + twice + `":0}`)); err == nil {
			t.Errorf("%q is there twice and was not found", twice)
		}
	}
}

// TestSameJSON compares with the meaning that encoding/json gives.
func TestSameJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, w := anyJSON(2).Draw(t, "a"), anyJSON(2).Draw(t, "b")
		if rapid.Bool().Draw(t, "alike") {
			w = v
		}
		a, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.MarshalIndent(w, " ", " ")
		if err != nil {
			t.Fatal(err)
		}
		want := reflect.DeepEqual(decodeAny(t, a), decodeAny(t, b)) || isNothing(a) && isNothing(b)
		if got := SameJSON(a, b); got != want {
			t.Fatalf("SameJSON(%s, %s) is %v, want %v", a, b, got, want)
		}
	})
	for _, c := range []struct {
		reason, a, b string
		want         bool
	}{
		{"order does not matter", `{"a":1,"b":[1,2]}`, `{"b":[1,2],"a":1}`, true},
		{"in lists it does", `[1,2]`, `[2,1]`, false},
		{"absence has three forms", ``, `null`, true},
		{"and this is the third", ``, `{}`, true},
		{"no digit is lost", `12345678901234567890`, `12345678901234567891`, false},
		{"a field that is null is there", `{"a":null}`, `{}`, false},
		{"what is no JSON equals nothing", `{`, `{}`, false},
	} {
		if got := SameJSON([]byte(c.a), []byte(c.b)); got != c.want {
			t.Errorf("%s: SameJSON(%s, %s) is %v", c.reason, c.a, c.b, got)
		}
	}
}

func isNothing(text []byte) bool { return string(text) == "null" || string(text) == "{}" }

func TestEditDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"relpicas", "replicas", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}} {
		if got := editDistance(c.a, c.b); got != c.want {
			t.Errorf("from %q to %q are %d steps, got %d", c.a, c.b, c.want, got)
		}
	}
}
