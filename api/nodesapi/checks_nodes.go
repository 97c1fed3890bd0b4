package nodesapi

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// The limits from which on checks about nodes say something.
const (
	skewWarning = time.Second
	skewBad     = 30 * time.Second
	// takeover is how long it may take until a shard that can be taken is taken.
	takeover = 5 * time.Second
	// lately is how far back restarts and moves are counted, and restarts how many runs of one name in that time are too many.
	lately   = 10 * time.Minute
	restarts = 3
)

// members are the nodes that are members, by name.
func (f *Facts) members() (list []store.Node) {
	for _, n := range f.Nodes {
		if n.Member {
			list = append(list, n)
		}
	}
	slices.SortFunc(list, func(a, b store.Node) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return list
}

// fit are the members that take shards.
func (f *Facts) fit() (list []store.Node) {
	for _, n := range f.members() {
		if !n.Draining && n.Trouble == "" {
			list = append(list, n)
		}
	}
	return list
}

func about(n store.Node) string { return "node " + n.Name }

func nobodyFit(f *Facts) []Finding {
	members := f.members()
	if !f.Info.Shared || len(members) == 0 || len(f.fit()) > 0 {
		return nil
	}
	for _, n := range members {
		if !n.Draining {
			return nil // they are all in trouble, and keep what they have
		}
	}
	names := make([]string, len(members))
	for i, n := range members {
		names[i] = n.Name
	}
	return found(Finding{
		Severity: Critical, Code: "EveryNodeCordoned", Object: "nodes", What: "every node is cordoned: " + strings.Join(names, ", "),
		Why: "nobody may have shards, so no controller runs; requests are still accepted", Remedy: "setpoint uncordon " + names[0] + ", or start a node",
	})
}

func unowned(f *Facts) []Finding {
	open := f.unowned()
	if !f.Info.Shared || f.Err != nil || len(open) == 0 {
		return nil
	}
	finding := Finding{
		Severity: Info, Code: "ShardsUnowned", Object: "shards", What: fmt.Sprintf("%d of %d shards are nobody's", len(open), resource.Shards),
		Why: "objects in them are not worked on until somebody takes them", Remedy: "none: whoever they fall to is about to take them",
	}
	if f.Database != nil {
		for _, shard := range open {
			if at, ok := f.Database.Unowned[shard]; ok && (finding.Since.IsZero() || at.Before(finding.Since)) {
				finding.Since = at
			}
		}
	}
	since := finding.Since
	for _, n := range f.fit() { // nobody could have taken it before there was somebody
		if since.IsZero() || n.Joined.After(since) && len(f.fit()) == 1 {
			since = n.Joined
		}
	}
	if !since.IsZero() && f.Now.Sub(since) <= takeover {
		return found(finding)
	}
	finding.Severity = Critical
	if !finding.Since.IsZero() {
		finding.What += " for " + span(f.Now.Sub(finding.Since))
	}
	finding.Remedy = "setpoint nodes: is there a node that is neither cordoned nor in trouble? Start one, or uncordon one; its log says why it takes none"
	if f.Standby != "" {
		finding.What += fmt.Sprintf("; node %s says: %s", f.Self.Name, f.Standby)
	}
	return found(finding)
}

// unowned are the shards that nobody has.
func (f *Roster) unowned() []int {
	open := []int{}
	if !f.Info.Shared {
		return open
	}
	var owned [resource.Shards]bool
	for _, a := range f.Assigned {
		if a.Shard >= 0 && a.Shard < len(owned) {
			owned[a.Shard] = true
		}
	}
	for i, has := range owned {
		if !has {
			open = append(open, i)
		}
	}
	return open
}

func silent(f *Facts) (findings []Finding) {
	for _, n := range f.Nodes {
		if !f.Info.Shared || n.Member || n.Shards == 0 || f.Err != nil {
			continue
		}
		finding := Finding{
			Severity: Info, Code: "NodeSilent", Object: about(n), Since: n.Seen.UTC(),
			What: fmt.Sprintf("not heard of for %s, and still has %d shards", span(f.Now.Sub(n.Seen)), n.Shards),
			Why:  "nobody works on them: its time is over, and nobody has taken them yet", Remedy: "none: the others are about to take them",
		}
		if f.Now.Sub(n.Expires) > takeover {
			finding.Severity = Critical
			finding.Remedy = "start another node, or uncordon one (setpoint nodes). If the silent one is only frozen, it is safe to kill: what it commits with an old epoch is refused once its shards are taken"
		}
		findings = append(findings, finding)
	}
	return findings
}

func inTrouble(f *Facts) (findings []Finding) {
	severity := Warning
	if len(f.fit()) == 0 {
		severity = Critical
	}
	for _, n := range f.members() {
		if n.Trouble != "" && n.Trouble != store.JustBack { // which is over by the time that anybody looks
			findings = append(findings, Finding{
				Severity: severity, Code: "NodeInTrouble", Object: about(n), What: fmt.Sprintf("says that its work does not move: %s; it has %d shards", n.Trouble, n.Shards),
				Why:    "it is alive and makes no progress; the others are dealt its shards, and when it is the last one, nothing works as it should",
				Remedy: "look at its log, then restart it (SIGABRT leaves the stacks of what hangs in the log); until it is well it is dealt no shards",
			})
		}
	}
	return findings
}

func clocks(f *Facts) (findings []Finding) {
	for _, n := range f.members() {
		if !f.Info.Shared || n.Skew.Abs() <= skewWarning {
			continue
		}
		severity, way := Warning, "ahead of"
		if n.Skew.Abs() > skewBad {
			severity = Critical
		}
		if n.Skew < 0 {
			way = "behind"
		}
		findings = append(findings, Finding{
			Severity: severity, Code: "ClockSkew", Object: about(n), What: fmt.Sprintf("its clock is %s %s the database's", span(n.Skew.Abs()), way),
			Why:    "leases do not depend on it; deadlines, budgets, timers and the times in histories do: they come early or late on this node",
			Remedy: "set the clock of its machine by NTP; if all nodes show the same, it is the database's clock that is wrong",
		})
	}
	return findings
}

// process takes the process number from a default name, which is a new one with every start.
func process(name string) string {
	if host, number, ok := strings.Cut(name, "/"); ok {
		if _, err := strconv.Atoi(number); err == nil {
			return host
		}
	}
	return name
}

func restarting(f *Facts) (findings []Finding) {
	runs := map[string][]store.Node{}
	for _, n := range f.Nodes {
		if f.Info.Shared && f.Now.Sub(n.Joined) < lately {
			runs[process(n.Name)] = append(runs[process(n.Name)], n)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(runs)) {
		alive := 0
		for _, n := range runs[name] {
			if n.Member {
				alive++
			}
		}
		if ended := len(runs[name]) - alive; ended >= restarts-1 && len(runs[name]) >= restarts {
			findings = append(findings, Finding{
				Severity: Warning, Code: "NodeRestarts", Object: "node " + name, What: fmt.Sprintf("was started %d times in the last %s; %d of these runs have ended", len(runs[name]), span(lately), ended),
				Why: "with each of them shards move, and what was under way is begun anew", Remedy: "look why it ends: its log, and its supervisor's (systemctl status, kubectl describe pod)",
			})
		}
	}
	return findings
}

// moving finds shards that change hands although nodes neither come nor go.
func moving(f *Facts) []Finding {
	if !f.Info.Shared || f.Err != nil {
		return nil
	}
	for _, n := range f.Nodes {
		if f.Now.Sub(n.Joined) < lately || !n.Member && f.Now.Sub(n.Seen) < lately || n.Draining {
			return nil
		}
	}
	moved := 0
	for _, a := range f.Assigned {
		if f.Now.Sub(a.Since) < lately {
			moved++
		}
	}
	if moved < resource.Shards/8 {
		return nil
	}
	return found(Finding{
		Severity: Info, Code: "ShardsMove", Object: "shards", What: fmt.Sprintf("%d shards have changed hands in the last %s, and no node has come or gone", moved, span(lately)),
		Why: "a node was uncordoned or has recovered, which ends by itself; if it is so again in a quarter of an hour, one falls ill again and again", Remedy: "setpoint leases shows since when; search the logs for “in trouble”",
	})
}

func versions(f *Facts) []Finding {
	by := map[string][]string{}
	for _, n := range f.members() {
		by[n.Version] = append(by[n.Version], n.Name)
	}
	if !f.Info.Shared || len(by) < 2 {
		return nil
	}
	var parts []string
	for _, v := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, fmt.Sprintf("%s: %s", cmp.Or(v, "(none)"), strings.Join(by[v], ", ")))
	}
	return found(Finding{
		Severity: Info, Code: "VersionsDiffer", Object: "nodes", What: "nodes of different versions: " + strings.Join(parts, "; "),
		Why: "that is right during an upgrade; an action whose steps differ parks on a node that has other ones", Remedy: "finish the upgrade, or go back: docs/how-to/operate-nodes.md",
	})
}

