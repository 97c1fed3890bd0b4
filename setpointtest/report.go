package setpointtest

import (
	"fmt"
	"strings"
	"testing"
)

// Report is what a fuzz run found.
type Report struct {
	Seed uint64
	// Situations is how many there are in which nothing goes wrong, and Twisted how many cases with one more thing going wrong were found at each depth. Of them Cases
	// were told. Sampled says that not all were.
	Situations int
	Twisted    []int
	Cases      int
	Sampled    bool
	// Findings are what is wrong, each with the smallest case that shows it.
	Findings []Finding

	claims []Finding
}

// Finding is something that is wrong.
type Finding struct {
	Judgement Judgement
	Message   string
	// Case is the smallest that shows it, First the one in which it was found.
	Case, First Case
	// Cases counts those in which it was found.
	Cases int
	// Proved: it follows from the table, and needed no case.
	Proved bool
	// Crowded: it shows only beside other cases, which are told in the same world.
	Crowded bool

	seed uint64
	size int
}

func (f Finding) String() string {
	s := fmt.Sprintf("%s: %s\n\tcase: %s\n", f.Judgement, f.Message, f.Case)
	switch {
	case f.Proved:
		return s
	case f.Crowded:
		s += "\tit does not show when the case is told alone; repeat the whole run\n"
	default:
		s += fmt.Sprintf("\tto repeat it: Seed: %d, Only: the case as ParseCase reads it\n", f.seed)
	}
	if first := f.First.String(); first != f.Case.String() {
		s += fmt.Sprintf("\tfound in %d cases, the first of them: %s\n", f.Cases, first)
	}
	return s
}

func (r *Report) String() string {
	var b strings.Builder
	how := "all"
	if r.Sampled {
		how = "a sample"
	}
	fmt.Fprintf(&b, "seed %d: %d cases, %s of %d situations", r.Seed, r.Cases, how, r.Situations)
	for i, n := range r.Twisted {
		fmt.Fprintf(&b, ", %d with %d going wrong", n, i+1)
	}
	fmt.Fprintf(&b, ": %d findings\n", len(r.Findings))
	for _, f := range r.Findings {
		b.WriteString(f.String())
	}
	return b.String()
}

// Require fails the test for every finding.
func (r *Report) Require(t testing.TB) {
	t.Helper()
	for _, f := range r.Findings {
		t.Errorf("%s", f)
	}
}
