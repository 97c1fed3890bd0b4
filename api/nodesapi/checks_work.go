package nodesapi

import (
	"fmt"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/alert"
)

// The limits from which on checks about work say something.
const (
	feedWarning = 2 * time.Second
	lagWarning  = 30 * time.Second
	lagBad      = 5 * time.Minute
	blockedFor  = time.Second
	// mostTroubles is how many groups of objects are told one by one.
	mostTroubles = 20
)

func databaseAway(f *Facts) []Finding {
	err := f.Err
	if err == nil {
		err = f.DatabaseErr
	}
	if err == nil {
		return nil
	}
	return found(Finding{
		Severity: Critical, Code: "DatabaseAway", Object: "database " + f.Info.Location, What: fmt.Sprintf("it does not answer node %s: %v", f.Self.Name, err),
		Why: "nothing can be committed, so no work is done; requests are read from memory, and writes fail with 503 and nothing written", Remedy: "look at the database and the network to it; nothing has to be restarted, as nodes go on by themselves when it is back",
	})
}

func blocked(f *Facts) (findings []Finding) {
	if f.Database == nil {
		return nil
	}
	for _, b := range f.Database.Blockers {
		if b.Busy < blockedFor {
			continue
		}
		findings = append(findings, Finding{
			Severity: Critical, Code: "CommitsBlocked", Object: fmt.Sprintf("database session %d", b.PID),
			What: fmt.Sprintf("%d sessions wait for it: %s, role %s, from %s, %s%s, in its transaction for %s", b.Waiting, quoted(b.Application), b.Role, b.Address, b.State, waitsFor(b.Waits), span(b.Busy)),
			Why:  "no node can commit while it holds what every commit needs", Remedy: fmt.Sprintf("have its owner end the transaction, or as a superuser: SELECT pg_terminate_backend(%d)", b.PID),
		})
	}
	return findings
}

func quoted(application string) string {
	if application == "" {
		return "a program without a name"
	}
	return fmt.Sprintf("%q", application)
}

func waitsFor(waits string) string {
	if waits == "" {
		return ""
	}
	return ", waits for " + waits
}

func working(f *Facts) (findings []Finding) {
	for _, p := range f.Problems {
		findings = append(findings, Finding{
			Severity: Critical, Code: "NotWorking", Object: about(f.Self), What: p,
			Why: "this node does not do its work; its /readyz is 503", Remedy: "if the others are well, restart it; if they say the same, the cause is what they share: the database, the network, a subsystem",
		})
	}
	return findings
}

func feedBehind(f *Facts) []Finding {
	if f.Feed.Behind < feedWarning {
		return nil
	}
	return found(Finding{
		Severity: Warning, Code: "FeedBehind", Object: about(f.Self), What: fmt.Sprintf("its view is %s behind: it shows revision %d, and %d exists", span(f.Feed.Behind), f.Feed.Revision, f.Feed.Head),
		Why: "it reads and decides on what was; commits that rest on it are refused and made again", Remedy: "look for a full processor, or a slow way to the database; ask again in ten seconds, and restart it if it does not move",
	})
}

func stuck(f *Facts) (findings []Finding) {
	for _, q := range f.Queues {
		if q.Stuck > 0 {
			findings = append(findings, Finding{
				Severity: Warning, Code: "CallsStuck", Object: q.Name, What: fmt.Sprintf("%d calls on node %s ignore their deadline", q.Stuck, f.Self.Name),
				Why: "each takes a worker's place; when too many do, the process has to be restarted", Remedy: "find what hangs in its code: kill -ABRT shows the stacks, and the supervisor starts it again",
			})
		}
	}
	return findings
}

func lagging(f *Facts) (findings []Finding) {
	for _, q := range f.Queues {
		if q.Oldest <= lagWarning {
			continue
		}
		severity := Warning
		if q.Oldest > lagBad {
			severity = Critical
		}
		findings = append(findings, Finding{
			Severity: severity, Code: "QueueLags", Object: q.Name, What: fmt.Sprintf("on node %s %d items are due, the oldest for %s", f.Self.Name, q.Ready, span(q.Oldest)),
			Why: "that is how late it reacts", Remedy: "look for slow turns or a subsystem that answers slowly (setpoint_queue_oldest_seconds, /metrics); more nodes share the shards",
		})
	}
	return findings
}

