package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// takeovers prints how long it took from each kill until the work was taken over, and checks that it was, each time.
func (x *weather) takeovers(s *sampler) {
	x.town.Helper()
	commits := map[string][]sighting{}
	for _, c := range x.town.sightings() {
		if c.What == "commit" {
			commits[c.Scope] = append(commits[c.Scope], c)
		}
	}
	limit := x.plan.ttl + time.Second
	times := map[bool]*takeover{true: {}, false: {}}
	for _, d := range x.deaths {
		if d.amiss || len(d.had) == 0 {
			continue
		}
		first, last := x.firstCommit(d, commits), x.lastShard(d, s)
		times[d.alone].first = append(times[d.alone].first, first)
		times[d.alone].last = append(times[d.alone].last, last)
		x.town.Logf("%s, %v after the beginning, with %d shards, the others well: %v; first commit after %v, last shard after %v", d.node.name,
			d.at.Sub(x.began).Round(time.Second), len(d.had), d.alone, first.Round(time.Millisecond), last.Round(time.Millisecond))
		if max(first, last) > limit {
			x.town.Logf("%s", x.trace(d, s))
		}
	}
	x.town.Logf("from a kill, with the database up and the other nodes well: %s", times[true].describe(limit))
	x.town.Logf("from a kill, with the database up and another node frozen or cut off: %s", times[false].describe(limit))
	if len(times[true].first)+len(times[false].first) == 0 {
		x.town.Error("no node was killed while the database was up")
	}
}

// takeover are the times until the first commit under a new epoch, and until the last shard was assigned anew.
type takeover struct{ first, last []time.Duration }

func (o *takeover) describe(limit time.Duration) string {
	within := func(times []time.Duration) (n int) {
		for _, d := range times {
			if d <= limit {
				n++
			}
		}
		return n
	}
	return fmt.Sprintf("%d kills; to the first commit under a new epoch: %s, %d within %v; to the last shard's being another's: %s, %d within it",
		len(o.first), quantiles(o.first), within(o.first), limit, quantiles(o.last), within(o.last))
}

// firstCommit is how long it took to the first commit about any of a dead node's shards.
func (x *weather) firstCommit(d *death, commits map[string][]sighting) time.Duration {
	x.town.Helper()
	earliest := time.Duration(-1)
	for shard, had := range d.had {
		for _, c := range commits[fmt.Sprintf("shard/%d", shard)] {
			after := time.Unix(0, c.At).Sub(d.at)
			if parseEpoch(x.town, c.Epoch).Compare(had) > 0 && (earliest < 0 || after < earliest) {
				earliest = after
			}
		}
	}
	if earliest < 0 {
		x.town.Errorf("nothing was committed about the shards of node %s after it was killed", d.node.name)
	}
	return earliest
}

// lastShard is how long it took until all of a dead node's shards were others'.
func (x *weather) lastShard(d *death, s *sampler) (last time.Duration) {
	x.town.Helper()
	for shard, had := range d.had {
		scope := fmt.Sprintf("shard/%d", shard)
		next, found := s.after(scope, had)
		if !found {
			x.town.Errorf("%s of node %s was never taken over after %s", scope, d.node.name, had)
		}
		last = max(last, next.at.Sub(d.at))
	}
	return last
}

// trace tells who took a dead node's shards when, and what else was the matter from a time to live before its death on.
func (x *weather) trace(d *death, s *sampler) string {
	count := map[string]int{}
	for shard, had := range d.had {
		if next, found := s.after(fmt.Sprintf("shard/%d", shard), had); found {
			count[fmt.Sprintf("%v %s", next.at.Sub(d.at).Round(time.Millisecond), next.by)]++
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  after %s:", d.at.Format("15:04:05.000"))
	for _, what := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(&b, " %d after %s;", count[what], what)
	}
	from, to := d.at.Add(-x.plan.ttl), d.at.Add(3*x.plan.ttl)
	for _, met := range during(x.spells, from, to, func(s spell) bool { return s.sort != killed || s.from.After(from) }) {
		fmt.Fprintf(&b, "\n    %s", met)
	}
	for _, n := range x.town.nodes {
		for line := range strings.Lines(n.Output()) {
			var at time.Time
			text, about, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
			if at.UnmarshalText([]byte(text)) == nil && at.After(from) && at.Before(to) && (strings.Contains(about, "shards") || strings.Contains(about, "member")) {
				fmt.Fprintf(&b, "\n    %s %.300s", text, strings.TrimSpace(about))
			}
		}
	}
	return b.String()
}

// quantiles are p50, p99 and the most of times.
func quantiles(times []time.Duration) string {
	if len(times) == 0 {
		return "none"
	}
	slices.Sort(times)
	at := func(p int) time.Duration { return times[min(len(times)*p/100, len(times)-1)].Round(time.Millisecond) }
	return strings.Join([]string{"p50 " + at(50).String(), "p99 " + at(99).String(), "most " + times[len(times)-1].Round(time.Millisecond).String()}, ", ")
}
