package legible

import (
	"strings"
	"unicode/utf8"
)

// more is the end of a text that goes on.
const more = "…"

// Clip makes a text valid UTF-8 of at most limit bytes, cut between two characters and marked with "…" where it was longer. limit is at least the three bytes
// of the mark.
func Clip(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	end := limit - len(more)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + more
}
