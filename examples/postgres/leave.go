package postgres

import (
	"slices"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
)

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
// then on another one too. The last one leaves a primary that acknowledges alone from then on.
var unfollow = action{Steps: []step{
	// Without another one that follows nothing could be committed. One that is only just coming back is waited for.
	setpoint.Wait("anotherFollows", func(r *run) bool {
		p := subject(r, following)
		return p != "" && fleetIn(r).spares(p)
	}).Within(cutWithin),
	setpoint.Set("exclude", func(r *run) {
		p, f := subject(r, following), fleetIn(r)
		if p == "" {
			return
		}
		if !f.spares(p) { // whoever was to stay has died since
			r.Refuse("%s cannot be spared: nobody else follows, and the primary does not answer", p)
			return
		}
		r.Object.Status.Candidate = p
		r.Object.Status.Detached = append(r.Object.Status.Detached, p)
		f.alone()
		f.declare(f.primary, f.primary)
	}).Undo(readmit),
	setpoint.Wait("isExcluded", settled).Within(cutWithin),
	on("barrier", host.Barrier, func(r *run) string { return fleetIn(r).primary }).Retry(setpoint.Retry{For: restartFor}),
	// It is told not to follow before it stops: whatever becomes of the next step, to follow again is then an action.
	setpoint.Set("release", func(r *run) {
		f := fleetIn(r)
		f.forget(r.Object.Status.Candidate)
		f.declare(r.Object.Status.Candidate, f.primary)
	}),
	setpoint.Wait("isReleased", func(r *run) bool {
		s, ok := fleetIn(r).server(r.Object.Status.Candidate)
		return ok && s.Ready() && s.Spec.Upstream == "" && s.Status.Following == ""
	}).Within(cutWithin),
	on("unfollow", host.Unfollow, func(r *run) string { return r.Object.Status.Candidate }).Retry(setpoint.Retry{For: restartFor}),
	setpoint.Set("forget", func(r *run) { r.Object.Status.Candidate = "" }),
}}

// readmit takes back a replica that could not leave. If it left all the same, it is made to follow again; it is a member again when it does.
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
		f := fleetIn(r)
		if primary, ok := f.server(f.primary); !ok || primary.State == Unavailable {
			r.Refuse("%s does not answer, and there is nobody to follow: who leads is to be decided first", f.primary)
			return false
		}
		s, ok := f.server(r.Object.Status.Candidate)
		return ok && s.Ready() && s.Status.Following == s.Spec.Upstream
	}).Within(followWithin),
	setpoint.Set("forget", func(r *run) { r.Object.Status.Candidate = "" }),
}}
