package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var shardScenarios = []scenario{
	{name: "Shards/Take", reason: "a member gets what is nobody's, once, and nothing of another member's", run: shardsTake, divides: true},
	{name: "Shards/TakeOver", reason: "a member gets the shards of one whose time has passed, under higher epochs, and the other one is fenced off", run: shardsTakeOver, divides: true},
	{name: "Shards/Strangers", reason: "who is no member takes nothing: never joined, left, or silent for too long", run: shardsStrangers, divides: true},
	{name: "Shards/NoShard", reason: "a number that is no shard's is refused, with all that was asked", run: shardsNoShard, divides: true},
	{name: "Shards/Race", reason: "many take all at once, by several handles: each shard is exactly one's, and its epochs rise", run: shardsRace, divides: true},
	{name: "Shards/Give", reason: "what was given up is free for others; what is not so any more is not given up", run: shardsGive, divides: true},
	{name: "Shards/Fence", reason: "a commit under the epoch holds until another takes the shard, and never after", run: shardsFence, divides: true},
	{name: "Shards/Covered", reason: "the revision of a take covers every commit under the former epoch: none comes after it, however many are under way", run: shardsCovered, divides: true},
	{name: "Shards/Known", reason: "assignments come once: not to who knows their version, which every change raises and nothing else", run: shardsKnown, divides: true},
	{name: "Shards/Moves", reason: "every change is announced, whoever makes it, to everybody who asked for a channel", run: shardsMoves, divides: true},
	{name: "Shards/Restart", reason: "a restart lowers no epoch and no version", run: shardsRestart, divides: true, reopens: true},
}

// take takes shards, or ends the scenario.
func (s *suite) take(node store.NodeID, shards ...int) []store.Assignment {
	s.Helper()
	taken, _, err := s.sharded().Take(s.ctx, node, shards)
	if err != nil {
		s.Fatal(err)
	}
	return taken
}

// fence is the condition that an assignment is still so.
func fence(a store.Assignment) []store.Fence {
	return []store.Fence{{Scope: store.ShardScope(a.Shard), Epoch: a.Epoch}}
}

// holds commits something on condition that an assignment is still so.
func (s *suite) holds(a store.Assignment, name string) error {
	tx := write(thing(name), 0)
	tx.Fences = fence(a)
	_, err := s.commit(tx)
	return err
}

// all are the numbers of all shards.
func all() []int {
	list := make([]int, resource.Shards)
	for i := range list {
		list[i] = i
	}
	return list
}

func shardsTake(s *suite) {
	rev := s.create(thing("before"))
	s.join("n1", "n2")
	taken, at, err := s.sharded().Take(s.ctx, "n1", []int{200, 3, 3, 0})
	if err != nil || at != rev || len(taken) != 3 {
		s.Fatalf("taken %+v at revision %d, error %v; want 3 of them at %d", taken, at, err, rev)
	}
	seen := map[int]bool{}
	for _, a := range taken {
		seen[a.Shard] = true
		if a.Node != "n1" || a.Epoch.Incarnation != s.s.Info().Incarnation || a.Epoch.Counter != 1 || a.Since.IsZero() {
			s.Errorf("assignment %+v; want n1's, at the first epoch of this incarnation", a)
		}
	}
	if !seen[0] || !seen[3] || !seen[200] {
		s.Errorf("taken %+v, want 0, 3 and 200", taken)
	}
	if again := s.take("n1", 0, 3); len(again) != 0 {
		s.Errorf("it takes what it has: %+v", again)
	}
	if more := s.take("n2", 3, 4); len(more) != 1 || more[0].Shard != 4 {
		s.Errorf("another takes %+v; want 4 only, as 3 is a member's", more)
	}
	st := s.join("n1")
	if len(st.Shards) != 4 || st.Shards[0].Shard != 0 || st.Shards[1].Shard != 3 || st.Shards[2].Shard != 4 || st.Shards[3].Shard != 200 {
		s.Errorf("assignments %+v; want 0, 3, 4 and 200, in that order", st.Shards)
	}
	if none := s.take("n1"); len(none) != 0 {
		s.Errorf("asking for nothing gives %+v", none)
	}
}

