package cluster

import (
	"cmp"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// roster is what a node knows of who has what: the answer to its last beat, and what it has changed itself since. What is computed from it depends on nothing else, so that nodes that know the same
// come to the same conclusions without talking to each other.
type roster struct {
	shards [resource.Shards]store.Assignment // of the Node "" when nobody has it
	nodes  []store.Node                      // the members, by NodeID
	silent map[store.NodeID]bool             // members that have not beaten since something fell to them: see [roster.hear]
}

// learn replaces what was known by the answer to a beat; the assignments only when it brings them.
func (r *roster) learn(s store.Standing, assignments bool) {
	r.nodes = s.Nodes
	if !assignments {
		return
	}
	r.shards = [resource.Shards]store.Assignment{}
	for _, a := range s.Shards {
		r.shards[a.Shard] = a
	}
}

// node returns a member, a zero one when it is none.
func (r *roster) node(id store.NodeID) store.Node {
	for _, n := range r.nodes {
		if n.ID == id {
			return n
		}
	}
	return store.Node{}
}

// hear finds out which members are silent: something has been open since a moment before now, and they have not beaten since then. Whoever lives beats when something becomes open. Both are known of the last
// beat, whose time is by the clock of the database.
func (r *roster) hear(me store.NodeID, open time.Duration) {
	r.silent = map[store.NodeID]bool{}
	for _, n := range r.nodes {
		if n.ID != me && r.node(me).Seen.Sub(n.Seen) > open {
			r.silent[n.ID] = true
		}
	}
}

// fit are the nodes that should have shards, by NodeID: those that are neither to be drained nor in trouble, nor silent. Where all are in trouble that distinguishes nobody, and better they work than
// none.
func (r *roster) fit() []store.NodeID {
	var well, all []store.NodeID
	for _, n := range r.nodes {
		if n.Draining {
			continue
		}
		all = append(all, n.ID)
		if n.Trouble == "" && !r.silent[n.ID] {
			well = append(well, n.ID)
		}
	}
	if len(well) > 0 {
		return well
	}
	return all
}

// of returns the assignments of a node, by shard.
func (r *roster) of(id store.NodeID) (mine []store.Assignment) {
	for _, a := range r.shards {
		if a.Node == id {
			mine = append(mine, a)
		}
	}
	return mine
}

// targets is how many shards each of the fit nodes should have. They differ by one at most, and who has the most now keeps the odd ones, so that as few as possible move.
func (r *roster) targets() (targets, counts map[store.NodeID]int) {
	targets, counts = map[store.NodeID]int{}, map[store.NodeID]int{}
	for _, a := range r.shards {
		counts[a.Node]++
	}
	order := slices.Clone(r.fit())
	slices.SortFunc(order, func(a, b store.NodeID) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	for i, id := range order {
		targets[id] = resource.Shards / len(order)
		if i < resource.Shards%len(order) {
			targets[id]++
		}
	}
	return targets, counts
}

// open are the shards that may be taken: nobody's, or those of a node that is no member any more.
func (r *roster) open() (open []int) {
	members := map[store.NodeID]bool{}
	for _, n := range r.nodes {
		members[n.ID] = true
	}
	for i, a := range r.shards {
		if !members[a.Node] {
			open = append(open, i)
		}
	}
	return open
}

// portion is what of the open shards falls to a node. The portions of the fit nodes are disjoint, so that they do not reach for the same ones, and together they are all that is open.
func (r *roster) portion(id store.NodeID, open []int) []int {
	targets, counts := r.targets()
	for _, n := range r.fit() {
		need := min(max(targets[n]-counts[n], 0), len(open))
		if n == id {
			return open[:need]
		}
		open = open[need:]
	}
	return nil
}

// surplus is how many shards a node has beyond what it should have.
func (r *roster) surplus(id store.NodeID) int {
	targets, counts := r.targets()
	return max(counts[id]-targets[id], 0)
}

// complete reports whether a node has its share.
func (r *roster) complete(id store.NodeID) bool {
	targets, counts := r.targets()
	return counts[id] >= targets[id]
}

// others reports whether somebody else is fit to take a node's shards.
func (r *roster) others(id store.NodeID) bool {
	for _, n := range r.nodes {
		if n.ID != id && !n.Draining && n.Trouble == "" {
			return true
		}
	}
	return false
}
