package postgres

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store/storetest"
)

// TestTwoProcesses has two processes commit, read and watch on one database, at once.
func TestTwoProcesses(t *testing.T) {
	seed, span := seeded(t), 3*time.Second
	if soak() {
		span = time.Minute
	}
	s := open(t, func(o *Options) { o.PartitionRevisions = 2000 })
	var children []*childProcess
	for i, name := range []string{"one", "two"} {
		children = append(children, startChild(t, "contender", contenderURL+"="+s.options.URL, contenderName+"="+name, contenderTime+"="+span.String(), contenderSeed+"="+strconv.FormatUint(seed+uint64(i), 10)))
	}
	var rev resource.Revision
	for _, c := range children {
		c.line(t, &rev) // its writers have ended
	}
	var reports []told
	for _, c := range children {
		if err := c.stdin.Close(); err != nil {
			t.Fatal(err)
		}
		var r told
		c.line(t, &r)
		reports = append(reports, r)
	}
	feed, digest := replay(t, s)
	checkWatchers(t, reports, feed, digest)
	acts := place(t, reports, feed)
	checkLinearizable(t, acts)
	count := map[string]int{}
	for _, a := range acts {
		count[a.Kind+" "+a.Outcome]++
	}
	t.Logf("%d commits, operations by outcome %v", len(feed), count)
	if count["write done"] == 0 || count["write conflict"] == 0 || count["read done"] == 0 {
		t.Errorf("the processes did not contend: %v", count)
	}
}

