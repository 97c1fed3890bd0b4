package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Beat makes a node a member, or renews its membership, by the database's clock. It is one statement, which also stands for the heartbeat of this store: the answer tells the
// newest revision, and makes up for hints that got lost.
func (s *Store) Beat(ctx context.Context, b store.Beat) (store.Standing, error) {
	what := fmt.Sprintf("beat of node %q", b.Node)
	if b.Node == "" || b.Name == "" || b.TTL <= 0 {
		return store.Standing{}, fmt.Errorf("%s for %s: %w: a member needs an ID, a name and a time to live", what, b.TTL, store.ErrInvalid)
	}
	if bad := badText(string(b.Node), b.Name, b.Version, b.Address, b.Trouble); bad != nil {
		return store.Standing{}, fmt.Errorf("%s: %w: %w", what, store.ErrInvalid, bad)
	}
	var st store.Standing
	var asked time.Time
	err := s.keeping(ctx, func(ctx context.Context, c *pgx.Conn) (err error) {
		asked = time.Now()
		st, err = beat(ctx, c, b)
		return err
	})
	if err != nil {
		return store.Standing{}, fmt.Errorf("%s: %w", what, err)
	}
	s.follower.told(st.Revision)
	s.renewed.Store(asked.UnixNano())
	return st, nil
}

func beat(ctx context.Context, c *pgx.Conn, b store.Beat) (store.Standing, error) {
	var revision, version int64
	var a assignments
	var n nodes
	var lapse *time.Duration
	var lapsed bool
	var pause pauseRow
	err := c.QueryRow(ctx, `SELECT revision, version, a_shard, a_node, a_incarnation, a_counter, a_since,
			n_id, n_name, n_version, n_address, n_trouble, n_draining, n_shards, n_joined, n_seen, n_expires, n_skew, lapse, lapsed,
			p.by_whom, p.since, p.until, p.remaining
			FROM setpoint.beat_v1($1, $2, $3, $4, $5, $6, $7, $8) b LEFT JOIN LATERAL setpoint.paused_v1(b.version) p ON true`,
		string(b.Node), b.Name, b.Version, b.Address, b.Trouble, b.TTL, orNull(b.Clock), int64(b.Known)).
		Scan(&revision, &version, &a.shards, &a.nodes, &a.incarnations, &a.counters, &a.times,
			&n.ids, &n.names, &n.versions, &n.addresses, &n.troubles, &n.draining, &n.shards, &n.joined, &n.seen, &n.expires, &n.skews, &lapse, &lapsed,
			&pause.by, &pause.since, &pause.until, &pause.left)
	if err != nil {
		return store.Standing{}, err
	}
	st := store.Standing{Revision: resource.Revision(revision), Version: uint64(version), Lapsed: lapsed, Nodes: n.members(), Pause: pause.pause()}
	if st.Version != b.Known {
		st.Shards = a.all()
	}
	if lapse != nil {
		st.Lapse = max(*lapse, time.Microsecond) // it may be less than the database counts in, and is not none
	}
	return st, nil
}

// nodes are columns, as beat_v1 returns them.
type nodes struct {
	ids, names, versions, addresses, troubles []string
	draining                                  []bool
	shards                                    []int32
	joined, seen, expires                     []time.Time
	skews                                     []time.Duration
}

// members are the nodes, all of which are members.
func (n *nodes) members() []store.Node {
	list := make([]store.Node, len(n.ids))
	for i := range list {
		list[i] = store.Node{ID: store.NodeID(n.ids[i]), Name: n.names[i], Version: n.versions[i], Address: n.addresses[i], Trouble: n.troubles[i],
			Member: true, Draining: n.draining[i], Shards: int(n.shards[i]), Joined: n.joined[i].UTC(), Seen: n.seen[i].UTC(), Expires: n.expires[i].UTC(), Skew: n.skews[i]}
	}
	return list
}

// Cordon asks the nodes of a name to give up their shards, or takes that back.
func (s *Store) Cordon(ctx context.Context, name string, drain bool) error {
	what := fmt.Sprintf("cordon %q", name)
	if bad := badText(name); bad != nil {
		return fmt.Errorf("%s: %w: %w", what, store.ErrInvalid, bad)
	}
	var known bool
	err := s.keeping(ctx, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, "SELECT known FROM setpoint.cordon_v1($1, $2)", name, drain).Scan(&known)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if !known {
		return fmt.Errorf("%s: %w: no node of that name is known here", what, store.ErrNotFound)
	}
	return nil
}

// Members returns every node that is known, and every assignment, of one moment.
func (s *Store) Members(ctx context.Context) (all []store.Node, assigned []store.Assignment, err error) {
	err = s.retrying(ctx, func(ctx context.Context) error {
		return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
			if assigned, err = readAssigned(ctx, tx); err != nil {
				return err
			}
			all, err = readNodes(ctx, tx, assigned)
			return err
		})
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list the nodes: %w", err)
	}
	return all, assigned, nil
}

func readAssigned(ctx context.Context, tx pgx.Tx) ([]store.Assignment, error) {
	rows, err := tx.Query(ctx, "SELECT shard, node, incarnation, counter, since FROM setpoint.assigned_v1() ORDER BY shard")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.Assignment, error) {
		var a store.Assignment
		var incarnation, count int64
		err := row.Scan(&a.Shard, &a.Node, &incarnation, &count, &a.Since)
		a.Epoch, a.Since = resource.Epoch{Incarnation: uint64(incarnation), Counter: uint64(count)}, a.Since.UTC()
		return a, err
	})
}

func readNodes(ctx context.Context, tx pgx.Tx, assigned []store.Assignment) ([]store.Node, error) {
	shards := map[store.NodeID]int{}
	for _, a := range assigned {
		shards[a.Node]++
	}
	rows, err := tx.Query(ctx, `SELECT n.id, n.name, n.version, n.address, n.trouble, n.expires > clock_timestamp(), EXISTS (SELECT 1 FROM setpoint.cordon c WHERE c.name = n.name),
		n.joined, n.seen, n.expires, n.skew FROM setpoint.node n ORDER BY n.id`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.Node, error) {
		var n store.Node
		err := row.Scan(&n.ID, &n.Name, &n.Version, &n.Address, &n.Trouble, &n.Member, &n.Draining, &n.Joined, &n.Seen, &n.Expires, &n.Skew)
		n.Joined, n.Seen, n.Expires, n.Shards = n.Joined.UTC(), n.Seen.UTC(), n.Expires.UTC(), shards[n.ID]
		return n, err
	})
}
