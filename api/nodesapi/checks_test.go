package nodesapi_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/alert"
	"github.com/setpointhq/setpoint/api/nodesapi"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var now = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// node is a member that has been there for a day.
func node(name string, shards int, changes ...func(*store.Node)) store.Node {
	n := store.Node{
		ID: store.NodeID(name + "#1"), Name: name, Version: "1.0.0", Member: true, Shards: shards, Joined: ago(24 * time.Hour), Seen: ago(time.Second), Expires: now.Add(9 * time.Second),
	}
	for _, change := range changes {
		change(&n)
	}
	return n
}

func troubled(n *store.Node) { n.Trouble = "controller note: 2 calls do not return" }
func draining(n *store.Node) { n.Draining = true }
func newer(n *store.Node)    { n.Version = "1.1.0" }
func dead(n *store.Node) {
	n.Member, n.Seen, n.Expires = false, ago(25*time.Second), ago(15*time.Second)
}
func lapsed(n *store.Node) {
	n.Member, n.Seen, n.Expires = false, ago(11*time.Second), ago(time.Second)
}
func young(n *store.Node) { n.Joined = ago(2 * time.Second) }
func run(i int) func(*store.Node) {
	return func(n *store.Node) { n.Joined = ago(time.Duration(i+1) * time.Minute) }
}
func skew(d time.Duration) func(*store.Node) {
	return func(n *store.Node) { n.Skew = d }
}

// healthy are the facts of two nodes that share the shards and have nothing to complain of.
func healthy(changes ...func(*nodesapi.Facts)) *nodesapi.Facts {
	f := &nodesapi.Facts{Now: now, Database: &nodesapi.Database{Schema: 7, Known: 7, Unowned: map[int]time.Time{}}}
	f.Info = store.Info{Engine: "postgres", Location: "db:5432/plane", Shared: true}
	f.Nodes = []store.Node{node("a", 128), node("b", 128)}
	f.Self = f.Nodes[0]
	for i := range resource.Shards {
		f.Assigned = append(f.Assigned, store.Assignment{Shard: i, Node: f.Nodes[i%2].ID, Epoch: resource.Epoch{Incarnation: 1, Counter: 3}, Since: ago(time.Hour)})
	}
	f.Queues = []nodesapi.Queue{{Name: "controller note", Ready: 3, Oldest: time.Second}}
	for _, change := range changes {
		change(f)
	}
	return f
}

func with(nodes ...store.Node) func(*nodesapi.Facts) {
	return func(f *nodesapi.Facts) { f.Nodes, f.Self = nodes, nodes[0] }
}

// unowned makes the last n shards nobody's, for a time; 0 is never anybody's.
func unowned(n int, since time.Duration) func(*nodesapi.Facts) {
	return func(f *nodesapi.Facts) {
		for _, a := range f.Assigned[resource.Shards-n:] {
			if since > 0 {
				f.Database.Unowned[a.Shard] = ago(since)
			}
		}
		f.Assigned = f.Assigned[:resource.Shards-n]
	}
}

var errAway = errors.New("connect to db: refused")

