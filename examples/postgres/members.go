package postgres

import (
	"slices"
	"strconv"
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
//   - whom the primary waits for is a member: [fleet.waited] is a part of the members, and both are written in one commit;
//   - to become one is free: [fleet.join], for what is made and follows. What is still being made has nothing to say, and would only be waited for;
//   - to cease to be one needs a commit that the others have acknowledged after nobody waited for the leaver any more: the log is one sequence, so what was acknowledged
//     because the leaver had it is then on another member. That is how a replica is told to leave (see unfollow), and how it goes when fewer are asked for ([fleet.letGo]);
//   - a promotion changes who leads, and not who the members are: the former primary is one of them. What is asked, chosen from, waited for and told to follow is one set;
//   - a restoration gives up what came after the backup, and so the members with it.

// others are the members except one.
func (f fleet) others(part string) []string {
	return slices.DeleteFunc(slices.Clone(f.d.Status.Members), func(p string) bool { return p == part })
}

// waited are those of whom a leader's commits wait for one: the other members, except who is about to leave.
func (f fleet) waited(leader string) []string {
	return slices.DeleteFunc(f.others(leader), func(p string) bool {
		return slices.Contains(f.d.Status.Detached, p) || slices.Contains(f.leaving, p)
	})
}

// join makes members of the primary, once it is there, of what follows it, and of whom it waits for already.
func (f fleet) join() {
	primary, ok := f.server(f.primary)
	if !ok || primary.Status.Address == "" {
		return
	}
	for _, p := range f.attached() {
		s, there := f.server(p)
		joins := there && (p == f.primary || slices.Contains(primary.Spec.Standbys, f.host(p)) || f.streams(s))
		if joins && !slices.Contains(f.d.Status.Members, p) {
			f.d.Status.Members = append(f.d.Status.Members, p)
		}
	}
}

// streams reports whether a server follows the primary, as far as is known.
func (f fleet) streams(s *Server) bool {
	return s.State == Available && s.Ready() && s.Status.Following != "" && s.Status.Following == f.address(f.primary)
}

// forget makes no member of one from whom nothing is needed any more.
func (f fleet) forget(part string) { f.d.Status.Members = f.others(part) }

// surplus are the members of which there are more than were asked for.
func (f fleet) surplus() []string {
	return slices.DeleteFunc(slices.Clone(f.d.Status.Members), func(p string) bool { return slices.Contains(f.parts, p) })
}

// dispensable are the members that may leave now: the surplus, if it can be spared.
func (f fleet) dispensable() []string {
	if surplus := f.surplus(); f.spares(surplus...) {
		return surplus
	}
	return nil
}

// spares reports whether commits do not stand still without some members: one of those who stay follows at the moment, or nobody is to stay.
func (f fleet) spares(leavers ...string) bool {
	staying := slices.DeleteFunc(f.waited(f.primary), func(p string) bool { return slices.Contains(leavers, p) })
	return len(staying) == 0 || slices.ContainsFunc(staying, func(p string) bool {
		s, ok := f.server(p)
		return ok && f.streams(s)
	})
}

// letGo lets the surplus leave, and reports whether it is gone: when the primary waits for the others only, a commit is made that one of them acknowledges. The commit is of this
// configuration of the primary, and of no other, and of a time in which no action has changed who leads: that is its natural key. Until it is made, the
// surplus is neither changed nor pruned, and a promotion asks it.
func (f fleet) letGo(primary *Server) (waiting setpoint.Outcome, gone bool) {
	surplus := f.surplus()
	if len(surplus) == 0 {
		return setpoint.Done(), true
	}
	waiting = setpoint.Await("Leaving", "what the primary has acknowledged may still be on "+strings.Join(surplus, ", ")+" only")
	if len(f.leaving) > 0 && primary.Ready() && !f.d.Deleting() {
		key := operation(f.host(f.primary), "barrier-"+f.configuration(primary))
		made := operations.Ensure(f.t, key, &host.Operation{Server: f.host(f.primary), Do: host.Barrier})
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

// configuration names that of the primary, since the last action.
func (f fleet) configuration(primary *Server) string {
	last := ""
	if f.d.Last != nil {
		last = "-" + strconv.FormatUint(uint64(f.d.Last.Run), 10)
	}
	return strconv.FormatUint(uint64(primary.Generation), 10) + last
}
