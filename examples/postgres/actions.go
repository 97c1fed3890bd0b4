package postgres

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
)

type (
	run      = setpoint.Run[DatabaseSpec, DatabaseStatus]
	step     = setpoint.Step[DatabaseSpec, DatabaseStatus]
	action   = setpoint.Action[DatabaseSpec, DatabaseStatus]
	callStep = control.CallStep[ServerSpec, ServerStatus, host.Operation, host.Result]
)

// How long steps are tried, and when people hear of it.
const (
	cutWithin    = 30 * time.Second
	inspectFor   = 15 * time.Second
	inspectWait  = 45 * time.Second
	restartFor   = 2 * time.Minute
	followFor    = 10 * time.Minute
	followWithin = 15 * time.Minute
	switchWithin = 30 * time.Second
	tellAfter    = time.Minute
)

func fleetIn(r *run) fleet { return fleetOf(r.Turn(), r.Object) }

// about decodes what the signals of an action say; a later one overrides an earlier one.
func about[T any](r *run) (v T) {
	for _, s := range r.Signals() {
		if len(s.Payload) == 0 {
			continue
		}
		if err := json.Unmarshal(s.Payload, &v); err != nil {
			r.Refuse("the payload of %s by %s: %v", s.Name, s.By, err)
		}
	}
	return v
}

// promote lets another server be written to, in an order in which there are never two: first nobody can write, then the best of the servers that may have what was
// acknowledged leads. Every acknowledged commit is on the primary and on one of the other members (see members.go); so all of them are asked how far their logs go, and the
// one that is ahead has everything. If one cannot be asked, the promotion fails, and the former primary is let go on. Who the members are does not change meanwhile: the
// compare rests, and no step changes it, whatever becomes of the specification.
var promote = action{Steps: []step{
	setpoint.Set("cut", func(r *run) { fleetIn(r).point("") }),
	setpoint.Wait("isCut", func(r *run) bool { return fleetIn(r).pointed("") }).Within(cutWithin),
	fence(),
	setpoint.Ask("inspect", func(r *run) (keys []setpoint.Key) {
		f := fleetIn(r)
		for _, p := range f.others(f.primary) {
			keys = append(keys, f.key(p))
		}
		return keys
	}, NeedsInspect).Within(inspectWait),
	setpoint.Set("choose", choose),
	// Whom it waits for is settled before it leads, so that it never acknowledges what nobody else has.
	setpoint.Set("appoint", func(r *run) { f := fleetIn(r); f.declare(r.Object.Status.Candidate, r.Object.Status.Candidate) }).
		Undo(func(r *run) { r.Object.Status.Declined = r.Object.Status.Candidate }), // it is not to be tried again and again where another one has as much
	setpoint.Wait("isAppointed", func(r *run) bool {
		s, ok := fleetIn(r).server(r.Object.Status.Candidate)
		return ok && s.Spec.Leads && s.Observed == s.Generation && s.Ready()
	}).Within(cutWithin),
	on("promote", host.Promote, func(r *run) string { return r.Object.Status.Candidate }).Retry(setpoint.Retry{Tell: tellAfter}),
	setpoint.Set("switch", func(r *run) {
		d := &r.Object.Status
		var leads host.Result
		if r.Result("promote", &leads) {
			d.Timeline = leads.Timeline
		}
		d.Primary, d.Candidate, d.Declined = d.Candidate, "", ""
		d.Switched = r.Turn().Now()
		d.Detached = slices.DeleteFunc(slices.Clone(d.Detached), func(p string) bool { return p == d.Primary }) // whoever leads has not left
		f := fleetIn(r)
		for _, p := range f.others(f.primary) {
			f.declare(p, f.primary)
		}
		f.point(f.address(f.primary))
	}),
	isSwitched(),
}}

// on is a step that does something to a part. Its place in the order of what is done to that server is that of all others.
func on(step string, verb host.Verb, part func(*run) string) control.CallStep[DatabaseSpec, DatabaseStatus, host.Operation, host.Result] {
	return setpoint.Call(step, operations, func(r *run) *host.Operation {
		return &host.Operation{Server: fleetIn(r).host(part(r)), Do: verb}
	}).Key(func(r *run) string { return operation(fleetIn(r).host(part(r)), string(verb)) })
}

// fence is the step that ends the writing. It overtakes whatever else is being done to the primary.
func fence() step {
	return setpoint.Call("fence", fences, func(r *run) *host.Operation {
		f := fleetIn(r)
		return &host.Operation{Server: f.host(f.primary), Do: host.Fence}
	}).Key(func(r *run) string { f := fleetIn(r); return operation(f.host(f.primary), string(host.Fence)) }).Undo(unfence).Retry(setpoint.Retry{Tell: tellAfter})
}

// isSwitched waits until the address leads to the new primary, for a while. It does not fail: the new primary leads, so there is nothing to go back to, and to hold up the
// end would keep the former primary from following. The address is held to where it should lead by the compare, which comes with the end; until it leads there, the database is
// not ready, and the endpoint says why.
func isSwitched() step {
	return setpoint.Wait("isSwitched", func(r *run) bool {
		f := fleetIn(r)
		if f.pointed(f.address(f.primary)) {
			return true
		}
		late := r.Turn().Now().Sub(r.Object.Status.Switched) >= switchWithin
		if late {
			r.Turn().Event("AddressBehind", "%s leads, and after %s the address does not lead to it", f.primary, switchWithin)
		}
		return late
	}).Every(switchWithin)
}

