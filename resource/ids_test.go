package resource_test

import (
	"hash/fnv"
	"slices"
	"strings"
	"testing"

	. "github.com/setpointhq/setpoint/resource"
	"pgregory.net/rapid"
)

func TestKeys(t *testing.T) {
	a, b := gateways.Key("t", "a"), gateways.Key("t", "b")
	zone := Key{Kind: "Zone.edge.example", Name: "a"}
	keys := []Key{zone, b, gateways.Key("s", "z"), a}
	slices.SortFunc(keys, Key.Compare)
	if want := []Key{gateways.Key("s", "z"), a, b, zone}; !slices.Equal(keys, want) {
		t.Errorf("keys are ordered by kind, namespace and name: got %v", keys)
	}
	for k, want := range map[Key]string{a: "Gateway.edge.example/t/a", zone: "Zone.edge.example/a"} {
		if k.String() != want {
			t.Errorf("got %s, want %s", k, want)
		}
	}
	if got := (Ref{Object: zone}).String() + " " + (Ref{Command: "dns/www"}).String(); got != "Zone.edge.example/a command dns/www" {
		t.Errorf("got %s", got)
	}
	if !(Key{}).IsZero() || a.IsZero() {
		t.Error("only the empty key addresses nothing")
	}
}

func TestEpochs(t *testing.T) {
	// A restored database counts from below, and is above all the same: its incarnation decides.
	older, newer, restored := Epoch{1, 7}, Epoch{1, 8}, Epoch{2, 3}
	if older.Compare(newer) >= 0 || newer.Compare(restored) >= 0 || restored.Compare(restored) != 0 {
		t.Error("epochs are ordered by incarnation, then by counter")
	}
	if restored.String() != "2.3" {
		t.Errorf("got %s", restored)
	}
}

func TestParseRevision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Revision(rapid.Uint64().Draw(t, "revision"))
		if got, err := ParseRevision(r.String()); err != nil || got != r {
			t.Fatalf("%v came back as %v (%v)", r, got, err)
		}
	})
	for _, wrong := range []string{"", "-1", "1.5", "18446744073709551616", "x"} {
		if _, err := ParseRevision(wrong); err == nil {
			t.Errorf("%q is no revision", wrong)
		}
	}
}

// TestShard compares with the hash of the standard library: the placement is stored in databases, and must never change.
func TestShard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns, name := rapid.String().Draw(t, "ns"), rapid.String().Draw(t, "name")
		first, _, _ := strings.Cut(name, ".")
		h := fnv.New64a()
		if _, err := h.Write([]byte(ns + "\x00" + first)); err != nil {
			t.Fatal(err)
		}
		if got, want := Shard(Namespace(ns), Name(name)), int(h.Sum64()%Shards); got != want {
			t.Fatalf("shard %d, want %d", got, want)
		}
		if Shard(Namespace(ns), Name(name)) != Shard(Namespace(ns), Name(first+".child.grandchild")) {
			t.Fatal("a family lives in one shard")
		}
	})
}

func TestReady(t *testing.T) {
	for _, c := range []struct {
		reason     string
		conditions []Condition
		want       bool
	}{
		{"nobody has said so", nil, false},
		{"said of this configuration", []Condition{{Type: Ready, Status: True, Observed: 2}}, true},
		{"said of an earlier one", []Condition{{Type: Ready, Status: True, Observed: 1}}, false},
		{"said not to be", []Condition{{Type: Ready, Status: False, Observed: 2}}, false},
	} {
		m := Meta{Generation: 2, Attributes: Attributes{Conditions: c.conditions}}
		if m.Ready() != c.want {
			t.Errorf("%s: ready is %v", c.reason, m.Ready())
		}
	}
}
