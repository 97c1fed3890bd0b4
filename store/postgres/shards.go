package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Take assigns shards to a member, by the database's clock. It waits for the counter: a commit under way is either judged by the old epochs and not after the revision, or
// refused. While a process of a version before shards has the lease "plane", it fails with store.ErrHeld and names it; when nobody has it, the first Take of all has it for good.
func (s *Store) Take(ctx context.Context, node store.NodeID, shards []int) ([]store.Assignment, resource.Revision, error) {
	what := fmt.Sprintf("take shards for node %q", node)
	wanted := make([]int32, len(shards))
	for i, n := range shards {
		if n < 0 || n >= resource.Shards {
			return nil, 0, fmt.Errorf("%s: %w: there is no shard %d, they are 0 to %d", what, store.ErrInvalid, n, resource.Shards-1)
		}
		wanted[i] = int32(n)
	}
	if bad := badText(string(node)); bad != nil {
		return nil, 0, fmt.Errorf("%s: %w: %w", what, store.ErrInvalid, bad)
	}
	var member bool
	var plane *string
	var until *time.Time
	var revision int64
	var got assignments
	again := false
	err := s.keeping(ctx, func(ctx context.Context, c *pgx.Conn) error {
		row := c.QueryRow(ctx, "SELECT member, plane, until, revision, shards, incarnations, counters, times FROM setpoint.take_v1($1, $2, $3)", string(node), wanted, again)
		again = true // the answer may get lost, after the database has done it
		return row.Scan(&member, &plane, &until, &revision, &got.shards, &got.incarnations, &got.counters, &got.times)
	})
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", what, err)
	}
	s.follower.told(resource.Revision(revision))
	if !member {
		return nil, 0, fmt.Errorf("%s: %w: it is no member: it has left, or its time to live has passed without a beat; beat first, and look what others have taken", what, store.ErrFenced)
	}
	if plane != nil {
		return nil, 0, fmt.Errorf("%s: %w: %q has the lease plane until %s: it is of a version that does not divide the work; stop it, or wait until it ends",
			what, store.ErrHeld, *plane, until.UTC().Format(time.RFC3339Nano))
	}
	taken := make([]store.Assignment, len(got.shards))
	for i := range taken {
		taken[i] = got.at(i, node)
	}
	return taken, resource.Revision(revision), nil
}

// Give makes those of the assignments that are still so nobody's.
func (s *Store) Give(ctx context.Context, given []store.Assignment) error {
	if len(given) == 0 {
		return nil
	}
	var g assignments
	for _, a := range given {
		g.shards, g.nodes = append(g.shards, int32(a.Shard)), append(g.nodes, string(a.Node))
		g.incarnations, g.counters = append(g.incarnations, int64(a.Epoch.Incarnation)), append(g.counters, int64(a.Epoch.Counter))
	}
	err := s.keeping(ctx, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "SELECT setpoint.give_v1($1, $2, $3, $4)", g.shards, g.nodes, g.incarnations, g.counters)
		return err
	})
	if err != nil {
		return fmt.Errorf("give up %d shards: %w", len(given), err)
	}
	return nil
}

// Leave ends a membership. What is known of the node stays for a week.
func (s *Store) Leave(ctx context.Context, node store.NodeID) error {
	err := s.keeping(ctx, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "SELECT setpoint.leave_v2($1)", string(node))
		return err
	})
	if err != nil {
		return fmt.Errorf("let node %q leave: %w", node, err)
	}
	return nil
}

// Moves returns a channel of its own for each call, which lives as long as the store.
func (s *Store) Moves() <-chan struct{} { return s.moves.Listen() }

// keeping runs f on the session for membership, with what ends it. f must be safe to repeat.
func (s *Store) keeping(ctx context.Context, f func(context.Context, *pgx.Conn) error) error {
	return s.reading(ctx, func(ctx context.Context) error { return s.beats.use(ctx, f) })
}

// assignments are columns, as functions take and return them.
type assignments struct {
	shards                 []int32
	nodes                  []string
	incarnations, counters []int64
	times                  []time.Time
}

// at is one of them, which is a node's.
func (a *assignments) at(i int, node store.NodeID) store.Assignment {
	return store.Assignment{Shard: int(a.shards[i]), Node: node, Since: a.times[i].UTC(),
		Epoch: resource.Epoch{Incarnation: uint64(a.incarnations[i]), Counter: uint64(a.counters[i])}}
}

// all are all of them, each of its own node's. It is never nil.
func (a *assignments) all() []store.Assignment {
	list := make([]store.Assignment, len(a.shards))
	for i := range list {
		list[i] = a.at(i, store.NodeID(a.nodes[i]))
	}
	return list
}
