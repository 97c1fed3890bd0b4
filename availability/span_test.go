package availability

import (
	"encoding/json"
	"errors"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSpanText(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		span       Span
		text, json string
		reason     string
	}{
		{Span{}, "0s", "0", "no time"},
		{Of(-time.Second), "0s", "0", "a span is not negative"},
		{Of(1), "1ns", "0.000000001", "exact to the nanosecond"},
		{Of(250 * time.Millisecond), "250ms", "0.25", "below a second as a duration"},
		{Of(90*time.Second + 500*time.Millisecond), "1m30s", "90.5", "rounded down in text, exact in JSON"},
		{Of(time.Hour), "1h", "3600", "units that are zero are left out"},
		{Of(time.Hour + 5*time.Second), "1h", "3605", "two units side by side, and no more"},
		{Of(3*day + 4*time.Hour + 59*time.Minute), "3d4h", "277140", "the largest two"},
		{times(10_000, int64(30*day)), "821y335d", "25920000000", "more than a duration can hold"},
		{longest.Add(longest), "584942417355y26d", "18446744073709551615.999999999", "sums end somewhere"},
	} {
		data, err := json.Marshal(c.span)
		if err != nil || string(data) != c.json || c.span.String() != c.text {
			t.Errorf("got %s and %s, %v; want %s and %s: %s", c.span, data, err, c.text, c.json, c.reason)
		}
		var back Span
		if err := json.Unmarshal(data, &back); err != nil || back != c.span {
			t.Errorf("%s came back as %s, %v", data, back, err)
		}
	}
	if d := times(10_000, int64(30*day)).Duration(); d != 1<<63-1 {
		t.Errorf("as a duration it is the longest there is, got %s", d)
	}
	for _, wrong := range []string{`-1`, `1e3`, `1.0000000001`, `"1h"`, `1.-5`} {
		if err := new(Span).UnmarshalJSON([]byte(wrong)); !errors.Is(err, ErrSpan) {
			t.Errorf("%s was read: %v", wrong, err)
		}
	}
}

// TestSpanArithmetic compares with numbers of any size. Sums stay below the longest, 2^64 seconds; the table above goes beyond it.
func TestSpanArithmetic(t *testing.T) {
	draw := func(t *rapid.T, label string) (Span, *big.Int) {
		n := rapid.Int64Range(0, 1<<30).Draw(t, label+" count")
		d := rapid.Int64Range(0, 1<<61).Draw(t, label+" nanoseconds")
		return times(n, d), new(big.Int).Mul(big.NewInt(n), big.NewInt(d))
	}
	number := func(s Span) *big.Int {
		n := new(big.Int).SetUint64(s.hi)
		return n.Lsh(n, 64).Add(n, new(big.Int).SetUint64(s.lo))
	}
	rapid.Check(t, func(t *rapid.T) {
		a, x := draw(t, "a")
		b, y := draw(t, "b")
		if a.Compare(b) != x.Cmp(y) {
			t.Fatalf("%v and %v compare as %d", x, y, a.Compare(b))
		}
		sum := new(big.Int).Add(x, y)
		if got := number(a.Add(b)); got.Cmp(sum) != 0 {
			t.Fatalf("%v + %v = %v", x, y, got)
		}
		if got := a.Add(b).minus(b); got != a {
			t.Fatalf("(%v + %v) - %v = %v", x, y, y, number(got))
		}
		n := rapid.IntRange(1, 1<<40).Draw(t, "n")
		if got, want := number(a.over(n)), new(big.Int).Div(x, big.NewInt(int64(n))); got.Cmp(want) != 0 {
			t.Fatalf("%v / %d = %v, want %v", x, n, got, want)
		}
	})
}

func TestRatioText(t *testing.T) {
	for _, c := range []struct {
		up, down   int64
		text, json string
		reason     string
	}{
		{0, 0, "no data", "null", "nothing counted"},
		{0, 5, "0%", "0", "never up"},
		{5, 0, "100%", "1", "never down"},
		{9995, 5, "99.95%", "0.9995", "what binary fractions lose is not shown"},
		{2, 1, "66.6666%", "0.6666666666666666", "rounded down"},
		{1_000_000_000, 1, "99.9999%", "0.999999999000000001", "100% is for what was never down"},
		{29, 71, "29%", "0.29", "nor is it shown here"},
	} {
		r := RatioOf(Of(time.Duration(c.up)), Of(time.Duration(c.down)))
		data, err := json.Marshal(r)
		if err != nil || r.String() != c.text {
			t.Errorf("%d up and %d down: %s, %v, want %s: %s", c.up, c.down, r, err, c.text, c.reason)
		}
		var want, back Ratio
		if err := json.Unmarshal([]byte(c.json), &want); err != nil || want != r {
			t.Errorf("%s was read as %v, %v, want %s", c.json, want, err, r)
		}
		if err := json.Unmarshal(data, &back); err != nil || back != r {
			t.Errorf("%s came back as %v, %v", data, back, err)
		}
	}
	for _, wrong := range []string{"-0.1", "1.1", "NaN", `"1"`} {
		if err := new(Ratio).UnmarshalJSON([]byte(wrong)); !errors.Is(err, ErrRatio) {
			t.Errorf("%s was read: %v", wrong, err)
		}
	}
	none, half := Ratio{}, RatioOf(Of(1), Of(1))
	if none.Compare(half) != 1 || half.Compare(none) != -1 || none.Compare(none) != 0 || half.Compare(RatioOf(Of(1), Of(0))) != -1 {
		t.Error("the order is from the worst to the best, and then no data")
	}
}