func TestDoctor(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		facts        *nodesapi.Facts
		// want are "severity Code object" of all findings, in order; says is in the first one's words.
		want []string
		says string
	}{
		{"well", "nobody is woken for nothing", healthy(), nil, ""},
		{"a little skew", "clocks kept by NTP are not exactly alike", healthy(with(node("a", 128, skew(900*time.Millisecond)), node("b", 128))), nil, ""},
		{"skew", "timers and deadlines are early by seconds", healthy(with(node("a", 128), node("b", 128, skew(1200*time.Millisecond)))),
			[]string{"warning ClockSkew node b"}, "its clock is 1.2s ahead of the database's"},
		{"much skew", "a clock that is minutes behind makes everything late", healthy(with(node("a", 128), node("b", 128, skew(-2*time.Minute)))),
			[]string{"critical ClockSkew node b"}, "2m0s behind the database's"},
		{"versions", "two versions side by side are an upgrade, and no fault", healthy(with(node("a", 128), node("b", 128, newer))),
			[]string{"info VersionsDiffer nodes"}, "1.0.0: a; 1.1.0: b"},
		{"trouble", "alive and without progress: the other one takes over", healthy(with(node("a", 256), node("b", 0, troubled))),
			[]string{"warning NodeInTrouble node b"}, "2 calls do not return"},
		{"all in trouble", "nobody is left who is well", healthy(with(node("a", 128, troubled), node("b", 128, troubled))),
			[]string{"critical NodeInTrouble node a", "critical NodeInTrouble node b"}, ""},
		{"lapsed", "its shards are about to be taken", healthy(with(node("a", 128), node("b", 128, lapsed))), []string{"info NodeSilent node b"}, "still has 128 shards"},
		{"silent", "nobody has taken them: somebody has to help", healthy(with(node("a", 128, draining), node("b", 128, dead))),
			[]string{"critical EveryNodeCordoned nodes", "critical NodeSilent node b"}, "every node is cordoned: a"},
		{"gone", "one that has ended, and whose shards were taken, is of no interest", healthy(with(node("a", 256), node("b", 0, dead))), nil, ""},
		{"free for a moment", "between two owners a shard is nobody's", healthy(unowned(32, 2*time.Second)), []string{"info ShardsUnowned shards"}, "32 of 256 shards are nobody's"},
		{"free for long", "somebody should have taken them", healthy(unowned(32, time.Minute)), []string{"critical ShardsUnowned shards"}, "32 of 256 shards are nobody's for 1m0s"},
		{"a new database", "the first node is about to take everything", healthy(with(node("a", 0, young)), unowned(256, 0)), []string{"info ShardsUnowned shards"}, "256 of 256"},
		{"a new database, untaken", "it has been there for a day and takes nothing: an old program has the lease, say", healthy(with(node("a", 0)), unowned(256, 0), func(f *nodesapi.Facts) {
			f.Standby = `"old/1" has the lease plane`
		}), []string{"critical ShardsUnowned shards"}, `node a says: "old/1" has the lease plane`},
		{"after a weekend", "the only node has just come: it could not have taken them before", healthy(with(node("a", 0, young)), unowned(256, 48*time.Hour)), []string{"info ShardsUnowned shards"}, ""},
		{"restarts", "a crash loop: the process number is another one each time", healthy(with(node("a", 128), node("h/9", 128, run(0)), node("h/8", 0, run(1), dead), node("h/7", 0, run(2), dead))),
			[]string{"warning NodeRestarts node h"}, "was started 3 times in the last 10m0s; 2 of these runs have ended"},
		{"many on one host", "three processes that all live are no crash loop", healthy(with(node("h/1", 86, run(0)), node("h/2", 85, run(1)), node("h/3", 85, run(2)))), nil, ""},
		{"shards move", "nobody came or went, and shards move all the same", healthy(func(f *nodesapi.Facts) {
			for i := range f.Assigned {
				f.Assigned[i].Since = ago(time.Minute)
			}
		}), []string{"info ShardsMove shards"}, "256 shards"},
		{"shards moved to a new node", "that is what they should do", healthy(with(node("a", 128), node("b", 128, run(1))), func(f *nodesapi.Facts) {
			f.Assigned[1].Since = ago(time.Minute)
		}), nil, ""},
		{"a feed behind", "it decides on what was", healthy(func(f *nodesapi.Facts) { f.Feed = nodesapi.Feed{Behind: 4 * time.Second, Revision: 10, Head: 90} }),
			[]string{"warning FeedBehind node a"}, "its view is 4s behind: it shows revision 10, and 90 exists"},
		{"a queue that lags", "half a minute late is worth a look", healthy(func(f *nodesapi.Facts) { f.Queues[0].Oldest = 31 * time.Second }),
			[]string{"warning QueueLags controller note"}, "3 items are due, the oldest for 31s"},
		{"a queue that stands", "minutes are worth a night", healthy(func(f *nodesapi.Facts) { f.Queues[0].Oldest = 6 * time.Minute }), []string{"critical QueueLags controller note"}, ""},
		{"a unit in two shards", "its commands are in no order, and only its author can mend that", healthy(func(f *nodesapi.Facts) {
			key := func(name resource.Name) resource.Key {
				return resource.Key{Kind: "Job.test", Namespace: "x", Name: name}
			}
			f.Queues[0] = nodesapi.Queue{Name: "adapter print", Overlap: &nodesapi.Overlap{Unit: "the printer", Here: key("a"), There: key("b"), At: ago(time.Minute), Count: 3}}
		}), []string{"warning UnitsOverlap adapter print"}, `unit of order "the printer" is of objects in several shards, Job.test/x/a and Job.test/x/b for example; seen 3 times on node a`},
		{"stuck", "a call that does not return", healthy(func(f *nodesapi.Facts) { f.Queues[0].Stuck = 1 }), []string{"warning CallsStuck controller note"}, "1 calls on node a"},
		{"not working", "the node says so itself", healthy(func(f *nodesapi.Facts) { f.Problems = []string{"commits have been failing for 12s: x"} }),
			[]string{"critical NotWorking node a"}, "commits have been failing for 12s"},
		{"blocked", "one psql in a transaction holds up all", healthy(func(f *nodesapi.Facts) {
			f.Database.Blockers = []nodesapi.Blocker{{PID: 17, Role: "ada", Application: "psql", Address: "local", State: "idle in transaction", Waits: "Client/ClientRead", Busy: 40 * time.Second, Waiting: 2}}
		}), []string{"critical CommitsBlocked database session 17"}, `2 sessions wait for it: "psql", role ada, from local, idle in transaction, waits for Client/ClientRead, in its transaction for 40s`},
		{"blocked for a moment", "commits wait for each other all the time", healthy(func(f *nodesapi.Facts) {
			f.Database.Blockers = []nodesapi.Blocker{{PID: 17, Busy: 30 * time.Millisecond, Waiting: 1}}
		}), nil, ""},
		{"an upgrade", "the schema comes first", healthy(func(f *nodesapi.Facts) { f.Database.Schema = 8 }), []string{"info SchemaNewer schema"}, "the database has version 8, and node a knows 7"},
		{"a schema that went back", "nobody can start any more", healthy(func(f *nodesapi.Facts) { f.Database.Schema = 6 }), []string{"critical SchemaOlder schema"}, ""},
		{"cordoned", "it is as somebody wants it", healthy(with(node("a", 256), node("b", 0, draining)), cordon("b", time.Hour)), []string{"info NodeCordoned node b"}, "it is cordoned for 1h0m0s, and has 0 shards"},
		{"a forgotten cordon", "the next process of that name gets no work", healthy(cordon("c", time.Hour)), []string{"warning CordonUnused node c"}, "no node of that name is there"},
		{"a cordon of now", "it was drained and stopped, and is about to be started", healthy(cordon("c", time.Minute)), []string{"info CordonUnused node c"}, ""},
		{"the database is away", "it answers from memory, and says what it does not know", healthy(func(f *nodesapi.Facts) { f.Err, f.At, f.Database = errAway, ago(time.Minute), nil }, unownedNow),
			[]string{"critical DatabaseAway database db:5432/plane"}, "it does not answer node a: connect to db: refused"},
		{"halted and late", "the worst first", healthy(func(f *nodesapi.Facts) {
			f.Troubles = []nodesapi.Trouble{
				{Source: alert.Budget, Cause: "NoCapacity", Kind: "Gateway.edge.example", Count: 40, Oldest: key("shop"), Since: ago(time.Hour), Message: "no address"},
				{Source: alert.Halt, Cause: alert.ActionStuck, Kind: "Gateway.edge.example", Count: 1, Oldest: key("till"), Since: ago(time.Minute), Message: "Promote"},
			}
		}), []string{"critical ActionsHalted kind Gateway.edge.example", "warning Late kind Gateway.edge.example"}, "1 objects stand still in an action"},
		{"sqlite", "one process: what is said of nodes means nothing", healthy(func(f *nodesapi.Facts) {
			f.Info, f.Assigned, f.Database = store.Info{Engine: "sqlite"}, nil, nil
			f.Nodes = []store.Node{{Name: "a", Member: true, Skew: time.Hour}}
		}), nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := nodesapi.Diagnose(c.facts)
			var have []string
			needs := false
			for _, f := range d.Findings {
				have = append(have, fmt.Sprintf("%s %s %s", f.Severity, f.Code, f.Object))
				needs = needs || f.Severity != nodesapi.Info
				if f.What == "" || f.Why == "" || f.Remedy == "" {
					t.Errorf("a finding without words: %+v", f)
				}
			}
			if !slices.Equal(have, c.want) || c.says != "" && !strings.Contains(d.Findings[0].What, c.says) {
				t.Errorf("%s:\n%+v\nwant %q, and %q", c.reason, d.Findings, c.want, c.says)
			}
			if d.Well == needs {
				t.Errorf("%s: well is %t", c.reason, d.Well)
			}
			if (c.facts.Err != nil) != (len(d.Unasked) > 0) {
				t.Errorf("%s: not asked: %q", c.reason, d.Unasked)
			}
		})
	}
}

