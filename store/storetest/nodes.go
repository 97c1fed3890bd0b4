package storetest

import (
	"errors"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/store"
)

var nodeScenarios = []scenario{
	{name: "Nodes/Join", reason: "the first beat makes a member, and brings the version and all assignments, of which there are none", run: nodesJoin, divides: true},
	{name: "Nodes/Renew", reason: "another beat renews the membership, and what the node says of itself now is what is known", run: nodesRenew, divides: true},
	{name: "Nodes/Invalid", reason: "a member has an ID, a name and a time to live", run: nodesInvalid, divides: true},
	{name: "Nodes/Lapse", reason: "a node whose time has passed is no member, and has its shards all the same; with another beat it is one again", run: nodesLapse, divides: true},
	{name: "Nodes/Remaining", reason: "a node learns how long the first of the others with shards has left: neither itself nor those without shards count", run: nodesRemaining, divides: true},
	{name: "Nodes/Leave", reason: "who leaves is no member and has no shard, at once, and is still known; leaving again, or having never been there, is no error", run: nodesLeave, divides: true},
	{name: "Nodes/Cordon", reason: "a cordon is for a name: all nodes of it drain, also those that come later, until it is taken back", run: nodesCordon, divides: true},
	{name: "Nodes/CordonNobody", reason: "a name that was never seen is a typing error", run: nodesCordonNobody, divides: true},
	{name: "Nodes/Members", reason: "people see every node, member or not, with its shards", run: nodesMembers, divides: true},
	{name: "Nodes/Restart", reason: "a restart of the engine keeps cordons and what was known of nodes", run: nodesRestart, divides: true, reopens: true},
	{name: "Nodes/Closed", reason: "a closed store answers nothing", run: nodesClosed, divides: true},
}

// sharded is the store, as one that divides the work.
func (s *suite) sharded() store.Sharded { return divided(s, s.s) }

// other is another handle on the same database.
func (s *suite) other() store.Sharded {
	s.Helper()
	return divided(s, s.abilities.other(s.T, s.s))
}

func divided(s *suite, st store.Store) store.Sharded {
	s.Helper()
	sh, ok := st.(store.Sharded)
	if !ok {
		s.Fatalf("the store is a %T, which is no store.Sharded", st)
	}
	return sh
}

// beat is what a node of the scenarios says. Its name is that of its ID.
func beat(node store.NodeID, ttl time.Duration) store.Beat {
	return store.Beat{Node: node, Name: "name of " + string(node), Version: "v1", Address: "127.0.0.1:1", TTL: ttl}
}

// says beats, or ends the scenario.
func (s *suite) says(b store.Beat) store.Standing {
	s.Helper()
	st, err := s.sharded().Beat(s.ctx, b)
	if err != nil {
		s.Fatal(err)
	}
	return st
}

// join makes members for an hour, and returns how things stand for the last of them.
func (s *suite) join(nodes ...store.NodeID) (st store.Standing) {
	s.Helper()
	for _, n := range nodes {
		st = s.says(beat(n, time.Hour))
	}
	return st
}

// silent makes a member of a node, gives it shards, and returns when its time has passed; watcher is another member, which has seen it.
func (s *suite) silent(node, watcher store.NodeID, shards ...int) []store.Assignment {
	s.Helper()
	s.join(node, watcher)
	had := s.take(node, shards...)
	s.says(beat(node, time.Millisecond))
	for !s.join(watcher).Lapsed {
		if s.ctx.Err() != nil {
			s.Fatal("the time of a node does not pass")
		}
	}
	return had
}

// member finds a node in a list.
func member(nodes []store.Node, id store.NodeID) (store.Node, bool) {
	i := slices.IndexFunc(nodes, func(n store.Node) bool { return n.ID == id })
	if i < 0 {
		return store.Node{}, false
	}
	return nodes[i], true
}

func nodesJoin(s *suite) {
	rev := s.create(thing("before"))
	b := beat("n1", time.Hour)
	b.Trouble, b.Clock = "no disk", time.Now()
	st := s.says(b)
	if st.Revision != rev || st.Version == 0 || st.Shards == nil || len(st.Shards) != 0 || st.Lapse != 0 || st.Lapsed {
		s.Errorf("standing %+v; want revision %d, a version, no shard (not nil), and nobody who lapses", st, rev)
	}
	st = s.join("n0")
	if len(st.Nodes) != 2 || st.Nodes[0].ID != "n0" {
		s.Fatalf("nodes %+v; want n0 and n1, in that order", st.Nodes)
	}
	n := st.Nodes[1]
	if n.ID != "n1" || n.Name != "name of n1" || n.Version != "v1" || n.Address != "127.0.0.1:1" || n.Trouble != "no disk" || !n.Member || n.Draining || n.Shards != 0 {
		s.Errorf("node %+v", n)
	}
	if n.Joined.IsZero() || !n.Joined.Equal(n.Seen) || !n.Expires.After(n.Seen) {
		s.Errorf("joined %s, seen %s, expires %s; the first beat is the last, and is good for a while", n.Joined, n.Seen, n.Expires)
	}
}

