package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store/internal/codec"
)

// Proposal is a change that somebody asked for at an SQL prompt, with setpoint.propose.
type Proposal struct {
	ID  int64
	Key resource.Key
	// Expected is the revision that the patch was made for.
	Expected resource.Revision
	// Patch is a JSON merge patch of the object as the API shows it.
	Patch []byte
	// By is the role that asked.
	By string
}

// Proposals are those that wait for a verdict.
type Proposals struct {
	store *Store
	alarm chan struct{}
}

func newProposals(s *Store) *Proposals { return &Proposals{s, make(chan struct{}, 1)} }

// Proposals are the store's inbox for people with a prompt. A server admits or refuses what is in it.
func (s *Store) Proposals() *Proposals { return s.proposals }

func (p *Proposals) wake() {
	select {
	case p.alarm <- struct{}{}:
	default:
	}
}

// Arrived receives when there may be new ones, also after the connection was lost for a while.
func (p *Proposals) Arrived() <-chan struct{} { return p.alarm }

// Waiting returns the oldest that have no verdict yet.
func (p *Proposals) Waiting(ctx context.Context) ([]Proposal, error) {
	var found []Proposal
	err := p.store.querying(ctx, func(ctx context.Context) error {
		rows, err := p.store.pool.Query(ctx, "SELECT id, key, expected, patch, by_whom FROM setpoint.proposal WHERE admitted IS NULL ORDER BY id LIMIT 100")
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Proposal, error) {
			var x Proposal
			var key, patch string
			var expected int64
			err := row.Scan(&x.ID, &key, &expected, &patch, &x.By)
			x.Key, x.Expected, x.Patch = codec.Unslashed(key), resource.Revision(expected), []byte(patch)
			return x, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read proposals: %w", err)
	}
	return found, nil
}

// Judge writes down a verdict. The first one stays.
func (p *Proposals) Judge(ctx context.Context, id int64, admitted bool, rev resource.Revision, words string) error {
	err := p.store.querying(ctx, func(ctx context.Context) error {
		_, err := p.store.pool.Exec(ctx, "SELECT setpoint.judge_v1($1, $2, $3, $4)", id, admitted, int64(rev), words)
		return err
	})
	if err != nil {
		return fmt.Errorf("write the verdict on proposal %d: %w", id, err)
	}
	return nil
}