func cordon(name string, since time.Duration) func(*nodesapi.Facts) {
	return func(f *nodesapi.Facts) { f.Database.Cordons = []nodesapi.Cordon{{Name: name, Since: ago(since)}} }
}

// unownedNow is what a node that has not heard for a minute might remember.
func unownedNow(f *nodesapi.Facts) { f.Assigned = f.Assigned[:200] }

func key(name resource.Name) resource.Key {
	return resource.Key{Kind: "Gateway.edge.example", Namespace: "default", Name: name}
}

// TestTroublesNameTheCommand: what to type is there to be copied, with the namespace where that is not the default one.
func TestTroublesNameTheCommand(t *testing.T) {
	other := key("shop")
	other.Namespace = "acme"
	f := healthy(func(f *nodesapi.Facts) {
		f.Troubles = []nodesapi.Trouble{{Source: alert.Budget, Cause: "X", Kind: "Gateway.edge.example", Count: 2, Oldest: other, Since: ago(time.Minute)}}
	})
	if d := nodesapi.Diagnose(f); d.Findings[0].Remedy != "setpoint why gateway shop -n acme" {
		t.Errorf("%+v", d.Findings)
	}
}

// TestManyTroubles: a thousand reasons are not a thousand lines, and nothing that is critical is left out.
func TestManyTroubles(t *testing.T) {
	f := healthy(func(f *nodesapi.Facts) {
		for i := range 30 {
			f.Troubles = append(f.Troubles, nodesapi.Trouble{Source: alert.Budget, Cause: alert.Cause(fmt.Sprintf("C%d", i)), Kind: "Gateway.edge.example", Count: 2, Oldest: key("shop"), Since: ago(time.Minute)})
		}
		f.Troubles = append(f.Troubles, nodesapi.Trouble{Source: alert.Halt, Cause: alert.ActionStuck, Kind: "Gateway.edge.example", Count: 1, Oldest: key("till"), Since: ago(time.Minute)})
	})
	d := nodesapi.Diagnose(f)
	if len(d.Findings) != 22 || d.Findings[0].Code != "ActionsHalted" || d.Findings[21].Code != "MoreTroubles" || !strings.Contains(d.Findings[21].What, "20 more objects") {
		t.Errorf("%d findings: %+v", len(d.Findings), d.Findings)
	}
}

