package postgres

import (
	"errors"
	"testing"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// TestAnyTextCanBeRemoved removes objects whose attributes hold what PostgreSQL's own reading of JSON refuses: what can be written, can go.
func TestAnyTextCanBeRemoved(t *testing.T) {
	s := open(t, nil)
	for i, c := range []struct{ reason, text string }{
		{"a zero byte, as in a message of a subsystem that answered with rubbish", "a\x00b"},
		{"a backslash before what looks like a zero byte and is none", `a\u0000b`},
		{"a text that ends with a backslash", `a\`},
		{"the name of the field that the guard looks at, in quotes", `","finalizers":["x"],"`},
	} {
		o := crate("odd-" + itoa(i))
		o.Finalizers, o.Annotations = nil, map[string]string{"note": c.text}
		o.Conditions = []resource.Condition{{Type: "Ready", Message: c.text}}
		rev := putCrate(t, s, o, 0)
		if _, err := s.Commit(t.Context(), store.Transaction{Objects: []store.ObjectWrite{{Key: o.Key, Expect: rev}}}); err != nil {
			t.Errorf("%s: not removed: %v", c.reason, err)
			continue
		}
		if _, err := s.Object(t.Context(), o.Key); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: reading what was removed: %v", c.reason, err)
		}
	}
}

// TestConsumedAfterTheRemoval: of two members of a group, the first removes an object and the second consumes a signal of it. One after the other, the second one fails.
func TestConsumedAfterTheRemoval(t *testing.T) {
	for _, c := range []struct{ reason, removes, consumes, want string }{
		{"the signal went with its object", "1", "2", `{3,0}|{5}`},
		{"it was consumed before its object went", "2", "1", `{3,4}|`},
	} {
		s := open(t, nil)
		o := crate("a")
		o.Finalizers = nil
		putCrate(t, s, o, 0)
		if _, err := s.Commit(t.Context(), store.Transaction{Raise: []store.Signal{{Object: o.Key, Name: "Poke"}}}); err != nil {
			t.Fatal(err)
		}
		call := callCommit(t, s.options.URL, commitV2, map[string]string{
			"m_body": `'{"\\x00","\\x00"}'`, "m_signals": "'{0,0}'", "m_writer": "'{psql,psql}'", "m_writer_object": `'{"",""}'`, "m_cause_revision": "'{0,0}'", "m_cause": `'{"",""}'`,
			"o_member": "'{" + c.removes + "}'", "o_kind": "'{" + string(o.Kind) + "}'", "o_namespace": "'{ns}'", "o_name": "'{a}'", "o_uid": "'{uid-a}'", "o_shard": "'{0}'", "o_hash": "'{0}'",
			"o_expect": "'{1}'", "o_removed": "'{t}'", "o_generation": "'{3}'", "o_created": "(SELECT array_agg(created) FROM setpoint.object)", "o_deleted": "'{0}'", "o_state": "'{New}'",
			"o_since": "'{0}'", "o_attributes": "'{\"{}\"}'", "o_spec": "'{NULL}'", "o_status": "'{NULL}'", "o_gone": `'{""}'`, "o_reason": `'{""}'`,
			"s_member": "'{" + c.consumes + "}'", "s_id": "(SELECT array_agg(id) FROM setpoint.signal)",
		})
		got := mustPSQL(t, s.options.URL, "SELECT revisions::text || '|' || coalesce(bad_part::text, '') FROM ("+call[:len(call)-1]+") x")
		if got != c.want {
			t.Errorf("%s: revisions and parts refused are %s, want %s", c.reason, got, c.want)
		}
	}
}