// replay reads the feed from the first commit on, holds it against what is there, and returns the causes of the commits with what each wrote.
func replay(t *testing.T, s *Store) (map[string]map[resource.Key]resource.Revision, string) {
	t.Helper()
	want, err := storetest.ScanState(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := s.Watch(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	state, written := storetest.NewState(), map[string]map[resource.Key]resource.Revision{}
	var digest []byte
	for state.Revision < want.Revision {
		b, err := stream.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := state.Apply(b); err != nil {
			t.Fatal(err)
		}
		if written[b.Cause.Text] != nil {
			t.Errorf("commit %d: %q was committed before", b.Revision, b.Cause.Text)
		}
		digest, written[b.Cause.Text] = digestBatch(digest, b), map[resource.Key]resource.Revision{}
		for _, o := range b.Objects {
			written[b.Cause.Text][o.Object.Key] = b.Revision
		}
		if _, left := written[b.Cause.Text][registerKey(pairLeft)]; left != (written[b.Cause.Text][registerKey(pairRight)] != 0) {
			t.Errorf("commit %d writes half a pair", b.Revision)
		}
	}
	if state.String() != want.String() {
		t.Errorf("the feed gives\n%s\nthe database has\n%s", state, want)
	}
	if err := stream.Close(); err != nil {
		t.Error(err)
	}
	return written, hex.EncodeToString(digest)
}

func checkWatchers(t *testing.T, reports []told, feed map[string]map[resource.Key]resource.Revision, digest string) {
	t.Helper()
	for i, r := range reports {
		t.Logf("process %d: %d operations, %d scans, watchers %v", i, len(r.Acts), r.Scans, r.Watchers)
		if r.Torn > 0 || r.Scans == 0 {
			t.Errorf("process %d: %d of %d scans saw half a commit", i, r.Torn, r.Scans)
		}
		for j, w := range r.Watchers {
			if int(w.Revision) != len(feed) || w.Digest != digest {
				t.Errorf("process %d, watcher %d: saw up to %d with digest %s; there are %d, with digest %s", i, j, w.Revision, w.Digest, len(feed), digest)
			}
		}
		if len(r.Watchers) != 2 || r.Watchers[1].Resumed == 0 {
			t.Errorf("process %d: the watcher that resumes has not: %v", i, r.Watchers)
		}
	}
}

// place makes one history of what the processes report, holding every write against the feed. An operation whose outcome is unknown has no end; if the feed
// does not have it, it never was.
func place(t *testing.T, reports []told, feed map[string]map[resource.Key]resource.Revision) []act {
	t.Helper()
	var acts []act
	for i, r := range reports {
		for _, a := range r.Acts {
			a.Client += i * contenderWriters
			at, there := feed[a.Cause]
			rev := uint64(at[registerKey(a.Register)])
			switch {
			case a.Kind == "read":
			case a.Outcome == "unknown" && there:
				a.Revision, a.Return = rev, math.MaxInt64
			case a.Outcome == "unknown":
				continue
			case a.Outcome == "done" && a.Revision != rev:
				t.Errorf("%+v: the feed has it at %d", a, rev)
			case a.Outcome != "done" && there:
				t.Errorf("%+v: the feed has it at %d", a, rev)
			}
			if a.Outcome != "refused" {
				acts = append(acts, a)
			}
		}
	}
	return acts
}

// registerState is what a register holds.
type registerState struct {
	revision uint64
	value    int
}

// registerModel is a register with compare-and-swap on its revision, which the history of every one must look like.
var registerModel = porcupine.Model{
	Init: func() any { return registerState{} },
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make([][]porcupine.Operation, registers+2)
		for _, op := range history {
			k := op.Input.(act).Register
			parts[k] = append(parts[k], op)
		}
		return slices.DeleteFunc(parts, func(p []porcupine.Operation) bool { return len(p) == 0 })
	},
	Step: func(state, input, _ any) (bool, any) {
		now, a := state.(registerState), input.(act)
		switch {
		case a.Kind == "read":
			return now == registerState{a.Revision, a.Value}, now
		case a.Outcome == "conflict":
			return now.revision == a.Revision && now.revision != a.Expect, now
		default:
			return now.revision == a.Expect, registerState{a.Revision, a.Value}
		}
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
}

func checkLinearizable(t *testing.T, acts []act) {
	t.Helper()
	history := make([]porcupine.Operation, len(acts))
	for i, a := range acts {
		history[i] = porcupine.Operation{ClientId: a.Client, Input: a, Call: a.Call, Return: a.Return}
	}
	if result := porcupine.CheckOperationsTimeout(registerModel, history, 5*time.Minute); result != porcupine.Ok {
		t.Errorf("the history of %d operations is linearizable: %s", len(acts), result)
	}
}

// TestTheModelRefuses shows that the check of histories can fail.
func TestTheModelRefuses(t *testing.T) {
	write := func(expect, rev uint64, outcome string, call, back int64) porcupine.Operation {
		return porcupine.Operation{Input: act{Kind: "write", Expect: expect, Revision: rev, Value: int(rev), Outcome: outcome}, Call: call, Return: back}
	}
	read := func(rev uint64, call, back int64) porcupine.Operation {
		return porcupine.Operation{Input: act{Kind: "read", Revision: rev, Value: int(rev), Outcome: "done"}, Call: call, Return: back}
	}
	for _, c := range []struct {
		reason  string
		history []porcupine.Operation
		want    bool
	}{
		{"one after the other", []porcupine.Operation{write(0, 1, "done", 0, 1), read(1, 2, 3), write(1, 5, "done", 4, 5)}, true},
		{"at once, either way", []porcupine.Operation{write(0, 1, "done", 0, 9), read(0, 1, 2), read(1, 3, 4)}, true},
		{"a read of the past", []porcupine.Operation{write(0, 1, "done", 0, 1), read(0, 2, 3)}, false},
		{"two winners", []porcupine.Operation{write(0, 1, "done", 0, 9), write(0, 2, "done", 0, 9)}, false},
		{"a loser without a winner", []porcupine.Operation{write(0, 7, "conflict", 0, 1)}, false},
		{"an unknown one that came late", []porcupine.Operation{write(0, 1, "unknown", 0, math.MaxInt64), read(0, 5, 6), read(1, 7, 8)}, true},
	} {
		if got := porcupine.CheckOperations(registerModel, c.history); got != c.want {
			t.Errorf("%s: linearizable: %t", c.reason, got)
		}
	}
}
