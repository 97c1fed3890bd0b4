package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
)

// # Members
//
// A commit is acknowledged when the primary has it, and one of the standbys that the primary waits for. The rule from which all of this follows, and which each commit to the
// store keeps, is
//
//	every acknowledged commit is on the primary, and on a member besides it, if there is one
//
// and a promotion, which asks all members and needs an answer of each, finds it. So
//
//   - where the primary is the only member, it may have acknowledged alone, and nobody can be promoted;
//   - the first besides it become members in two steps ([fleet.welcome]): those that follow are waited for, and then a commit is made. The log is one sequence: when one
//     of them has that commit, it has what the primary has acknowledged alone before;
//   - whoever follows later is a member at once ([fleet.join]), since commits wait for others already. What is still being made has nothing to say, and would only be waited for;
//   - to cease to be one needs a commit that the others have acknowledged after nobody waited for the leaver any more: what was acknowledged because the leaver had it is
//     then on another member. That is how a replica is told to leave (see unfollow), and how it goes when fewer are asked for ([fleet.letGo]);
//   - when the last ones leave, the primary is alone in the very commit that tells it to wait for nobody, and it must be well then ([fleet.spares]); they are kept until it has heard;
//   - a promotion changes who leads, and not who the members are: the former primary is one of them. What is asked, chosen from, waited for and told to follow is one set;
//   - a restoration gives up what came after the backup, and so the members with it.

// others are the members except one.
func (f fleet) others(part string) []string {
	return slices.DeleteFunc(slices.Clone(f.d.Status.Members), func(p string) bool { return p == part })
}

// waited are those of whom a leader's commits wait for one: the other members, and while there are none, whoever follows and so may become one; except who is about to
// leave.
func (f fleet) waited(leader string) []string {
	who := f.others(leader)
	if len(who) == 0 {
		who = f.streaming()
	}
	return slices.DeleteFunc(who, func(p string) bool { return slices.Contains(f.d.Status.Detached, p) || slices.Contains(f.leaving, p) })
}

// join makes members of the primary, once it is there, and of what follows it while commits wait for others already.
func (f fleet) join() {
	if f.address(f.primary) == "" {
		return
	}
	joins := f.streaming()
	if len(f.others(f.primary)) == 0 {
		joins = nil
	}
	for _, p := range append(joins, f.primary) {
		if !slices.Contains(f.d.Status.Members, p) {
			f.d.Status.Members = append(f.d.Status.Members, p)
		}
	}
}

// welcome makes members of those that the primary waits for, while it is the only one: when it waits, a commit is made that one of them acknowledges. It reports whether there
// is nobody to wait for any more.
func (f fleet) welcome(primary *Server) (waiting setpoint.Outcome, in bool) {
	joining := f.waited(f.primary)
	if len(joining) == 0 || len(f.others(f.primary)) > 0 || f.d.Deleting() {
		return setpoint.Done(), true
	}
	if !primary.Ready() {
		return setpoint.Await("Joining", "commits are to wait for "+strings.Join(joining, ", ")), false
	}
	made := f.barrier(primary)
	if made.Done() {
		f.d.Status.Members = append(f.d.Status.Members, joining...)
	}
	return made.Outcome(), made.Done()
}

// barrier is the effect "a commit under this configuration of the primary".
func (f fleet) barrier(primary *Server) setpoint.Effect[host.Result] {
	key := operation(f.host(f.primary), "barrier-"+f.configuration(primary))
	return operations.Ensure(f.t, key, &host.Operation{Server: f.host(f.primary), Do: host.Barrier})
}

// streaming are those that have not been told to leave the primary, and follow it.
func (f fleet) streaming() []string {
	return slices.DeleteFunc(f.attached(), func(p string) bool {
		s, there := f.server(p)
		return p == f.primary || !there || !f.streams(s)
	})
}

// streams reports whether a server follows the primary, as far as is known.
func (f fleet) streams(s *Server) bool {
	return s.State == Available && s.Ready() && s.Status.Following != "" && s.Status.Following == f.address(f.primary)
}

// forget makes no member of one from whom nothing is needed any more.
func (f fleet) forget(part string) { f.d.Status.Members = f.others(part) }

// alone makes the primary the only member when it is to wait for nobody any more: from then on it acknowledges alone.
func (f fleet) alone() {
	if len(f.waited(f.primary)) > 0 {
		return
	}
	for _, p := range f.others(f.primary) {
		f.forget(p)
	}
}

// surplus are the servers of which there are more than were asked for, members or not.
func (f fleet) surplus() (all []string) {
	for i := range maxReplicas + 1 {
		p := serverName(max(1, f.d.Status.Line), i)
		if _, there := f.server(p); !slices.Contains(f.parts, p) && (there || slices.Contains(f.d.Status.Members, p)) {
			all = append(all, p)
		}
	}
	return all
}

// dispensable are the servers that may leave now: the surplus, if it can be spared.
func (f fleet) dispensable() []string {
	if surplus := f.surplus(); f.spares(surplus...) {
		return surplus
	}
	return nil
}

// spares reports whether nothing is lost and commits do not stand still without some servers: one of those who stay follows at the moment; or nobody is to stay, and the
// primary, which has everything, is well.
func (f fleet) spares(leavers ...string) bool {
	staying := slices.DeleteFunc(f.waited(f.primary), func(p string) bool { return slices.Contains(leavers, p) })
	if len(staying) == 0 {
		primary, ok := f.server(f.primary)
		return ok && primary.State == Available && primary.Ready()
	}
	return slices.ContainsFunc(staying, func(p string) bool {
		s, ok := f.server(p)
		return ok && f.streams(s)
	})
}

// letGo lets the surplus leave, and reports whether it is gone: when the primary waits for the others only, a commit is made that one of them acknowledges. The commit is of this
// configuration of the primary, and of no other: that is its natural key. Until it is made, the
// surplus is neither changed nor pruned, and a promotion asks it.
func (f fleet) letGo(primary *Server) (waiting setpoint.Outcome, gone bool) {
	surplus := f.surplus()
	if len(surplus) == 0 {
		return setpoint.Done(), true
	}
	waiting = setpoint.Await("Leaving", "what the primary has acknowledged may still be on "+strings.Join(surplus, ", ")+" only")
	member := slices.ContainsFunc(surplus, func(p string) bool { return slices.Contains(f.d.Status.Members, p) })
	switch {
	case f.d.Deleting():
		gone = true // with all others
	case !primary.Ready():
	case !member:
		gone = true
	case len(f.leaving) > 0:
		made := f.barrier(primary)
		waiting, gone = made.Outcome(), made.Done()
	}
	for _, p := range surplus {
		if gone {
			f.forget(p)
		} else {
			Servers.Hold(f.t, p)
		}
	}
	return waiting, gone
}

// configuration names that of the primary, in the log that it writes: a promotion begins another one.
func (f fleet) configuration(primary *Server) string {
	return fmt.Sprintf("%d-%d", primary.Generation, f.d.Status.Timeline)
}
