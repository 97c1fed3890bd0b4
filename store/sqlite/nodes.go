package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// forgotten is after which time of silence a node is forgotten, when another one joins.
const forgotten = 7 * 24 * time.Hour

// divisionVersion reads the version of assignments, cordons and the pause.
const divisionVersion = "SELECT version FROM division"

// Beat makes a node a member, or renews its membership, by this process's clock. Only the first beat of a node writes; a renewal executes no statement, because what it
// says dies with the process, as the membership does.
func (s *Store) Beat(ctx context.Context, b store.Beat) (store.Standing, error) {
	what := fmt.Sprintf("beat of node %q", b.Node)
	if b.Node == "" || b.Name == "" || b.TTL <= 0 {
		return store.Standing{}, fmt.Errorf("%s for %s: %w: a member needs an ID, a name and a time to live", what, b.TTL, store.ErrInvalid)
	}
	var standing store.Standing
	err := s.writer.do(ctx, what, func(w *writer) error {
		now := time.Now() // with the monotonic clock: a time to live is a duration
		n := &store.Node{ID: b.Node, Name: b.Name, Version: b.Version, Address: b.Address, Trouble: b.Trouble, Joined: now, Seen: now, Expires: now.Add(b.TTL)}
		if !b.Clock.IsZero() {
			n.Skew = b.Clock.Sub(now)
		}
		if have := w.nodes[b.Node]; have != nil {
			n.Joined = have.Joined
		} else if err := w.join(n, now); err != nil {
			return err
		}
		w.nodes[b.Node] = n
		standing = w.standing(b, now)
		return nil
	})
	return standing, err
}

// join writes a new node down, and forgets those that have been silent for long.
func (w *writer) join(n *store.Node, now time.Time) error {
	return w.change(func() (func(), error) {
		var old []store.NodeID
		for id, o := range w.nodes {
			if now.Sub(o.Seen) > forgotten && !now.Before(o.Expires) {
				old = append(old, id)
			}
		}
		for _, id := range old {
			q, err := w.c.prepare("DELETE FROM node WHERE id = ?")
			if err != nil {
				return nil, err
			}
			if err := q.bindText(string(id)).exec(); err != nil {
				return nil, err
			}
		}
		return func() {
			for _, id := range old {
				delete(w.nodes, id)
			}
		}, w.writeNode(n, now)
	})
}

func (w *writer) writeNode(n *store.Node, seen time.Time) error {
	q, err := w.c.prepare(`INSERT INTO node (id, name, version, address, joined, seen) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version, address = excluded.address, seen = excluded.seen`)
	if err != nil {
		return err
	}
	return q.bindText(string(n.ID)).bindText(n.Name).bindText(n.Version).bindText(n.Address).bindInt(codec.Nanos(n.Joined)).bindInt(codec.Nanos(seen)).exec()
}

// member reports whether a node's time to live has not passed.
func (w *writer) member(id store.NodeID, now time.Time) bool {
	n := w.nodes[id]
	return n != nil && now.Before(n.Expires)
}

// standing is how things stand, for a node that has just beaten.
func (w *writer) standing(b store.Beat, now time.Time) store.Standing {
	st := store.Standing{Revision: w.revision, Version: w.division, Pause: w.pause.at(now)}
	assigned := w.assignments()
	if b.Known != w.division {
		st.Shards = assigned
	}
	all := w.known(assigned, now)
	counted := 0
	for _, n := range all {
		counted += n.Shards
		if !n.Member {
			st.Lapsed = st.Lapsed || n.Shards > 0
			continue
		}
		st.Nodes = append(st.Nodes, n)
		if left := n.Expires.Sub(now); n.ID != b.Node && n.Shards > 0 && (st.Lapse == 0 || left < st.Lapse) {
			st.Lapse = left
		}
	}
	st.Lapsed = st.Lapsed || counted < len(assigned) // some are a node's that is not known any more
	return st
}

