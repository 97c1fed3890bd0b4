package decide

import (
	"fmt"
	"strings"

	"github.com/setpointhq/setpoint/lifecycle"
)

// title names a row by number and content: "row 3 (in Available, when NeedsPromote and no NeedsRestore, if isReplica: do Promote)".
func title(t Table, i int) string {
	r := t.Rows[i]
	parts := []string{"in " + places(r.In)}
	if when := condition(r.When); when != "" {
		parts = append(parts, "when "+when)
	}
	if r.Guard != "" {
		parts = append(parts, "if "+string(r.Guard))
	}
	return fmt.Sprintf("row %d (%s: %s)", i+1, strings.Join(parts, ", "), outcome(r))
}

// outcome says what a row is for, without its reason.
func outcome(r Row) string {
	switch v := r.Verb(); v {
	case Do:
		return "do " + string(r.Do)
	case "":
		return "nothing"
	default:
		return string(v)
	}
}

// condition writes a combination in words: "NeedsFollow and NeedsRestart and no NeedsRestore".
func condition(c Combination) string {
	var words []string
	for _, s := range c.All {
		words = append(words, string(s))
	}
	for _, s := range c.None {
		words = append(words, "no "+string(s))
	}
	return strings.Join(words, " and ")
}

// places writes where a row holds.
func places(in []lifecycle.State) string {
	if len(in) == 0 {
		return "any state"
	}
	words := make([]string, len(in))
	for i, s := range in {
		words[i] = place(s)
	}
	return either(words)
}

// place writes one state; that of a kind without a lifecycle has no name.
func place(s lifecycle.State) string {
	if s == "" {
		return "the only state"
	}
	return string(s)
}

// standing writes a set of signals.
func standing(signals []SignalName) string {
	if len(signals) == 0 {
		return "no signal"
	}
	return list(signals)
}

// list joins words with "and".
func list[S ~string](words []S) string { return join(words, "and") }

// either joins words with "or".
func either[S ~string](words []S) string { return join(words, "or") }

func join[S ~string](words []S, last string) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	if n := len(texts); n > 1 {
		return strings.Join(texts[:n-1], ", ") + " " + last + " " + texts[n-1]
	}
	return strings.Join(texts, "")
}

// numbered writes rows by number: "row 2", "rows 2, 4 and 5".
func numbered(rows []int) string {
	texts := make([]string, len(rows))
	for i, r := range rows {
		texts[i] = fmt.Sprint(r + 1)
	}
	if len(rows) == 1 {
		return "row " + texts[0]
	}
	return "rows " + list(texts)
}
