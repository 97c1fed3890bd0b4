package setpointtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/resource"
)

// Survey is what became of all mutants of a decider and its table. It prints as a table.
type Survey struct {
	Seed uint64
	// Cases is how many each mutant has to pass.
	Cases   int
	Mutants []MutantVerdict
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

// The cases of a survey: so many are looked for, and so many of them are told to each mutant, the first few before the others, which kill most.
const (
	surveyed  = 600
	perMutant = 160 // or a quarter of those that were looked for, if that is less
)

var batches = []int{16, 48, perMutant}

// Survivors tests the tests: it makes every mutant of the decider ([control.Mutants]) and of its table ([decide.Mutants]), and tells each the same cases. A mutant that is refused when it
// is registered, or shows a finding, is killed; one that ends as the original in all cases is equivalent, and a matter of taste. In these cases no plane dies: that tells nothing about a slip. Any other survives: it does
// something else, and no property of the author says that it must not. The original must show no finding. The same Seed gives the same survey.
func Survivors[S, T any](t *testing.T, f Fuzzing[S, T]) *Survey {
	t.Helper()
	original := f.program(f.Kind, f.Decider)
	x := &explorer{program: original, most: min(f.most(), surveyed), depth: f.depth(), variants: max(1, f.Variants), immortal: true, report: &Report{Seed: f.Seed}}
	if err := x.explore(t, f.Only); err != nil {
		t.Fatalf("survey %s: %v", f.Kind.ID(), err)
	}
	if found := x.findings(t); len(found) > 0 {
		t.Fatalf("survey %s: the original is wrong, and a mutant can be no worse:\n%s", f.Kind.ID(), found[0])
	}
	s := &surveyor{t: t, want: x.telling(min(perMutant, x.most/4))}
	s.survey = &Survey{Seed: f.Seed, Cases: len(s.want)}
	for _, m := range control.Mutants(f.Decider) {
		s.judge(m.Name, f.program(f.Kind, m.Decider))
	}
	mutants, err := decide.Mutants(f.Kind.Lifecycle, f.Kind.Decisions)
	if err != nil {
		t.Fatalf("survey %s: %v", f.Kind.ID(), err)
	}
	for _, m := range mutants {
		if m.Equivalent {
			s.verdict(m.What, Equivalent, "the table decides alike")
			continue
		}
		s.judge(m.What, f.program(control.Kind[S, T]{Definition: deciding(f.Kind.Definition, m.Table)}, f.Decider))
	}
	return s.survey
}

// deciding is a kind with another table.
func deciding(d *resource.Definition, table decide.Table) *resource.Definition {
	return &resource.Definition{
		Group: d.Group, Version: d.Version, Kind: d.Kind, Plural: d.Plural, Singular: d.Singular, ShortNames: d.ShortNames, Categories: d.Categories,
		Scope: d.Scope, Description: d.Description, Spec: d.Spec, Status: d.Status, Lifecycle: d.Lifecycle, Decisions: table, Columns: d.Columns,
		Default: d.Default, Validate: d.Validate,
	}
}

// telling are cases of as many courses as possible, in an order in which the first show most.
func (x *explorer) telling(most int) (out []told) {
	var paths []string
	groups := map[string][]told{}
	seen := map[string]bool{}
	for i := range x.all {
		k := x.all[i]
		if seen[k.Case.String()] {
			continue
		}
		seen[k.Case.String()] = true
		path := fmt.Sprint(k.Path, len(k.Standing), k.Variant)
		if k.twists() == 0 && len(k.Signals) <= 1 {
			path += k.Case.String() // each is telling: it says what one row does
		}
		if groups[path] == nil {
			paths = append(paths, path)
		}
		groups[path] = append(groups[path], k)
	}
	for round := 0; len(out) < most; round++ {
		before := len(out)
		for _, path := range paths {
			if round < len(groups[path]) && len(out) < most {
				out = append(out, groups[path][round])
			}
		}
		if len(out) == before {
			break
		}
	}
	return out
}

// surveyor judges mutants.
type surveyor struct {
	t      *testing.T
	want   []told
	survey *Survey
}

func (s *surveyor) verdict(mutant string, v Verdict, by string) {
	s.survey.Mutants = append(s.survey.Mutants, MutantVerdict{mutant, v, by})
}

// judge finds out what becomes of a mutant.
func (s *surveyor) judge(mutant string, p *program) {
	s.t.Helper()
	if err := p.def.Check(); err != nil {
		s.verdict(mutant, Refused, first(err))
		return
	}
	situations, err := decide.Situations(p.def.Lifecycle, p.def.Decisions)
	if err != nil {
		s.verdict(mutant, Refused, first(err))
		return
	}
	x := &explorer{program: p, report: &Report{}}
	x.situated(situations)
	if err := x.prove(); err != nil || len(x.report.claims) > 0 {
		by := "a claim: "
		if err != nil {
			by += first(err)
		} else {
			by += x.report.claims[0].Message
		}
		s.verdict(mutant, Killed, by)
		return
	}
	other, from := "", 0
	for _, size := range batches {
		batch := s.want[from:min(from+size, len(s.want))]
		from += len(batch)
		if len(batch) == 0 {
			break
		}
		all, err := p.isolate(s.t, casesOf(batch))
		if err != nil {
			s.verdict(mutant, Refused, first(err))
			return
		}
		for i := range all {
			if len(all[i].wrongs) > 0 {
				w := all[i].wrongs[0]
				s.verdict(mutant, Killed, fmt.Sprintf("%s: %s [%s]", w.Judgement, w.message, all[i].Case))
				return
			}
			if was, is := batch[i].digest(), all[i].digest(); was != is && other == "" {
				other = fmt.Sprintf("[%s] ends otherwise: %s", all[i].Case, otherwise(was, is))
			}
		}
	}
	if other != "" {
		s.verdict(mutant, Survived, other)
		return
	}
	s.verdict(mutant, Equivalent, fmt.Sprintf("it ends alike in %d cases", len(s.want)))
}

// otherwise says in one line in what two digests differ.
func otherwise(was, is string) string {
	if d := strings.TrimSpace(difference(was, is)); d != "" {
		return strings.ReplaceAll(d, "\n", "; ")
	}
	return "the same, in another order"
}

func casesOf(all []told) (cases []Case) {
	for i := range all {
		cases = append(cases, all[i].Case)
	}
	return cases
}

// first is the first line of an error.
func first(err error) string {
	line, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return line
}

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
	fmt.Fprintf(&b, "seed %d, %d cases: %d mutants, %d refused, %d killed, %d equivalent, %d survived\n",
		s.Seed, s.Cases, len(s.Mutants), len(s.Of(Refused)), len(s.Of(Killed)), len(s.Of(Equivalent)), len(s.Of(Survived)))
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