// known is what is known of all nodes, by ID.
func (w *writer) known(assigned []store.Assignment, now time.Time) []store.Node {
	shards := map[store.NodeID]int{}
	for _, a := range assigned {
		shards[a.Node]++
	}
	all := make([]store.Node, 0, len(w.nodes))
	for _, n := range w.nodes {
		one := *n
		one.Member, one.Draining, one.Shards = now.Before(n.Expires), w.cordons[n.Name], shards[n.ID]
		one.Joined, one.Seen, one.Expires = draft.Plain(one.Joined), draft.Plain(one.Seen), draft.Plain(one.Expires)
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b store.Node) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Cordon asks the nodes of a name to give up their shards, or takes that back.
func (s *Store) Cordon(ctx context.Context, name string, drain bool) error {
	return s.writer.do(ctx, fmt.Sprintf("cordon %q", name), func(w *writer) error {
		return w.change(func() (func(), error) {
			if !w.cordons[name] && !w.hasName(name) {
				return nil, fmt.Errorf("%w: no node of that name is known here", store.ErrNotFound)
			}
			if w.cordons[name] == drain {
				return nil, nil
			}
			return func() { w.cordons[name] = drain }, w.writeCordon(name, drain)
		})
	})
}

func (w *writer) hasName(name string) bool {
	for _, n := range w.nodes {
		if n.Name == name {
			return true
		}
	}
	return false
}

func (w *writer) writeCordon(name string, drain bool) error {
	if !drain {
		q, err := w.c.prepare("DELETE FROM cordon WHERE name = ?")
		if err != nil {
			return err
		}
		return q.bindText(name).exec()
	}
	q, err := w.c.prepare("INSERT INTO cordon (name, since) VALUES (?, ?)")
	if err != nil {
		return err
	}
	return q.bindText(name).bindInt(time.Now().UnixNano()).exec()
}

// Members returns every node that is known, and every assignment. Of nodes of earlier processes it tells when they joined or left; their later beats were in memory.
func (s *Store) Members(ctx context.Context) (nodes []store.Node, assigned []store.Assignment, err error) {
	err = s.writer.do(ctx, "list the nodes", func(w *writer) error {
		assigned = w.assignments()
		nodes = w.known(assigned, time.Now())
		return nil
	})
	return nodes, assigned, err
}

// division is what the tables say of nodes, cordons and the pause.
type division struct {
	pause   pause
	version uint64
	nodes   map[store.NodeID]*store.Node
	cordons map[string]bool
}

// loadDivision reads nodes, cordons and the pause. Of a node that has beaten since the store was opened the memory knows better.
func (w *writer) loadDivision() (division, error) {
	d := division{nodes: map[store.NodeID]*store.Node{}, cordons: map[string]bool{}}
	version, err := w.c.number(divisionVersion)
	if err != nil {
		return d, err
	}
	d.version = uint64(version)
	if d.pause, err = w.loadPause(); err != nil {
		return d, err
	}
	q, err := w.c.prepare("SELECT id, name, version, address, joined, seen FROM node")
	if err != nil {
		return d, err
	}
	err = q.each(func() error {
		n := &store.Node{ID: store.NodeID(q.text(0)), Name: q.text(1), Version: q.text(2), Address: q.text(3), Joined: codec.Time(q.int(4)), Seen: codec.Time(q.int(5))}
		n.Expires = n.Seen
		if have := w.nodes[n.ID]; have != nil {
			n = have
		}
		d.nodes[n.ID] = n
		return nil
	})
	if err != nil {
		return d, err
	}
	if q, err = w.c.prepare("SELECT name FROM cordon"); err != nil {
		return d, err
	}
	return d, q.each(func() error { d.cordons[q.text(0)] = true; return nil })
}

// learn takes over what the tables say.
func (w *writer) learn(d division) {
	w.nodes, w.cordons, w.pause = d.nodes, d.cordons, d.pause
	w.divided(d.version)
}

// divided notes the version of assignments, cordons and the pause, and tells who listens when it is another one.
func (w *writer) divided(version uint64) {
	if version == w.division {
		return
	}
	w.division = version
	w.store.moves.Ring()
}