func shardsTakeOver(s *suite) {
	had := s.silent("n1", "n2", 5, 6)
	taken := s.take("n2", 5, 6, 7)
	if len(taken) != 3 {
		s.Fatalf("taken %+v; want what was the silent one's, and what was nobody's", taken)
	}
	for i, a := range had {
		if b := taken[i]; b.Shard != a.Shard || b.Node != "n2" || b.Epoch.Compare(a.Epoch) <= 0 || b.Since.Before(a.Since) {
			s.Errorf("assignment %+v follows %+v; want a higher epoch, later", b, a)
		}
		if err := s.holds(a, fmt.Sprint("late", i)); !errors.Is(err, store.ErrFenced) {
			s.Errorf("a commit of the silent one: %v, want ErrFenced", err)
		}
	}
	back := s.join("n1")
	if n, _ := member(back.Nodes, "n1"); n.Shards != 0 || back.Lapsed {
		s.Errorf("it comes back as %+v, lapsed %t; want it without shards", n, back.Lapsed)
	}
}

func shardsStrangers(s *suite) {
	s.silent("silent", "watcher", 1)
	s.join("left")
	if err := s.sharded().Leave(s.ctx, "left"); err != nil {
		s.Fatal(err)
	}
	version := s.join("watcher").Version
	for id, reason := range map[store.NodeID]string{"never": "it has not joined", "left": "it has left", "silent": "its time has passed"} {
		if taken, _, err := s.sharded().Take(s.ctx, id, []int{1, 2}); !errors.Is(err, store.ErrFenced) || len(taken) != 0 {
			s.Errorf("%s, and it takes %+v, error %v; want ErrFenced", reason, taken, err)
		}
	}
	if now := s.join("watcher").Version; now != version {
		s.Errorf("they made version %d of %d", now, version)
	}
	s.join("left")
	if taken := s.take("left", 2); len(taken) != 1 {
		s.Errorf("it has joined again, and takes %+v", taken)
	}
}

func shardsNoShard(s *suite) {
	s.join("n1")
	for _, n := range []int{-1, resource.Shards} {
		if taken, _, err := s.sharded().Take(s.ctx, "n1", []int{0, n}); !errors.Is(err, store.ErrInvalid) || len(taken) != 0 {
			s.Errorf("shard %d: taken %+v, error %v; want ErrInvalid", n, taken, err)
		}
	}
	if st := s.join("n1"); len(st.Shards) != 0 {
		s.Errorf("assignments %+v, want none", st.Shards)
	}
}

