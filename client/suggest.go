package client

import "strings"

// nearest is ` (did you mean "x"?)` for the kind whose name is most like the word, or a pointer to the list of kinds.
func nearest(word string, kinds []Kind) string {
	bare, _, _ := strings.Cut(word, ".")
	best, least := "", max(1, len(bare)/3)+1
	for _, k := range kinds {
		for _, name := range k.Names() {
			if d := distance(bare, name); d < least {
				best, least = k.Plural, d
			}
		}
	}
	if best == "" {
		return " (see: setpoint kinds)"
	}
	return ` (did you mean "` + best + `"?)`
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that turn one word into the other (Damerau 1964, restricted
// to never editing a swapped pair again).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(last[j]+1, row[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
