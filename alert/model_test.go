package alert_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/setpointhq/setpoint/alert"
)

// TestGrouperAgainstAModel: whatever the order of calls, the groups are those that a plain list of troubles has.
func TestGrouperAgainstAModel(t *testing.T) {
	type place struct{ object, source int }
	rapid.Check(t, func(t *rapid.T) {
		g, model := alert.NewGrouper(alert.Rules{}), map[place]alert.Trouble{}
		set := func(t *rapid.T) {
			p := place{rapid.IntRange(0, 15).Draw(t, "object"), rapid.IntRange(0, 1).Draw(t, "source")}
			trouble := noAddress(p.object)
			trouble.Source = alert.Source(fmt.Sprintf("Source%d", p.source))
			trouble.Cause = rapid.SampledFrom([]alert.Cause{"A", "B"}).Draw(t, "cause")
			trouble.Severity = rapid.SampledFrom([]alert.Severity{alert.Info, alert.Warning, alert.Critical}).Draw(t, "severity")
			if err := g.Set(trouble); err != nil {
				t.Fatal(err)
			}
			model[p] = trouble
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": set, "set more": set,
			"remove": func(t *rapid.T) {
				p := place{rapid.IntRange(0, 15).Draw(t, "object"), rapid.IntRange(0, 1).Draw(t, "source")}
				g.Remove(device(p.object), alert.Source(fmt.Sprintf("Source%d", p.source)))
				delete(model, p)
			},
			"forget": func(t *rapid.T) {
				object := rapid.IntRange(0, 15).Draw(t, "object")
				g.Forget(device(object))
				delete(model, place{object, 0})
				delete(model, place{object, 1})
			},
			"": func(t *rapid.T) {
				var troubles []alert.Trouble
				for _, trouble := range model {
					troubles = append(troubles, trouble)
				}
				if got, want := summary(g.Groups()), expected(troubles); got != want {
					t.Fatalf("groups\n%s\nwant\n%s", got, want)
				}
			},
		})
	})
}

// expected groups troubles the plain way.
func expected(all []alert.Trouble) string {
	slices.SortFunc(all, func(a, b alert.Trouble) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(string(a.Source), string(b.Source))
	})
	rank := map[alert.Severity]int{alert.Info: 0, alert.Warning: 1, alert.Critical: 2}
	var groups []alert.Group
	for _, cause := range []alert.Cause{"A", "B"} {
		group := alert.Group{Key: alert.Key{Cause: cause}, Severity: alert.Info}
		for _, t := range all {
			if t.Cause != cause {
				continue
			}
			group.Count++
			if rank[t.Severity] > rank[group.Severity] {
				group.Severity = t.Severity
			}
			if len(group.Examples) < alert.MaxExamples {
				group.Examples = append(group.Examples, alert.Example{Object: t.Object})
			}
		}
		if group.Count > 0 {
			groups = append(groups, group)
		}
	}
	return summary(groups)
}

func summary(groups []alert.Group) string {
	var b strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&b, "%s %d %s:", g.Key.Cause, g.Count, g.Severity)
		for _, e := range g.Examples {
			fmt.Fprintf(&b, " %s", e.Object.Name)
		}
		b.WriteString("\n")
	}
	return b.String()
}
