package golden

import "testing"

func TestDifference(t *testing.T) {
	for _, c := range []struct {
		got, want, g, w string
		line            int
		reason          string
	}{
		{"a\nb\n", "a\nc\n", "b", "c", 2, "one line is another"},
		{"a\nb\n", "a\n", "b", "", 2, "there is a line too many"},
		{"a\n", "a\nb\n", "", "b", 2, "a line is missing"},
		{"a", "a\n", "a", "a", 1, "the line does not end"},
		{"", "a", "", "a", 1, "there is nothing"},
	} {
		if line, g, w := difference(c.got, c.want); line != c.line || g != c.g || w != c.w {
			t.Errorf("%q and %q differ at %d: %q, %q; want %d: %q, %q: %s", c.got, c.want, line, g, w, c.line, c.g, c.w, c.reason)
		}
	}
}
