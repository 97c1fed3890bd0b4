package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// ruleBook knows the tables of kinds, for words only: the database judges.
type ruleBook struct {
	mu     sync.Mutex
	tables map[resource.KindID]draft.Allowed
}

func newRuleBook() *ruleBook {
	return &ruleBook{tables: map[resource.KindID]draft.Allowed{}}
}

// states are the states of a kind.
func (b *ruleBook) states(kind resource.KindID) []lifecycle.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tables[kind].States()
}

// from are the states that an object of a kind may go to from one.
func (b *ruleBook) from(kind resource.KindID, s lifecycle.State) []lifecycle.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.tables[kind][s])
}

func (b *ruleBook) put(kind resource.KindID, table draft.Allowed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tables[kind] = table
}

func (b *ruleBook) load(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, "SELECT kind, rules FROM setpoint.kind")
	if err != nil {
		return err
	}
	var kind, text string
	_, err = pgx.ForEachRow(rows, []any{&kind, &text}, func() error {
		var table draft.Allowed
		if err := json.Unmarshal([]byte(text), &table); err != nil {
			return fmt.Errorf("rules of kind %s: %w", kind, err)
		}
		b.put(resource.KindID(kind), table)
		return nil
	})
	return err
}

// Register stores the transition rules of kinds, replacing older ones. Kinds whose rules are the stored ones already are not written.
func (s *Store) Register(ctx context.Context, kinds []store.Rules) error {
	err := s.querying(ctx, func(ctx context.Context) error {
		return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadWrite}, func(tx pgx.Tx) error {
			for _, k := range kinds {
				if err := register(ctx, tx, k); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("register kinds: %w", err)
	}
	for _, k := range kinds {
		s.rules.put(k.Kind, draft.AllowedBy(k.Lifecycle))
	}
	return nil
}

func register(ctx context.Context, tx pgx.Tx, k store.Rules) error {
	table := draft.AllowedBy(k.Lifecycle)
	rules, err := marshal(table)
	if err != nil {
		return err
	}
	var same bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM setpoint.kind WHERE kind = $1 AND rules = $2)", string(k.Kind), rules).Scan(&same); err != nil || same {
		return err
	}
	states, from, to := []string{}, []string{}, []string{}
	for state, list := range table {
		states = append(states, string(state))
		for _, next := range list {
			from, to = append(from, string(state)), append(to, string(next))
		}
	}
	var namespace, name, state *string
	err = tx.QueryRow(ctx, "SELECT stray_namespace, stray_name, stray_state FROM setpoint.register_v1($1, $2, $3, $4, $5)", string(k.Kind), rules, states, from, to).Scan(&namespace, &name, &state)
	if err != nil || name == nil {
		return err
	}
	known := make([]lifecycle.State, len(states))
	for i := range states {
		known[i] = lifecycle.State(states[i])
	}
	key := resource.Key{Kind: k.Kind, Namespace: resource.Namespace(*namespace), Name: resource.Name(*name)}
	return fmt.Errorf("kind %s: %w", k.Kind, draft.StrayState(key, lifecycle.State(*state), known))
}
