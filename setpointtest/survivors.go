package setpointtest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/resource"
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
	f.checking = &sync.Mutex{}
	original := f.program(f.Kind, f.Decider)
	x := &explorer{program: original, most: min(f.most(), surveyed), depth: f.depth(), variants: max(1, f.Variants), stories: f.Stories, immortal: true, report: &Report{Seed: f.Seed}}
	if err := x.explore(t, f.Only); err != nil {
		t.Fatalf("survey %s: %v", f.Kind.ID(), err)
	}
	if found := x.findings(t); len(found) > 0 {
		t.Fatalf("survey %s: the original is wrong, and a mutant can be no worse:\n%s", f.Kind.ID(), found[0])
	}
	s := &surveyor{original: original}
	if err := s.expect(t, x.telling(min(perMutant, x.most/4))); err != nil {
		t.Fatalf("survey %s: %v", f.Kind.ID(), err)
	}
	mutants, err := mutantsOf(f)
	if err != nil {
		t.Fatalf("survey %s: %v", f.Kind.ID(), err)
	}
	survey := &Survey{Seed: f.Seed, Cases: len(s.want), All: len(mutants)}
	survey.Mutants = s.judgeAll(t, sampled(mutants, f.Sample, f.Seed))
	return survey
}

// mutant is one that waits for its judgement: a program, or one of which it is known that it decides alike.
type mutant struct {
	name       string
	program    *program
	equivalent bool
}

// mutantsOf are all mutants: first those of the decider, then those of the table.
func mutantsOf[S, T any](f Fuzzing[S, T]) (all []mutant, err error) {
	for _, m := range control.Mutants(f.Decider) {
		all = append(all, mutant{name: m.Name, program: f.program(f.Kind, m.Decider)})
	}
	mutants, err := decide.Mutants(f.Kind.Lifecycle, f.Kind.Decisions)
	for _, m := range mutants {
		all = append(all, mutant{
			name: m.What, equivalent: m.Equivalent,
			program: f.program(control.Kind[S, T]{Definition: deciding(f.Kind.Definition, m.Table)}, f.Decider),
		})
	}
	return all, err
}

// sampled is every so manieth mutant, beginning with another one for each seed.
func sampled(mutants []mutant, every int, seed uint64) (some []mutant) {
	if every <= 1 {
		return mutants
	}
	for i := int(seed % uint64(every)); i < len(mutants); i += every {
		some = append(some, mutants[i])
	}
	return some
}

// judgeAll judges mutants, as many at a time as there are processors.
func (s *surveyor) judgeAll(t *testing.T, mutants []mutant) []MutantVerdict {
	t.Helper()
	verdicts := make([]MutantVerdict, len(mutants))
	next := atomic.Int64{}
	t.Run("mutants", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("judge", func(t *testing.T) {
				t.Parallel()
				for i := int(next.Add(1)) - 1; i < len(mutants); i = int(next.Add(1)) - 1 {
					m := mutants[i]
					verdicts[i].Mutant = m.name
					verdicts[i].Verdict, verdicts[i].By = s.judge(t, m)
				}
			})
		}
	})
	return verdicts
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
		if i < len(x.stories) { // they are told first
			seen[k.Case.String()], out = true, append(out, k)
			continue
		}
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

// surveyor judges mutants by how the original has ended.
type surveyor struct {
	original *program
	want     []told
}

// expect tells the original the cases in the very worlds in which mutants are told them: in another company a case may take another course.
func (s *surveyor) expect(t *testing.T, cases []told) error {
	t.Helper()
	for _, batch := range batched(cases) {
		all, err := s.original.isolate(t, casesOf(batch))
		if err != nil {
			return err
		}
		for i := range all {
			if len(all[i].wrongs) > 0 {
				return fmt.Errorf("the original is wrong, and a mutant can be no worse: %s [%s]", all[i].wrongs[0].message, all[i].Case)
			}
		}
		s.want = append(s.want, all...)
	}
	return nil
}

// batched divides cases among the worlds in which they are told.
func batched(cases []told) (all [][]told) {
	for _, size := range batches {
		if size = min(size, len(cases)); size > 0 {
			all, cases = append(all, cases[:size]), cases[size:]
		}
	}
	return all
}

// judge finds out what becomes of a mutant.
func (s *surveyor) judge(t *testing.T, m mutant) (Verdict, string) {
	t.Helper()
	p := m.program
	if m.equivalent {
		return Equivalent, "the table decides alike"
	}
	if err := p.def.Check(); err != nil {
		return Refused, first(err)
	}
	situations, err := decide.Situations(p.def.Lifecycle, p.def.Decisions)
	if err != nil {
		return Refused, first(err)
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
		return Killed, by
	}
	return s.tell(t, p)
}

// tell tells a mutant the cases. What is wrong in one kills it; only when nothing is, those in which it has ended otherwise are looked at again.
func (s *surveyor) tell(t *testing.T, p *program) (Verdict, string) {
	t.Helper()
	var others []Case
	for _, batch := range batched(s.want) {
		all, err := p.isolate(t, casesOf(batch))
		if err != nil {
			return Refused, first(err)
		}
		for i := range all {
			if len(all[i].wrongs) > 0 {
				w := all[i].wrongs[0]
				return Killed, fmt.Sprintf("%s: %s [%s]", w.Judgement, w.message, all[i].Case)
			}
			if batch[i].digest() != all[i].digest() {
				others = append(others, all[i].Case)
			}
		}
	}
	for _, c := range others {
		if other, err := s.differs(t, p, c); err != nil {
			return Refused, first(err)
		} else if other != "" {
			return Survived, other
		}
	}
	return Equivalent, fmt.Sprintf("it ends alike in %d cases", len(s.want))
}

// rounds is how often a case in which a mutant has ended otherwise is told again, if it goes on to end otherwise: each time alone in its world, for another seed, to the original and to the mutant.
const rounds = 12

// differs tells a case again to the original and to a mutant, and says in what they differ. What a slip shifts by a moment may change which of two things comes first, and what follows, though
// nobody would call that another behaviour. So a mutant differs only when, for every seed, it ends in a way in which the original ends for none.
func (s *surveyor) differs(t *testing.T, p *program, c Case) (string, error) {
	t.Helper()
	var was, is []string
	for round := range rounds {
		for program, ends := range map[*program]*[]string{s.original: &was, p: &is} {
			told, err := program.seeded(round).isolate(t, []Case{c})
			if err != nil {
				return "", err
			}
			*ends = append(*ends, told[0].digest())
		}
		if slices.ContainsFunc(is, func(end string) bool { return slices.Contains(was, end) }) {
			return "", nil
		}
	}
	return fmt.Sprintf("[%s] ends otherwise: %s", c, otherwise(was[0], is[0])), nil
}

// seeded is the program with another seed, the first with its own.
func (p *program) seeded(round int) *program {
	other := *p
	other.seed += uint64(round)
	return &other
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
