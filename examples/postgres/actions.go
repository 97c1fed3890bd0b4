package postgres

import (
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
// acknowledged leads. Every acknowledged commit is on the primary and on one of those that follow it; so all of them are asked how far their logs go, and the one that is ahead
// has everything. If one cannot be asked, the promotion fails, and the former primary is let go on.
var promote = action{Steps: []step{
	setpoint.Set("cut", func(r *run) { fleetIn(r).point("") }),
	setpoint.Wait("isCut", func(r *run) bool { return fleetIn(r).pointed("") }).Within(cutWithin),
	setpoint.Call("fence", operations, func(r *run) *host.Operation {
		f := fleetIn(r)
		return &host.Operation{Server: f.host(f.primary), Do: host.Fence}
	}).Key(func(r *run) string { f := fleetIn(r); return f.host(f.primary) + "/fence" }).Undo(unfence).Retry(setpoint.Retry{Tell: tellAfter}),
	setpoint.Ask("inspect", func(r *run) (keys []setpoint.Key) {
		f := fleetIn(r)
		for _, p := range f.others(f.primary) {
			keys = append(keys, f.key(p))
		}
		return keys
	}, NeedsInspect).Within(inspectWait),
	setpoint.Set("choose", choose),
	// Whom it waits for is settled before it leads, so that it never acknowledges what nobody else has.
	setpoint.Set("appoint", func(r *run) { f := fleetIn(r); f.declare(r.Object.Status.Candidate, r.Object.Status.Candidate) }),
	setpoint.Wait("isAppointed", func(r *run) bool {
		s, ok := fleetIn(r).server(r.Object.Status.Candidate)
		return ok && s.Spec.Leads && s.Observed == s.Generation && s.Ready()
	}).Within(cutWithin),
	setpoint.Call("promote", operations, func(r *run) *host.Operation {
		return &host.Operation{Server: fleetIn(r).host(r.Object.Status.Candidate), Do: host.Promote}
	}).Retry(setpoint.Retry{Tell: tellAfter}),
	setpoint.Set("switch", func(r *run) {
		d := &r.Object.Status
		d.Primary, d.Candidate = d.Candidate, ""
		f := fleetIn(r)
		for _, p := range f.others(f.primary) {
			f.declare(p, f.primary)
		}
		f.point(f.address(f.primary))
	}),
	setpoint.Wait("isSwitched", func(r *run) bool { f := fleetIn(r); return f.pointed(f.address(f.primary)) }),
}}

// unfence lets the former primary go on, unless another server may lead by now.
func unfence(r *run) *host.Operation {
	f := fleetIn(r)
	if r.Object.Deleting() {
		return nil // all servers go
	}
	if r.Began("promote") {
		r.Refuse("%s may lead already; look at both servers, then raise Retry or Abandon", r.Object.Status.Candidate)
		return nil
	}
	return &host.Operation{Server: f.host(f.primary), Do: host.Unfence}
}

// choose names the server whose log goes furthest; among equals the one that was asked for.
func choose(r *run) {
	f := fleetIn(r)
	want := about[struct {
		To string `json:"to"`
	}](r).To
	var best *Server
	for _, p := range f.others(f.primary) {
		s, ok := f.server(p)
		if !ok {
			continue
		}
		if best == nil || ahead(s, best) || !ahead(best, s) && string(s.Name) == want {
			best, r.Object.Status.Candidate = s, p
		}
	}
	switch {
	case best == nil:
		r.Refuse("there is no server to promote")
	case want != "" && string(best.Name) != want:
		r.Turn().Event("CandidateBehind", "%s was asked for, and %s has more", want, best.Name)
	}
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

// which is the payload of signals about one server.
type which struct {
	Server string `json:"server"`
}

// subject is the part that the signals of an action are about.
func subject(r *run, fits func(fleet, string) bool) string {
	f, want := fleetIn(r), about[which](r).Server
	for _, p := range f.parts {
		if p != f.primary && fits(f, p) && (want == "" || want == p || want == string(f.key(p).Name)) {
			return p
		}
	}
	r.Refuse("there is no such replica: %q", want)
	return ""
}

func detached(f fleet, p string) bool  { return slices.Contains(f.d.Status.Detached, p) }
func following(f fleet, p string) bool { return !detached(f, p) }

// unfollow lets a replica stand alone. First nobody waits for it any more, then one commit is waited for: what was acknowledged because this server had it is
// then on another one too.
var unfollow = action{Steps: []step{
	setpoint.Set("exclude", func(r *run) {
		if p := subject(r, following); p != "" {
			r.Object.Status.Candidate = p
			r.Object.Status.Detached = append(r.Object.Status.Detached, p)
			f := fleetIn(r)
			f.declare(f.primary, f.primary)
		}
	}).Undo(readmit),
	setpoint.Wait("isExcluded", settled).Within(cutWithin),
	setpoint.Call("barrier", operations, func(r *run) *host.Operation {
		f := fleetIn(r)
		return &host.Operation{Server: f.host(f.primary), Do: host.Barrier}
	}).Retry(setpoint.Retry{For: restartFor}),
	// It is told not to follow before it stops: whatever becomes of the next step, to follow again is then an action.
	setpoint.Set("release", func(r *run) { f := fleetIn(r); f.declare(r.Object.Status.Candidate, f.primary) }),
	setpoint.Wait("isReleased", func(r *run) bool {
		s, ok := fleetIn(r).server(r.Object.Status.Candidate)
		return ok && s.Ready() && s.Spec.Upstream == "" && s.Status.Following == ""
	}).Within(cutWithin),
	setpoint.Call("unfollow", operations, func(r *run) *host.Operation {
		return &host.Operation{Server: fleetIn(r).host(r.Object.Status.Candidate), Do: host.Unfollow}
	}).Retry(setpoint.Retry{For: restartFor}),
	setpoint.Set("forget", func(r *run) { r.Object.Status.Candidate = "" }),
}}

// readmit takes back a replica that could not leave. If it left all the same, it is made to follow again.
func readmit(r *run) {
	p := r.Object.Status.Candidate
	r.Object.Status.Detached = slices.DeleteFunc(slices.Clone(r.Object.Status.Detached), func(x string) bool { return x == p })
	r.Object.Status.Candidate = ""
}

// settled reports whether the primary waits for those whom its specification names.
func settled(r *run) bool {
	f := fleetIn(r)
	s, ok := f.server(f.primary)
	return ok && s.Ready()
}

// follow takes a replica back.
var follow = action{Steps: []step{
	setpoint.Set("include", func(r *run) {
		p := subject(r, detached)
		if p == "" {
			return
		}
		r.Object.Status.Candidate = p
		r.Object.Status.Detached = slices.DeleteFunc(slices.Clone(r.Object.Status.Detached), func(x string) bool { return x == p })
		f := fleetIn(r)
		f.declare(p, f.primary)
	}),
	setpoint.Wait("isFollowing", func(r *run) bool {
		s, ok := fleetIn(r).server(r.Object.Status.Candidate)
		return ok && s.Ready() && s.Status.Following == s.Spec.Upstream
	}).Within(followWithin),
	setpoint.Set("forget", func(r *run) { r.Object.Status.Candidate = "" }),
}}

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
	setpoint.Call("fence", operations, func(r *run) *host.Operation {
		f := fleetIn(r)
		return &host.Operation{Server: f.host(f.primary), Do: host.Fence}
	}).Key(func(r *run) string { f := fleetIn(r); return f.host(f.primary) + "/fence" }).Undo(unfence).Retry(setpoint.Retry{Tell: tellAfter}),
	setpoint.Set("switch", func(r *run) {
		d := &r.Object.Status
		d.Line, d.Primary, d.Candidate, d.Detached = d.Line+1, d.Candidate, "", nil
		f := fleetIn(r)
		f.declare(f.primary, f.primary)
		f.point(f.address(f.primary))
	}),
	setpoint.Wait("isSwitched", func(r *run) bool { f := fleetIn(r); return f.pointed(f.address(f.primary)) }),
}}
