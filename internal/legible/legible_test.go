package legible

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestClip(t *testing.T) {
	for _, c := range []struct {
		in     string
		limit  int
		want   string
		reason string
	}{
		{"", 5, "", "nothing stays nothing"},
		{"abcde", 5, "abcde", "what fits stays as it is"},
		{"abcdef", 5, "ab…", "the mark counts"},
		{"aäbcdef", 5, "a…", "no character is cut in two"},
		{"a\xffb", 5, "a\uFFFDb", "what is no text becomes text"},
		{"a\xffbc", 5, "a…", "the limit is for what comes out"},
		{"abcd", 3, "…", "the shortest limit leaves the mark"},
	} {
		if got := Clip(c.in, c.limit); got != c.want {
			t.Errorf("Clip(%q, %d) = %q, want %q: %s", c.in, c.limit, got, c.want, c.reason)
		}
	}
}

func TestClipKeepsToTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, limit := string(rapid.SliceOf(rapid.Byte()).Draw(t, "in")), rapid.IntRange(len(more), 20).Draw(t, "limit")
		got := Clip(in, limit)
		if len(got) > limit || !utf8.ValidString(got) {
			t.Fatalf("Clip(%q, %d) = %q", in, limit, got)
		}
		if whole := strings.ToValidUTF8(in, "\uFFFD"); got != whole && !strings.HasPrefix(whole, strings.TrimSuffix(got, more)) {
			t.Fatalf("Clip(%q, %d) = %q, which is no beginning of it", in, limit, got)
		}
	})
}

func TestColumns(t *testing.T) {
	got := Columns([][]string{{"NAME", "STATE"}, {"shop", Dash("")}, {"a longer one", Dash("Active")}})
	want := "NAME          STATE\nshop          -\na longer one  Active\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := Columns(nil); got != "" {
		t.Errorf("no lines give %q", got)
	}
}