func shardsRace(s *suite) {
	const nodes = 8
	handles := []store.Sharded{s.sharded(), s.other()}
	last := map[int]resource.Epoch{}
	for round := range 3 {
		var mu sync.Mutex
		owners := map[int]store.Assignment{}
		var wg sync.WaitGroup
		for i := range nodes {
			id, handle := store.NodeID(fmt.Sprintf("n%d", i)), handles[i%len(handles)]
			s.join(id)
			wg.Go(func() {
				for first := range 16 { // in parts, beginning somewhere else each
					part := all()[(first+i)%16*16:][:16]
					taken, _, err := handle.Take(s.ctx, id, part)
					if err != nil {
						s.Error(err)
						return
					}
					mu.Lock()
					for _, a := range taken {
						if other, is := owners[a.Shard]; is {
							s.Errorf("shard %d is %s's and %s's", a.Shard, a.Node, other.Node)
						}
						owners[a.Shard] = a
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		st := s.join("n0")
		if len(owners) != resource.Shards || len(st.Shards) != resource.Shards {
			s.Fatalf("round %d: %d shards were taken, %d are assigned; want all %d", round, len(owners), len(st.Shards), resource.Shards)
		}
		for _, a := range st.Shards {
			if a != owners[a.Shard] {
				s.Errorf("shard %d was taken as %+v, and is assigned as %+v", a.Shard, owners[a.Shard], a)
			}
			if a.Epoch.Compare(last[a.Shard]) <= 0 {
				s.Errorf("epoch %s of shard %d follows %s", a.Epoch, a.Shard, last[a.Shard])
			}
			last[a.Shard] = a.Epoch
		}
		for i := range nodes {
			if err := handles[i%len(handles)].Leave(s.ctx, store.NodeID(fmt.Sprintf("n%d", i))); err != nil {
				s.Fatal(err)
			}
		}
	}
}

func shardsGive(s *suite) {
	s.join("n1", "n2")
	first := s.take("n1", 1, 2, 3)
	s.give(first[0], first[1])
	next := s.take("n2", 1, 2, 3)
	if len(next) != 2 || next[0].Shard != 1 || next[1].Shard != 2 || next[0].Epoch.Compare(first[0].Epoch) <= 0 {
		s.Fatalf("another takes %+v; want what was given up, under higher epochs", next)
	}
	version := s.join("n2").Version
	wrong := next[0]
	wrong.Node = "n1"
	s.give(first...)                                                                                   // 1 and 2 are not so any more, 3 is
	s.give(wrong)                                                                                      // another's name
	s.give(store.Assignment{Shard: 9, Node: "n1", Epoch: first[0].Epoch}, store.Assignment{Shard: -1}) // never assigned
	s.give()
	st := s.join("n2")
	if len(st.Shards) != 2 || st.Shards[0] != next[0] || st.Shards[1] != next[1] || st.Version <= version {
		s.Errorf("assignments %+v; want %+v: only what is still so is given up", st.Shards, next)
	}
	again := s.take("n1", 3)
	if len(again) != 1 || again[0].Epoch.Compare(first[2].Epoch) <= 0 {
		s.Errorf("it takes again what it gave up: %+v; want a higher epoch than %s", again, first[2].Epoch)
	}
	s.give(first[2]) // its own, under the epoch of before: that one was given up already
	if st := s.join("n1"); len(st.Shards) != 3 || st.Shards[2] != again[0] {
		s.Errorf("assignments %+v; want %+v still among them: an assignment of the past is not the present one", st.Shards, again)
	}
	if err := s.holds(first[2], "before"); !errors.Is(err, store.ErrFenced) {
		s.Errorf("a commit under the epoch that it had before: %v, want ErrFenced", err)
	}
}

// give gives assignments up, or ends the scenario.
func (s *suite) give(given ...store.Assignment) {
	s.Helper()
	if err := s.sharded().Give(s.ctx, given); err != nil {
		s.Fatal(err)
	}
}

func shardsFence(s *suite) {
	s.join("n1", "n2")
	first := s.take("n1", 17)[0]
	if err := s.holds(first, "mine"); err != nil {
		s.Errorf("a commit of who has the shard: %v", err)
	}
	s.give(first)
	if err := s.holds(first, "given"); err != nil {
		s.Errorf("nobody has taken the shard, and the epoch does not hold: %v", err)
	}
	second := s.take("n2", 17)[0]
	tx := write(thing("late"), 0)
	tx.Fences = fence(first)
	s.refused(tx, store.ErrFenced)
	if err := s.holds(second, "other"); err != nil {
		s.Errorf("a commit of who has it now: %v", err)
	}
	both := write(thing("both"), 0)
	both.Fences = append(fence(second), fence(first)...)
	s.refused(both, store.ErrFenced)
}

func shardsCovered(s *suite) {
	const rounds, committers = 12, 6
	s.join("n1", "n2")
	mine := s.take("n1", 0)[0]
	other := s.other()
	for round := range rounds {
		ctx, stop := context.WithCancel(s.ctx)
		var mu sync.Mutex
		var accepted []resource.Revision
		began := make(chan struct{}, committers)
		var wg sync.WaitGroup
		for i := range committers {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					tx := write(thing(fmt.Sprintf("r%d-%d-%d", round, i, n)), 0)
					tx.Fences = fence(mine)
					r, err := s.commit(tx)
					if err != nil {
						if !errors.Is(err, store.ErrFenced) {
							s.Error(err)
						}
						return
					}
					mu.Lock()
					accepted = append(accepted, r.Revision)
					mu.Unlock()
					if n == 0 {
						began <- struct{}{}
					}
				}
			})
		}
		for range committers {
			select {
			case <-began:
			case <-s.ctx.Done():
				s.Fatal("the committers do not begin")
			}
		}
		s.give(mine) // the epoch holds on, until another takes it
		next := [2]store.NodeID{"n2", "n1"}[round%2]
		taken, at, err := other.Take(s.ctx, next, []int{0})
		if err != nil || len(taken) != 1 {
			s.Fatalf("taken %+v, error %v", taken, err)
		}
		wg.Wait() // by being fenced off
		stop()
		for _, rev := range accepted {
			if rev > at {
				s.Errorf("round %d: revision %d was committed under the former epoch, after the take at %d", round, rev, at)
			}
		}
		mine = taken[0]
	}
}

func shardsKnown(s *suite) {
	s.join("n1", "n2")
	var st store.Standing
	known := func() {
		s.Helper()
		b := beat("n2", time.Hour)
		b.Known = st.Version
		if now := s.says(b); now.Version != st.Version || now.Shards != nil {
			s.Errorf("version %d is known, and the answer has version %d and %+v; want nothing", st.Version, now.Version, now.Shards)
		}
	}
	step := func(what string, shards int, change func() error) {
		s.Helper()
		if err := change(); err != nil {
			s.Fatalf("%s: %v", what, err)
		}
		b := beat("n2", time.Hour)
		b.Known = st.Version
		now := s.says(b)
		if now.Version <= st.Version || now.Shards == nil || len(now.Shards) != shards {
			s.Errorf("%s: version %d follows %d, with %+v; want a newer one, and %d shards", what, now.Version, st.Version, now.Shards, shards)
		}
		st = now
		known()
	}
	var taken []store.Assignment
	step("the first answer", 0, func() error { return nil })
	step("a take", 3, func() (err error) { taken, _, err = s.sharded().Take(s.ctx, "n1", []int{1, 2, 3}); return err })
	step("a gift", 2, func() error { return s.sharded().Give(s.ctx, taken[:1]) })
	step("a cordon", 2, func() error { return s.sharded().Cordon(s.ctx, "name of n1", true) })
	step("a leave", 0, func() error { return s.sharded().Leave(s.ctx, "n1") })
	s.join("n3")
	s.take("n3")
	s.give(taken...)
	known()
}

func shardsMoves(s *suite) {
	other := s.other()
	s.join("n1", "n2")
	first, second, away := s.sharded().Moves(), s.sharded().Moves(), other.Moves()
	var taken []store.Assignment
	for _, c := range []struct {
		reason string
		change func() error
	}{
		{"a take", func() (err error) { taken, _, err = other.Take(s.ctx, "n1", []int{1, 2}); return err }},
		{"a gift", func() error { return other.Give(s.ctx, taken[:1]) }},
		{"a cordon", func() error { return other.Cordon(s.ctx, "name of n2", true) }},
		{"the end of a cordon", func() error { return other.Cordon(s.ctx, "name of n2", false) }},
		{"a leave", func() error { return other.Leave(s.ctx, "n1") }},
	} {
		before := s.join("n2").Version
		drain(first, second, away)
		if err := c.change(); err != nil {
			s.Fatalf("%s: %v", c.reason, err)
		}
		for _, moved := range []<-chan struct{}{first, second, away} {
			s.moved(moved, c.reason)
		}
		if now := s.join("n2").Version; now <= before {
			s.Errorf("%s was announced, and the version is %d as before", c.reason, now)
		}
	}
}

// drain takes what was sent before.
func drain(channels ...<-chan struct{}) {
	for _, c := range channels {
		select {
		case <-c:
		default:
		}
	}
}

// moved waits for an announcement.
func (s *suite) moved(c <-chan struct{}, what string) {
	s.Helper()
	select {
	case <-c:
	case <-s.ctx.Done():
		s.Fatalf("%s is not announced", what)
	}
}

func shardsRestart(s *suite) {
	var last store.Assignment
	version := uint64(0)
	for i := range 3 {
		id := store.NodeID(fmt.Sprintf("n%d", i))
		s.join(id)
		var taken []store.Assignment
		for len(taken) == 0 { // the former run's time has to pass, where that is not known otherwise
			taken = s.take(id, 42)
		}
		if a := taken[0]; a.Epoch.Compare(last.Epoch) <= 0 {
			s.Fatalf("epoch %s follows %s", a.Epoch, last.Epoch)
		}
		if i > 0 {
			if err := s.holds(last, fmt.Sprint("late", i)); !errors.Is(err, store.ErrFenced) {
				s.Errorf("a commit under an epoch of before the restart: %v, want ErrFenced", err)
			}
		}
		last = taken[0]
		st := s.says(beat(id, time.Millisecond))
		if st.Version <= version {
			s.Errorf("version %d follows %d", st.Version, version)
		}
		version = st.Version
		s.reopen()
	}
}
