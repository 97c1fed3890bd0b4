package postgres

import (
	"errors"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/draft"
	"github.com/setpointhq/setpoint/store/storetest"
)

// TestConditionsStandAlone: members of a group are judged by what was there before all of them. So none that raises a signal with a condition shares a group with
// another one that raises on the same object.
func TestConditionsStandAlone(t *testing.T) {
	raise := func(uid resource.UID, seen resource.Revision) store.Signal {
		return store.Signal{Object: crate("a").Key, UID: uid, Name: "Poke", Seen: seen}
	}
	for _, c := range []struct {
		reason string
		first  []store.Signal
		second []store.Signal
		alone  bool
	}{
		{"no conditions", []store.Signal{raise("a", 0)}, []store.Signal{raise("a", 0)}, true},
		{"two conditions", []store.Signal{raise("a", 3)}, []store.Signal{raise("a", 3)}, false},
		{"the second one has seen less than the first one raises", []store.Signal{raise("a", 0)}, []store.Signal{raise("a", 3)}, false},
		{"the first one may have to wait, and is not overtaken", []store.Signal{raise("a", 3)}, []store.Signal{raise("a", 0)}, false},
		{"other objects", []store.Signal{raise("a", 3)}, []store.Signal{raise("b", 3)}, true},
		{"one of several", []store.Signal{raise("b", 0), raise("a", 0)}, []store.Signal{raise("c", 0), raise("a", 3)}, false},
		{"one that has two on one object", []store.Signal{raise("b", 3)}, []store.Signal{raise("a", 3), raise("a", 0), raise("a", 3)}, true},
	} {
		claims := newClaims()
		var drafts []*draft.Draft
		for _, signals := range [][]store.Signal{c.first, c.second} {
			d, refused := draft.Of(store.Transaction{Raise: signals}, store.Caps{}.WithDefaults())
			if refused != nil {
				t.Fatal(refused)
			}
			drafts = append(drafts, d)
		}
		if !claims.add(drafts[0]) {
			t.Errorf("%s: the first one does not find room in an empty group", c.reason)
		}
		if got := claims.add(drafts[1]); got != c.alone {
			t.Errorf("%s: the second one may join: %t, want %t", c.reason, got, c.alone)
		}
	}
}

// TestOlderProgramsRaise calls the function of programs that do not know of the new fields: what they raise is delivered, stands, and counts for those who know.
func TestOlderProgramsRaise(t *testing.T) {
	s := open(t, nil)
	o := crate("a")
	rev := putCrate(t, s, o, 0)
	// The body is a commit of one signal in its first form: K/ns/a is what it says, which this function does not compare.
	body := `'{"\\x010361646100000000066c61756e6368000001014b026e730161057569642d6104506f6b65037b7d03616461020000"}'`
	got := mustPSQL(t, s.options.URL, callCommit(t, s.options.URL, commitV1, map[string]string{
		"m_body": body, "m_signals": "'{1}'",
		"g_member": "'{1}'", "g_own": "'{f}'", "g_kind": "'{" + string(o.Kind) + "}'", "g_namespace": "'{ns}'", "g_name": "'{a}'", "g_hash": "'{1}'", "g_uid": "'{uid-a}'",
		"g_signal": "'{Poke}'", "g_payload": `'{"{}"}'`, "g_by": "'{ada}'", "g_at": "'{1}'",
	}))
	if got != "{2}|||" {
		t.Fatalf("verdict %q", got)
	}
	stream, err := s.Watch(t.Context(), rev)
	if err != nil {
		t.Fatal(err)
	}
	b, err := stream.Next(t.Context())
	if err != nil || b.Revision != 2 || len(b.Raised) != 1 || b.Raised[0].By != "ada" || b.Raised[0].Why+b.Raised[0].Dedupe != "" || !b.Raised[0].Expires.IsZero() {
		t.Fatalf("feed has %+v, error %v", b, err)
	}
	now, err := storetest.ScanState(t.Context(), s)
	if err != nil || len(now.Signals) != 1 || now.Signals[1].Why+now.Signals[1].Dedupe != "" || !now.Signals[1].Expires.IsZero() || now.Signals[1].Name != "Poke" {
		t.Fatalf("scan has %+v, error %v", now, err)
	}
	_, err = s.Commit(t.Context(), store.Transaction{Raise: []store.Signal{{Object: o.Key, Name: "Poke", Seen: rev}}})
	var e *store.CommitError
	if !errors.As(err, &e) || !errors.Is(err, store.ErrConflict) || e.Actual != 2 {
		t.Fatalf("error %v, want a conflict with revision 2", err)
	}
}

// TestHistoryIsReadByItsIndexes asks the planner: the history of a kind is read by the index on the kind, in order, and only in partitions of the time asked for; that
// of an object by the one on the hash.
func TestHistoryIsReadByItsIndexes(t *testing.T) {
	s := open(t, nil)
	for i := range 20 {
		var tx store.Transaction
		for j := range 50 {
			tx.Objects = append(tx.Objects, store.ObjectWrite{Object: crowdObject("o" + itoa(50*i+j))})
		}
		if _, err := s.Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
	}
	mustPSQL(t, s.options.URL, "ANALYZE setpoint.history")
	const types = "text, text, bigint, text, text[], timestamptz, bigint"
	for _, c := range []struct{ reason, query, types, args, want string }{
		{"a page of a kind", historyOfKind, types, "'K', '', 15, '', NULL, 'epoch', 10", "_kind_revision_idx"},
		{"a kind lately: the partitions of three days are spared, the rest is looked into", historyOfKind, types, "'K', '', 0, '', NULL, now() + interval '30 days', 10", `"Subplans Removed": 3`},
		{"an object", historyOfObject, types + ", bigint, text", "'K', '', 0, '', NULL, 'epoch', 10, 5, 'a'", "_hash_revision_idx"},
	} {
		plan := mustPSQL(t, s.options.URL, "SET plan_cache_mode = force_generic_plan; PREPARE q ("+c.types+") AS "+c.query+"; EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE q("+c.args+")")
		if !strings.Contains(plan, c.want) {
			t.Errorf("%s: want %s, planned is\n%s", c.reason, c.want, plan)
		}
	}
}