func nodesRenew(s *suite) {
	first, _ := member(s.join("n1").Nodes, "n1")
	b := beat("n1", 2*time.Hour)
	b.Trouble, b.Address, b.Version, b.Name = "tired", "127.0.0.1:2", "v2", "another"
	second, _ := member(s.says(b).Nodes, "n1")
	if !second.Joined.Equal(first.Joined) || second.Seen.Before(first.Seen) || !second.Expires.After(first.Expires) {
		s.Errorf("renewing made %+v of %+v", second, first)
	}
	if second.Trouble != "tired" || second.Address != "127.0.0.1:2" || second.Version != "v2" || second.Name != "another" {
		s.Errorf("what the node says now is not what is known: %+v", second)
	}
	b.Clock = time.Now().Add(1000 * time.Hour)
	if n, _ := member(s.says(b).Nodes, "n1"); n.Skew < 900*time.Hour {
		s.Errorf("the clock of a node is 1000 hours ahead, and %s is told", n.Skew)
	}
}

func nodesInvalid(s *suite) {
	for _, c := range []struct {
		reason string
		beat   store.Beat
	}{
		{"there is no ID", store.Beat{Name: "a", TTL: time.Hour}},
		{"there is no name", store.Beat{Node: "n1", TTL: time.Hour}},
		{"there is no time to live", store.Beat{Node: "n1", Name: "a"}},
		{"the time to live is over before it begins", store.Beat{Node: "n1", Name: "a", TTL: -time.Hour}},
	} {
		if st, err := s.sharded().Beat(s.ctx, c.beat); !errors.Is(err, store.ErrInvalid) {
			s.Errorf("%s: standing %+v, error %v; want ErrInvalid", c.reason, st, err)
		}
	}
	if st := s.join("n9"); len(st.Nodes) != 1 {
		s.Errorf("members %+v; a refused beat makes none", st.Nodes)
	}
}

func nodesLapse(s *suite) {
	had := s.silent("n1", "n2", 3, 4)
	st := s.join("n2")
	if n, is := member(st.Nodes, "n1"); is {
		s.Errorf("its time has passed, and it is a member: %+v", n)
	}
	if len(st.Shards) != 2 || st.Shards[0] != had[0] || st.Shards[1] != had[1] {
		s.Errorf("assignments %+v; want those it had, %+v: nobody has taken them", st.Shards, had)
	}
	if err := s.holds(had[0], "late"); err != nil {
		s.Errorf("a commit of a node that is silent, and that nobody replaced: %v", err)
	}
	if back, is := member(s.join("n1").Nodes, "n1"); !is || back.Shards != 2 {
		s.Errorf("it beats again, and is %+v; want a member with its 2 shards", back)
	}
	if st := s.join("n2"); st.Lapsed || st.Lapse <= 0 {
		s.Errorf("nobody is silent any more: lapse %s, lapsed %t", st.Lapse, st.Lapsed)
	}
}

func nodesRemaining(s *suite) {
	s.says(beat("idle", 24*time.Hour))
	s.says(beat("long", 72*time.Hour))
	s.says(beat("longer", 96*time.Hour))
	s.take("long", 1)
	s.take("longer", 2)
	if st := s.says(beat("idle", 24*time.Hour)); st.Lapse <= 24*time.Hour || st.Lapse > 72*time.Hour || st.Lapsed {
		s.Errorf("for one without shards the first to lapse has %s left (lapsed %t), want 72 h at most, and more than its own 24 h", st.Lapse, st.Lapsed)
	}
	if st := s.says(beat("long", 72*time.Hour)); st.Lapse <= 72*time.Hour || st.Lapse > 96*time.Hour {
		s.Errorf("for the first one itself the next has %s left, want 96 h at most, and more than its own 72 h", st.Lapse)
	}
	if err := s.sharded().Leave(s.ctx, "longer"); err != nil {
		s.Fatal(err)
	}
	if st := s.says(beat("long", 72*time.Hour)); st.Lapse != 0 || st.Lapsed {
		s.Errorf("no other has shards: lapse %s, lapsed %t, want none", st.Lapse, st.Lapsed)
	}
}

func nodesLeave(s *suite) {
	s.join("n1", "n2")
	had := s.take("n1", 7, 8)
	kept := s.take("n2", 9)
	for range 2 {
		if err := s.sharded().Leave(s.ctx, "n1"); err != nil {
			s.Fatal(err)
		}
	}
	if err := s.sharded().Leave(s.ctx, "never"); err != nil {
		s.Errorf("one that never was leaves: %v", err)
	}
	st := s.join("n2")
	if len(st.Nodes) != 1 || len(st.Shards) != 1 || st.Shards[0] != kept[0] || st.Lapsed {
		s.Errorf("standing %+v; want n2 alone, with what it had", st)
	}
	nodes, _, err := s.sharded().Members(s.ctx)
	if n, known := member(nodes, "n1"); err != nil || !known || n.Member || n.Shards != 0 || !n.Left() {
		s.Errorf("who left is %+v (known %t), error %v; want it known, no member, and by its own will", n, known, err)
	}
	again := s.take("n2", 7, 8)
	for i := range had {
		if len(again) != 2 || again[i].Epoch.Compare(had[i].Epoch) <= 0 {
			s.Errorf("after %+v the next has %+v; want higher epochs", had, again)
		}
	}
}

