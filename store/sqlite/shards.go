package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// Take assigns shards to a member. All of them are one database transaction, between groups of commits: so no commit under an earlier epoch comes after the revision.
func (s *Store) Take(ctx context.Context, node store.NodeID, shards []int) (taken []store.Assignment, at resource.Revision, err error) {
	what := fmt.Sprintf("take shards for node %q", node)
	for _, n := range shards {
		if n < 0 || n >= resource.Shards {
			return nil, 0, fmt.Errorf("%s: %w: there is no shard %d, they are 0 to %d", what, store.ErrInvalid, n, resource.Shards-1)
		}
	}
	err = s.writer.do(ctx, what, func(w *writer) error {
		member := false
		err := w.change(func() (known func(), err error) {
			now := time.Now()
			if member = w.member(node, now); !member {
				return nil, nil
			}
			known, taken, err = w.take(node, shards, now)
			return known, err
		})
		if err == nil && !member {
			return fmt.Errorf("%w: it is no member: it has left, or its time to live has passed without a beat; beat first, and look what others have taken", store.ErrFenced)
		}
		at = w.revision
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return taken, at, nil
}

// aeon is how long the lease of a shard is said to hold. It ends by the silence of its node, if others want it; [Store.Acquire] is not to have it.
const aeon = 100 * 365 * 24 * time.Hour

// take writes the leases of those shards that may be taken.
func (w *writer) take(node store.NodeID, shards []int, now time.Time) (known func(), taken []store.Assignment, err error) {
	var written []*tenure
	seen := map[int]bool{}
	for _, n := range shards {
		have := w.leases[shardScopes[n]]
		if seen[n] || have != nil && have.Holder != "" && w.member(store.NodeID(have.Holder), now) {
			continue
		}
		seen[n] = true
		t := &tenure{since: draft.Plain(now), Lease: store.Lease{Scope: shardScopes[n], Holder: string(node), Epoch: w.nextEpoch(have), Expires: now.Add(aeon)}}
		if err := w.writeLease(t); err != nil {
			return nil, nil, err
		}
		written = append(written, t)
		taken = append(taken, t.assignment(n))
	}
	return w.knowing(written), taken, nil
}

// Give makes those of the assignments that are still so nobody's.
func (s *Store) Give(ctx context.Context, given []store.Assignment) error {
	return s.writer.do(ctx, fmt.Sprintf("give up %d shards", len(given)), func(w *writer) error {
		return w.change(func() (func(), error) {
			var free []*tenure
			for _, a := range given {
				if have := w.leases[store.ShardScope(a.Shard)]; have != nil && have.Holder == string(a.Node) && have.Epoch == a.Epoch {
					free = append(free, have)
				}
			}
			return w.free(free)
		})
	})
}

// Leave ends a membership. What is known of the node stays for [forgotten].
func (s *Store) Leave(ctx context.Context, node store.NodeID) error {
	return s.writer.do(ctx, fmt.Sprintf("let node %q leave", node), func(w *writer) error {
		return w.change(func() (func(), error) {
			n := w.nodes[node]
			if n == nil {
				return nil, nil
			}
			now := time.Now()
			if err := w.writeNode(n, now); err != nil {
				return nil, err
			}
			var free []*tenure
			for shard := range shardScopes {
				if have := w.leases[shardScopes[shard]]; have != nil && have.Holder == string(node) {
					free = append(free, have)
				}
			}
			known, err := w.free(free)
			return func() {
				n.Seen, n.Expires = now, now
				if known != nil {
					known()
				}
			}, err
		})
	})
}

// free makes leases nobody's. Their epochs stay, and the next ones are higher.
func (w *writer) free(leases []*tenure) (known func(), err error) {
	var written []*tenure
	for _, have := range leases {
		t := &tenure{since: draft.Plain(time.Now()), Lease: store.Lease{Scope: have.Scope, Epoch: have.Epoch}}
		if err := w.writeLease(t); err != nil {
			return nil, err
		}
		written = append(written, t)
	}
	return w.knowing(written), nil
}

// knowing is what to do when leases are durable, nil when there are none.
func (w *writer) knowing(written []*tenure) func() {
	if len(written) == 0 {
		return nil
	}
	return func() {
		for _, t := range written {
			w.leases[t.Scope] = t
		}
	}
}

// Moves returns a channel of its own for each call, which lives as long as the store.
func (s *Store) Moves() <-chan struct{} { return s.moves.Listen() }

// shardScopes are the scopes of all shards.
var shardScopes = func() (scopes [resource.Shards]store.Scope) {
	for n := range scopes {
		scopes[n] = store.ShardScope(n)
	}
	return scopes
}()

func (t *tenure) assignment(shard int) store.Assignment {
	return store.Assignment{Shard: shard, Node: store.NodeID(t.Holder), Epoch: t.Epoch, Since: t.since}
}

// assignments are all that there are, by shard. It is never nil.
func (w *writer) assignments() []store.Assignment {
	all := []store.Assignment{}
	for n, scope := range shardScopes {
		if have := w.leases[scope]; have != nil && have.Holder != "" {
			all = append(all, have.assignment(n))
		}
	}
	return all
}