func overlapping(f *Facts) (findings []Finding) {
	for _, q := range f.Queues {
		o := q.Overlap
		if o == nil {
			continue
		}
		findings = append(findings, Finding{
			Severity: Warning, Code: "UnitsOverlap", Object: q.Name, Since: o.At.UTC(),
			What:   fmt.Sprintf("unit of order %q is of objects in several shards, %s and %s for example; seen %d times on node %s", o.Unit, o.Here, o.There, o.Count, f.Self.Name),
			Why:    "each node sends its own commands of the unit in order, and nobody orders those of two nodes: calls may overlap, and the later wish may come first",
			Remedy: "give the unit to one object, or to names of one family, which are in one shard; if the subsystem bears it, its adapter says so (command.Overlapping)",
		})
	}
	return findings
}

func schema(f *Facts) []Finding {
	d := f.Database
	switch {
	case d == nil || d.Schema == d.Known:
		return nil
	case d.Schema < d.Known:
		return found(Finding{
			Severity: Critical, Code: "SchemaOlder", Object: "schema", What: fmt.Sprintf("the database has version %d, and this program needs %d", d.Schema, d.Known),
			Why: "a program like this one cannot start again", Remedy: "setpoint migrate up",
		})
	}
	return found(Finding{
		Severity: Info, Code: "SchemaNewer", Object: "schema", What: fmt.Sprintf("the database has version %d, and node %s knows %d", d.Schema, f.Self.Name, d.Known),
		Why: "that is right during an upgrade: the old program goes on", Remedy: "start this node with the new program",
	})
}

// words for each source of trouble: severity, code, what, why, remedy.
var troubles = map[alert.Source]Finding{
	alert.Halt:    {Severity: Critical, Code: "ActionsHalted", What: "stand still in an action, and only an operator can end that", Remedy: "setpoint actions KIND NAME, then setpoint signal KIND NAME Retry, Cancel or Abandon --why …"},
	alert.Failure: {Severity: Warning, Code: "GivenUp", What: "were given up by a controller", Remedy: "correct the cause (setpoint why KIND NAME), then setpoint signal KIND NAME Retry"},
	alert.Budget:  {Severity: Warning, Code: "Late", What: "are late: longer in their state than its budget", Remedy: "setpoint why KIND NAME"},
	alert.Delay:   {Severity: Warning, Code: "Delayed", What: "have a step that takes longer than its author expects", Remedy: "setpoint actions KIND NAME"},
	Paused:        {Severity: Info, Code: "ActionsPaused", What: "stand still in an action because an operator paused it", Remedy: "setpoint signal KIND NAME Resume, when it may go on"},
}

func troubled(f *Facts) (findings []Finding) {
	rest := 0
	for i, t := range f.Troubles {
		finding, known := troubles[t.Source]
		if !known {
			finding = Finding{Severity: Warning, Code: string(t.Source), What: "are in trouble", Remedy: "setpoint why KIND NAME"}
		}
		if i >= mostTroubles && finding.Severity != Critical {
			rest += t.Count
			continue
		}
		kind, _, _ := strings.Cut(string(t.Kind), ".")
		kind = strings.ToLower(kind)
		finding.Object, finding.Since = "kind "+string(t.Kind), t.Since.UTC()
		finding.What = fmt.Sprintf("%d objects %s: %s; the oldest, %s, for %s: %s", t.Count, finding.What, t.Cause, t.Oldest, span(f.Now.Sub(t.Since)), t.Message)
		finding.Why = "they are not at their setpoint, and do not come there by themselves"
		name := "KIND NAME"
		finding.Remedy = strings.ReplaceAll(finding.Remedy, name, kind+" "+string(t.Oldest.Name)+inNamespace(t))
		findings = append(findings, finding)
	}
	if rest > 0 {
		findings = append(findings, Finding{
			Severity: Warning, Code: "MoreTroubles", Object: "objects", What: fmt.Sprintf("%d more objects are in trouble, for other reasons", rest),
			Why: "only the largest groups are listed", Remedy: "setpoint get KIND shows who is not ready; alerts tell of every group: docs/how-to/alerts.md",
		})
	}
	return findings
}

func inNamespace(t Trouble) string {
	if ns := t.Oldest.Namespace; ns != "" && ns != "default" {
		return " -n " + string(ns)
	}
	return ""
}
