package setpointtest

import (
	"slices"
	"testing"
)

// The bounds of what is made smaller: findings beyond them are reported as they were found.
const (
	mostFindings = 24
	mostShrunk   = 8
)

// findings puts together what shows the same, and looks for the smallest case of each.
func (x *explorer) findings(t *testing.T) []Finding {
	t.Helper()
	found := x.report.claims
	at := map[wrong]int{}
	for i := range x.all {
		for _, w := range x.all[i].wrongs {
			if n, known := at[w]; known {
				found[n].Cases++
				if k := &x.all[i]; k.size() < found[n].size {
					found[n].Case, found[n].size = k.Case, k.size()
				}
				continue
			}
			if len(found) == mostFindings {
				continue
			}
			at[w] = len(found)
			found = append(found, Finding{Judgement: w.Judgement, Message: w.message, Case: x.all[i].Case, First: x.all[i].Case, Cases: 1, seed: x.seed, size: x.all[i].size()})
		}
	}
	var small []Finding
	for i, f := range found {
		if !f.Proved && i < mostShrunk {
			f = x.shrink(t, f)
		}
		if n := slices.IndexFunc(small, func(g Finding) bool { return g.Judgement == f.Judgement && g.Case.String() == f.Case.String() }); n >= 0 {
			small[n].Cases += f.Cases
			continue
		}
		small = append(small, f)
	}
	return small
}

// size is how much there is to a case: first what goes wrong in it, then the signals, then how long it is.
func (k *told) size() int { return (k.twists()*100+len(k.Signals))*1000 + k.boundaries }

// shrink leaves out what a finding does not need: signals first, then results, then orders. All attempts of one round are told in one world, if no plane dies in them.
func (x *explorer) shrink(t *testing.T, f Finding) Finding {
	t.Helper()
	if f.Crowded = !x.shows(t, f, []Case{f.Case})[0]; f.Crowded {
		return f
	}
	for {
		attempts := f.Case.without()
		showing := x.shows(t, f, attempts)
		n := slices.Index(showing, true)
		if n < 0 {
			return f
		}
		f.Case = attempts[n]
	}
}

// without lists the cases with one thing less, in the order in which it is left out.
func (c *Case) without() (cases []Case) {
	for i := range c.Signals {
		less := *c
		less.Signals = slices.Delete(slices.Clone(c.Signals), i, i+1)
		cases = append(cases, less)
	}
	for i := range c.Results {
		less := *c
		less.Results = slices.Delete(slices.Clone(c.Results), i, i+1)
		cases = append(cases, less)
	}
	for i := range c.Orders {
		less := *c
		less.Orders = slices.Delete(slices.Clone(c.Orders), i, i+1)
		cases = append(cases, less)
	}
	if c.Variant > 0 {
		less := *c
		less.Variant = 0
		cases = append(cases, less)
	}
	return cases
}

// shows tells cases, and reports which of them show something that is wrong in the same way as a finding.
func (x *explorer) shows(t *testing.T, f Finding, cases []Case) []bool {
	t.Helper()
	showing := make([]bool, len(cases))
	tell := func(at []int) {
		chosen := make([]Case, len(at))
		for i, n := range at {
			chosen[i] = cases[n]
		}
		all, err := x.isolate(t, chosen)
		if err != nil {
			t.Fatalf("fuzz %s: %v", x.def.ID(), err)
		}
		for i := range all {
			showing[at[i]] = slices.ContainsFunc(all[i].wrongs, func(w wrong) bool { return w.Judgement == f.Judgement })
		}
	}
	var calm []int
	for n := range cases {
		if cases[n].crashes() {
			tell([]int{n})
		} else {
			calm = append(calm, n)
		}
	}
	if len(calm) > 0 {
		tell(calm)
	}
	return showing
}
