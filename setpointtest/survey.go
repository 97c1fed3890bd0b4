package setpointtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

// Survey is what became of all mutants of a decider and its table. It prints as a table.
type Survey struct {
	Seed uint64
	// Cases is how many each mutant has to pass.
	Cases int
	// Mutants are those that were judged, of All.
	Mutants []MutantVerdict
	All     int
}

// MutantVerdict is what became of one mutant.
type MutantVerdict struct {
	Mutant  string
	Verdict Verdict
	// By is what found it, or the case in which it behaves otherwise, unnoticed.
	By string
}

// Verdict is the kind of a mutant's end.
type Verdict string

// The verdicts.
const (
	// Refused: the kind or its decider is not accepted.
	Refused Verdict = "refused"
	// Killed: a case, a claim or the author's Check has found it.
	Killed Verdict = "killed"
	// Equivalent: it decides alike, or ended as the original in every case.
	Equivalent Verdict = "equivalent"
	// Survived: it behaves otherwise, and nothing is said against that. A property is missing.
	Survived Verdict = "SURVIVED"
)

// Of lists the mutants with a verdict.
func (s *Survey) Of(v Verdict) []MutantVerdict {
	return slices.DeleteFunc(slices.Clone(s.Mutants), func(m MutantVerdict) bool { return m.Verdict != v })
}

// Require fails the test for every mutant that survived.
func (s *Survey) Require(t testing.TB) {
	t.Helper()
	for _, m := range s.Of(Survived) {
		t.Errorf("a mutant survived: %s: %s", m.Mutant, m.By)
	}
}

// widest is how much of what found a mutant a table shows.
const widest = 160

// String is a table of all mutants.
func (s *Survey) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %d cases: %d of %d mutants, %d refused, %d killed, %d equivalent, %d survived\n",
		s.Seed, s.Cases, len(s.Mutants), s.All, len(s.Of(Refused)), len(s.Of(Killed)), len(s.Of(Equivalent)), len(s.Of(Survived)))
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MUTANT\tVERDICT\tBY")
	for _, m := range s.Mutants {
		by := m.By
		if len(by) > widest && m.Verdict != Survived {
			by = strings.ToValidUTF8(by[:widest], "") + "…"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", m.Mutant, m.Verdict, by)
	}
	if err := w.Flush(); err != nil {
		panic(err) // a strings.Builder never fails
	}
	return b.String()
}