// cordon asks, or ends the scenario.
func (s *suite) cordon(name string, drain bool) {
	s.Helper()
	if err := s.sharded().Cordon(s.ctx, name, drain); err != nil {
		s.Fatal(err)
	}
}

// draining lists the members that drain.
func draining(st store.Standing) (ids []store.NodeID) {
	for _, n := range st.Nodes {
		if n.Draining {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

func nodesCordon(s *suite) {
	for _, id := range []store.NodeID{"n1", "n2", "n3"} {
		b := beat(id, time.Hour)
		b.Name = map[bool]string{true: "twin", false: "single"}[id != "n3"]
		s.says(b)
	}
	before := s.join("watcher").Version
	s.cordon("twin", true)
	s.cordon("twin", true) // says nothing new
	st := s.join("watcher")
	if got := draining(st); !slices.Equal(got, []store.NodeID{"n1", "n2"}) || st.Version <= before {
		s.Errorf("draining are %v at version %d (%d before); want both of the name, and a newer version", got, st.Version, before)
	}
	if again := s.join("watcher").Version; again != st.Version {
		s.Errorf("version %d follows %d, and nothing happened", again, st.Version)
	}
	next := beat("n4", time.Hour)
	next.Name = "twin"
	if got := draining(s.says(next)); !slices.Equal(got, []store.NodeID{"n1", "n2", "n4"}) {
		s.Errorf("draining are %v; the next run of that name does too", got)
	}
	s.cordon("twin", false)
	if now := s.join("watcher"); len(draining(now)) != 0 || now.Version <= st.Version {
		s.Errorf("it was taken back, and %v drain at version %d", draining(now), now.Version)
	}
}

func nodesCordonNobody(s *suite) {
	s.join("n1")
	version := s.join("n1").Version
	for _, drain := range []bool{true, false} {
		if err := s.sharded().Cordon(s.ctx, "n1", drain); !errors.Is(err, store.ErrNotFound) || !contains(err, `"n1"`) {
			s.Errorf("cordon %t of an ID, which is no name: %v; want ErrNotFound, and the name in it", drain, err)
		}
	}
	if now := s.join("n1").Version; now != version {
		s.Errorf("a refused cordon makes version %d of %d", now, version)
	}
}

func nodesMembers(s *suite) {
	had := s.silent("gone", "here", 1, 2)
	more := s.take("here", 5)
	nodes, assigned, err := s.sharded().Members(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	if len(nodes) != 2 || len(assigned) != 3 || assigned[0] != had[0] || assigned[1] != had[1] || assigned[2] != more[0] {
		s.Fatalf("nodes %+v, assignments %+v", nodes, assigned)
	}
	if n := nodes[0]; n.ID != "gone" || n.Member || n.Shards != 2 || n.Expires.Before(n.Seen) {
		s.Errorf("node %+v; want one that is no member, with 2 shards", n)
	}
	if n := nodes[1]; n.ID != "here" || !n.Member || n.Shards != 1 || n.Name != "name of here" {
		s.Errorf("node %+v; want a member with a shard", n)
	}
}

func nodesRestart(s *suite) {
	s.join("n1")
	s.cordon("name of n1", true)
	s.reopen()
	nodes, _, err := s.sharded().Members(s.ctx)
	if n, known := member(nodes, "n1"); err != nil || !known || !n.Draining || n.Name != "name of n1" || n.Joined.IsZero() {
		s.Errorf("after a restart n1 is %+v (known %t), error %v; want it known, and draining", n, known, err)
	}
	next := beat("n2", time.Hour)
	next.Name = "name of n1"
	if got := draining(s.says(next)); !slices.Contains(got, "n2") {
		s.Errorf("draining are %v; the next run of that name does too", got)
	}
	s.cordon("name of n1", false)
	if got := draining(s.says(next)); len(got) != 0 {
		s.Errorf("it was taken back, and %v drain", got)
	}
}

func nodesClosed(s *suite) {
	s.join("n1")
	if err := s.s.Close(); err != nil {
		s.Fatal(err)
	}
	sh := s.sharded()
	_, beatErr := sh.Beat(s.ctx, beat("n1", time.Hour))
	_, _, takeErr := sh.Take(s.ctx, "n1", []int{1})
	_, _, membersErr := sh.Members(s.ctx)
	for name, err := range map[string]error{"Beat": beatErr, "Take": takeErr, "Members": membersErr, "Leave": sh.Leave(s.ctx, "n1"), "Cordon": sh.Cordon(s.ctx, "name of n1", true),
		"Give": sh.Give(s.ctx, []store.Assignment{{Shard: 1, Node: "n1"}})} {
		if !errors.Is(err, store.ErrClosed) {
			s.Errorf("%s on a closed store: %v, want ErrClosed", name, err)
		}
	}
}