// unfence lets the former primary go on, unless another server may lead by now.
func unfence(r *run) *host.Operation {
	f := fleetIn(r)
	if r.Object.Deleting() {
		return nil // all servers go
	}
	if r.Began("promote") {
		r.Refuse("%s may lead already; look at both servers, then raise Retry or Abandon", cmp.Or(r.Object.Status.Candidate, r.Object.Status.Primary))
		return nil
	}
	if r.Began("switch") {
		r.Refuse("%s leads already, and the servers before it go; raise Abandon to leave it so", f.primary)
		return nil
	}
	return &host.Operation{Server: f.host(f.primary), Do: host.Unfence}
}

// choose names the server whose log goes furthest; among equals see [preferred]. One whose log is not in the timeline of the primary's is passed over: a
// later one says that it has led by itself, and an earlier one that it has received nothing since the primary leads.
func choose(r *run) {
	f, line := fleetIn(r), r.Object.Status.Timeline
	want := about[struct {
		To string `json:"to"`
	}](r).To
	var best *Server
	for _, p := range f.others(f.primary) {
		s, ok := f.server(p)
		if !ok {
			r.Refuse("%s is gone, and nobody knows what it had", p)
			return
		}
		if line != 0 && s.Status.Timeline != line {
			r.Turn().Event("CandidateElsewhere", "the log of %s is in timeline %d, and that of the primary in %d", p, s.Status.Timeline, line)
			continue
		}
		if best == nil || preferred(s, best, want, string(f.key(r.Object.Status.Declined).Name)) {
			best, r.Object.Status.Candidate = s, p
		}
	}
	switch {
	case best == nil:
		r.Refuse("there is no server to promote in timeline %d, which is the primary's", line)
	case want != "" && string(best.Name) != want:
		r.Turn().Event("CandidateBehind", "%s was asked for, and %s has more", want, best.Name)
	}
}

// preferred reports whether a is to lead rather than b: the one that has more. Among equals it is the one that was asked for; and whoever could not be made to lead when it was
// tried last leaves it to another one. Who has less is never preferred, so that a promotion whose only candidate refuses fails each time, with the pauses of the engine.
func preferred(a, b *Server, want, declined string) bool {
	switch {
	case ahead(a, b) || ahead(b, a):
		return ahead(a, b)
	case want == string(a.Name) || want == string(b.Name):
		return want == string(a.Name)
	}
	return string(b.Name) == declined
}

// ahead reports whether a's log goes further than b's.
func ahead(a, b *Server) bool {
	if a.Status.Timeline != b.Status.Timeline {
		return a.Status.Timeline > b.Status.Timeline
	}
	x, err := host.Position(a.Status.LSN)
	y, other := host.Position(b.Status.LSN)
	return err == nil && (other != nil || x > y)
}

func all(*Server) bool       { return true }
func pending(s *Server) bool { return len(s.Status.PendingRestart) > 0 }

// restart restarts those servers that need it: first those that follow, then the primary.
func restart(needs func(*Server) bool) action {
	some := func(r *run, fits func(fleet, string) bool) (keys []setpoint.Key) {
		f := fleetIn(r)
		for _, p := range f.parts {
			if s, ok := f.server(p); ok && fits(f, p) && needs(s) {
				keys = append(keys, f.key(p))
			}
		}
		return keys
	}
	return action{Steps: []step{
		setpoint.Ask("replicas", func(r *run) []setpoint.Key {
			return some(r, func(f fleet, p string) bool { return p != f.primary })
		}, NeedsRestart).Within(restartFor * 2),
		setpoint.Ask("primary", func(r *run) []setpoint.Key {
			return some(r, func(f fleet, p string) bool { return p == f.primary })
		}, NeedsRestart).Within(restartFor * 2),
	}}
}

// restoring is the payload of a restoration.
type restoring struct {
	Backup string     `json:"backup"`
	Time   *time.Time `json:"time,omitempty"`
}

// restore makes a new server of a backup, and lets it be written to when it is there; the others are made anew, to follow it.
var restore = action{Steps: []step{
	setpoint.Set("make", func(r *run) {
		want := about[restoring](r)
		f, line := fleetIn(r), r.Object.Status.Line+1
		name := string(r.Object.Namespace) + "/" + want.Backup
		if _, ok := Backups.Get(r.Turn(), setpoint.Name(want.Backup)); !ok {
			r.Refuse("there is no backup %q", want.Backup)
			return
		}
		r.Object.Status.Candidate = serverName(line, 0)
		Servers.Child(f.t, r.Object.Status.Candidate, ServerSpec{
			Leads: true, Parameters: r.Object.Spec.Parameters, Restore: &host.Restore{Backup: name, Time: want.Time},
		})
	}),
	setpoint.Wait("isMade", func(r *run) bool {
		s, ok := fleetIn(r).server(r.Object.Status.Candidate)
		return ok && s.State == Available && s.Ready()
	}).Within(followWithin),
	setpoint.Set("cut", func(r *run) { fleetIn(r).point("") }),
	setpoint.Wait("isCut", func(r *run) bool { return fleetIn(r).pointed("") }).Within(cutWithin),
	fence(),
	setpoint.Set("switch", func(r *run) {
		d := &r.Object.Status
		d.Line, d.Primary, d.Candidate, d.Declined, d.Detached = d.Line+1, d.Candidate, "", "", nil
		d.Members, d.Switched = []string{d.Primary}, r.Turn().Now() // what came after the backup is given up, wherever it is
		f := fleetIn(r)
		if s, ok := f.server(f.primary); ok {
			d.Timeline = s.Status.Timeline
		}
		f.declare(f.primary, f.primary)
		f.point(f.address(f.primary))
	}),
	isSwitched(),
}}
