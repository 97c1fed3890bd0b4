package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// ruleBook holds the tables of all registered kinds, as the database has them. Only the writer touches it.
type ruleBook map[resource.KindID]draft.Allowed

// create judges the state of a new object. Kinds that were never registered have no rules.
func (b ruleBook) create(key resource.Key, state lifecycle.State) *store.CommitError {
	table, ok := b[key.Kind]
	if !ok {
		return nil
	}
	if _, known := table[state]; !known {
		return draft.UnknownState(key, state, table.States())
	}
	return nil
}

// move judges a transition.
func (b ruleBook) move(key resource.Key, from, to lifecycle.State) *store.CommitError {
	table, ok := b[key.Kind]
	if !ok || from == to {
		return nil
	}
	for _, s := range table[from] {
		if s == to {
			return nil
		}
	}
	return draft.IllegalTransition(key, from, to, table[from])
}

// loadRules reads the tables from the database.
func loadRules(c *conn) (ruleBook, error) {
	q, err := c.prepare("SELECT kind, rules FROM kind")
	if err != nil {
		return nil, err
	}
	book := ruleBook{}
	err = q.each(func() error {
		var a draft.Allowed
		if err := json.Unmarshal(q.bytes(1), &a); err != nil {
			return fmt.Errorf("rules of kind %s: %w", q.text(0), err)
		}
		book[resource.KindID(q.text(0))] = a
		return nil
	})
	return book, err
}

// Register stores the transition rules of kinds, replacing older ones. Kinds whose rules are the stored ones already cost nothing.
func (s *Store) Register(ctx context.Context, kinds []store.Rules) error {
	return s.writer.do(ctx, "register kinds", func(w *writer) error {
		var changed []store.Rules
		for _, k := range kinds {
			same, err := w.rules.same(k)
			if err != nil {
				return err
			}
			if !same {
				changed = append(changed, k)
			}
		}
		if len(changed) == 0 {
			return nil
		}
		err := transaction(w.c, func() error {
			for _, k := range changed {
				if err := register(w.c, k.Kind, draft.AllowedBy(k.Lifecycle)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return draft.Unavailable(err)
		}
		for _, k := range changed {
			w.rules[k.Kind] = draft.AllowedBy(k.Lifecycle)
		}
		return nil
	})
}

// same compares what is stored with what is declared.
func (b ruleBook) same(k store.Rules) (bool, error) {
	have, ok := b[k.Kind]
	if !ok {
		return false, nil
	}
	old, err := json.Marshal(have)
	if err != nil {
		return false, err
	}
	declared, err := json.Marshal(draft.AllowedBy(k.Lifecycle))
	return string(old) == string(declared), err
}

// register replaces one kind's rows, unless an object is in a state that the new table does not know.
func register(c *conn, kind resource.KindID, table draft.Allowed) error {
	text, err := json.Marshal(table)
	if err != nil {
		return err
	}
	if err := checkStored(c, kind, table, text); err != nil {
		return err
	}
	for _, query := range []string{"DELETE FROM transition WHERE kind = ?", "DELETE FROM state WHERE kind = ?"} {
		if err := execText(c, query, string(kind)); err != nil {
			return err
		}
	}
	if err := execText(c, "INSERT INTO kind (kind, rules) VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET rules = excluded.rules", string(kind), string(text)); err != nil {
		return err
	}
	for from, list := range table {
		if err := execText(c, "INSERT INTO state (kind, state) VALUES (?, ?)", string(kind), string(from)); err != nil {
			return err
		}
		for _, to := range list {
			if err := execText(c, "INSERT OR IGNORE INTO transition (kind, from_state, to_state) VALUES (?, ?, ?)", string(kind), string(from), string(to)); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkStored(c *conn, kind resource.KindID, table draft.Allowed, text []byte) error {
	q, err := c.prepare("SELECT namespace, name, state FROM object WHERE kind = ? AND state NOT IN (SELECT key FROM json_each(?)) LIMIT 1")
	if err != nil {
		return err
	}
	var refusal *store.CommitError
	_, err = q.bindText(string(kind)).bindJSON(text).one(func() error {
		key := resource.Key{Kind: kind, Namespace: resource.Namespace(q.text(0)), Name: resource.Name(q.text(1))}
		refusal = draft.StrayState(key, lifecycle.State(q.text(2)), table.States())
		return nil
	})
	if err != nil {
		return err
	}
	if refusal != nil {
		return fmt.Errorf("register kind %s: %w", kind, refusal)
	}
	return nil
}

func execText(c *conn, query string, values ...string) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	for _, v := range values {
		s.bindText(v)
	}
	return s.exec()
}
