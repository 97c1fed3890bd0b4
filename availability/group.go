package availability

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/setpointhq/setpoint/resource"
)

// ErrGrouping says that objects cannot be put together in that way: it is not one of [ByAll], [ByKind], [ByNamespace]. Use one of those.
var ErrGrouping = errors.New("not a grouping")

// Grouping says which objects are put together.
type Grouping string

const (
	// ByAll puts all together, under the name "all".
	ByAll Grouping = "all"
	// ByKind makes one group per kind.
	ByKind Grouping = "kind"
	// ByNamespace makes one group per tenant. Objects without a namespace are under "-".
	ByNamespace Grouping = "namespace"
)

// groupings names the group of an object.
var groupings = map[Grouping]func(resource.Key) string{
	ByAll:       func(resource.Key) string { return "all" },
	ByKind:      func(k resource.Key) string { return string(k.Kind) },
	ByNamespace: func(k resource.Key) string { return cmp.Or(string(k.Namespace), "-") },
}

// Group is the availability of many objects over one window.
type Group struct {
	Name   string `json:"name"`
	Window Window `json:"window"`
	// Objects are all of them, Counted those with time that counts.
	Objects int `json:"objects"`
	Counted int `json:"counted"`
	// Uptime is the user-uptime (Hauer et al., Meaningful Availability, NSDI 2020, section 4): the up time of all objects over their
	// counted time, both added up. Who has been there for longer weighs more, and an object that was removed weighs what it lived.
	Uptime Ratio `json:"uptime"`
	// The times are added up over the objects.
	Up        Span `json:"up"`
	Down      Span `json:"down"`
	Uncounted Span `json:"uncounted"`
	Unknown   Span `json:"unknown"`
	// Outages counts the outages, of one object each; Open those that had not ended; Longest is the greatest length.
	Outages  int      `json:"outages"`
	Open     int      `json:"open"`
	Longest  Span     `json:"longest"`
	Recovery Recovery `json:"recovery"`
	// Worst are the objects that were down for the longest time in the window, and so cost the group the most.
	Worst   []Worst `json:"worst"`
	Caveats Caveats `json:"caveats,omitzero"`
}

// Worst is one object that was down.
type Worst struct {
	Object       resource.Key `json:"object"`
	UID          resource.UID `json:"uid,omitempty"`
	Availability Ratio        `json:"availability"`
	Down         Span         `json:"down"`
	Outages      int          `json:"outages"`
}

// GroupBy adds reports up, which must be of the same window. The groups come in the order of their names, each with at most so many of its
// worst objects. Without reports there is no group. It fails with [ErrGrouping].
func GroupBy(reports []Report, by Grouping, worst int) (Groups, error) {
	name, ok := groupings[by]
	if !ok {
		return nil, fmt.Errorf("group by %q: %w: take one of %v", by, ErrGrouping, slices.Sorted(maps.Keys(groupings)))
	}
	found := map[string]*sum{}
	for i := range reports {
		n := name(reports[i].Object)
		if found[n] == nil {
			found[n] = &sum{Group: Group{Name: n, Window: reports[i].Window}}
		}
		found[n].add(&reports[i])
	}
	groups := make(Groups, 0, len(found))
	for _, n := range slices.Sorted(maps.Keys(found)) {
		groups = append(groups, found[n].total(worst))
	}
	return groups, nil
}

// sum adds up one group.
type sum struct {
	Group
	lengths []Span
}

func (s *sum) add(r *Report) {
	s.Objects++
	if _, known := r.Availability.Value(); known {
		s.Counted++
	}
	s.Up, s.Down = s.Up.Add(r.Up), s.Down.Add(r.Down)
	s.Uncounted, s.Unknown = s.Uncounted.Add(r.Uncounted), s.Unknown.Add(r.Unknown)
	s.Outages += len(r.Outages)
	for _, o := range r.Outages {
		if o.Outcome == Open {
			s.Open++
		}
	}
	if r.Longest.Compare(s.Longest) > 0 {
		s.Longest = r.Longest
	}
	s.lengths = recovered(s.lengths, r.Outages)
	s.Caveats.add(r.Caveats)
	if !r.Down.IsZero() {
		s.Worst = append(s.Worst, Worst{r.Object, r.UID, r.Availability, r.Down, len(r.Outages)})
	}
}

func (s *sum) total(worst int) Group {
	g := s.Group
	g.Uptime = RatioOf(g.Up, g.Down)
	g.Recovery = recoveryOf(s.lengths, g.Up)
	slices.SortFunc(g.Worst, func(a, b Worst) int {
		return cmp.Or(b.Down.Compare(a.Down), a.Object.Compare(b.Object), cmp.Compare(a.UID, b.UID))
	})
	g.Worst = append([]Worst{}, g.Worst[:min(max(0, worst), len(g.Worst))]...)
	return g
}