// TestSum counts by kind and cause, and remembers who has waited longest.
func TestSum(t *testing.T) {
	object := func(name resource.Name, since time.Duration, change func(*resource.Object)) *resource.Object {
		o := &resource.Object{Meta: resource.Meta{Key: key(name)}}
		o.SetCondition(resource.Condition{Type: resource.Late, Status: resource.True, Reason: "NoCapacity", Message: "no address", Since: ago(since)})
		if change != nil {
			change(o)
		}
		return o
	}
	well := &resource.Object{Meta: resource.Meta{Key: key("well")}}
	paused := &resource.Object{Meta: resource.Meta{Key: key("paused")}}
	paused.Action = &resource.Action{Name: "Promote", Halt: resource.HaltPaused, Since: ago(time.Hour)}
	stuck := object("stuck", time.Minute, func(o *resource.Object) {
		o.Action = &resource.Action{Name: "Promote", Halt: resource.HaltStuck, Since: ago(time.Hour)}
	})
	all := []*resource.Object{well, object("x", time.Minute, nil), object("y", time.Hour, nil), paused, stuck}
	have := nodesapi.Sum(slices.Values(all), func(resource.KindID) lifecycle.Table { return nil })
	var texts []string
	for _, s := range have {
		texts = append(texts, fmt.Sprintf("%d %s %s %s", s.Count, s.Source, s.Cause, s.Oldest.Name))
	}
	slices.Sort(texts[1:])
	if want := []string{"2 Budget NoCapacity y", "1 Halt ActionStuck stuck", "1 Paused Paused paused"}; !slices.Equal(texts, want) {
		t.Errorf("%q, want %q", texts, want)
	}
}