func takeUpPaused(f *Facts) []Finding {
	if !f.Pause.On() {
		return nil
	}
	return found(Finding{
		Severity: Info, Code: "TakeUpPaused", Object: "take-up", Since: f.Pause.Since.UTC(),
		What: fmt.Sprintf("paused by %s for %s, and for another %s; on node %s %d objects wait", f.Pause.By, span(f.Now.Sub(f.Pause.Since)), span(f.Pause.Until.Sub(f.Now)), f.Self.Name, f.Waiting),
		Why:  "what changes is worked on; what nodes have gained otherwise, from others or by a start, is not looked at, and its timers and limits do not come due", Remedy: "setpoint takeup resume, when what suffered from it can bear it again; it ends by itself",
	})
}

func cordons(f *Facts) (findings []Finding) {
	if f.Database == nil {
		return nil
	}
	for _, c := range f.Database.Cordons {
		finding := Finding{
			Severity: Warning, Code: "CordonUnused", Object: "node " + c.Name, Since: c.Since.UTC(), What: fmt.Sprintf("its name is cordoned for %s, and no node of that name is there", span(f.Now.Sub(c.Since))),
			Why: "the next process of that name will get no work, and nobody will know why", Remedy: "setpoint uncordon " + c.Name,
		}
		for _, n := range f.members() {
			if n.Name == c.Name {
				finding.Severity, finding.Code, finding.What = Info, "NodeCordoned", fmt.Sprintf("it is cordoned for %s, and has %d shards", span(f.Now.Sub(c.Since)), n.Shards)
				finding.Why = "it takes no work until somebody takes that back"
			}
		}
		if finding.Severity == Warning && f.Now.Sub(c.Since) < lately {
			finding.Severity = Info // drained, stopped, and about to be started again
		}
		findings = append(findings, finding)
	}
	return findings
}
