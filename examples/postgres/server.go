package postgres

import (
	"slices"
	"strings"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
)

// servers is the way to the host agents.
var servers = setpoint.Endpoint[host.ServerRequest, host.Result]{Adapter: "hosts"}

// operations is the same way, for what is done to a server. Its keys are those of [operation], and one unit of order has all that is done to a server, and the making
// of it: so what was decided later is done later, whoever has decided it.
var operations = setpoint.Endpoint[host.Operation, host.Result]{Adapter: "hosts", Unit: serverOf}

// fences is the way of what does not wait for anything else that is done to a server: a fence, and the end of it.
var fences = setpoint.Endpoint[host.Operation, host.Result]{Adapter: "hosts"}

// operation is the natural key of what is done to a server, by its name at the host.
func operation(server, what string) string { return server + "/" + what }

// serverOf is the server that the key of an operation is about.
func serverOf(operation string) string {
	return operation[:max(0, strings.LastIndexByte(operation, '/'))]
}

type serverRun = setpoint.Run[ServerSpec, ServerStatus]

// serverDecider keeps a server as it should be, and moves it as its table says.
func serverDecider(s Secrets) setpoint.Decider[ServerSpec, ServerStatus] {
	return setpoint.Decider[ServerSpec, ServerStatus]{
		Compare: func(t *setpoint.Turn, v *Server) setpoint.Outcome { return compareServer(t, v, s) },
		Guards: map[setpoint.GuardName]func(*setpoint.Turn, *Server) bool{
			"leads":    func(_ *setpoint.Turn, v *Server) bool { return v.Spec.Leads },
			"follows":  func(_ *setpoint.Turn, v *Server) bool { return follows(v) },
			"silent":   func(t *setpoint.Turn, _ *Server) bool { return latest(t, Missed, Seen) == Missed },
			"afloat":   func(t *setpoint.Turn, _ *Server) bool { return latest(t, Missed, Adrift, Seen) == Seen },
			"joinable": joinable,
		},
		Actions: map[setpoint.ActionName]setpoint.Action[ServerSpec, ServerStatus]{
			"Doubt": {}, "Trust": {}, "GiveUp": {},
			"Inspect": {Steps: []setpoint.Step[ServerSpec, ServerStatus]{
				operate("ask", host.Inspect).Retry(setpoint.Retry{For: inspectFor}),
				setpoint.Set("note", func(r *serverRun) {
					r.Object.Status.LSN, r.Object.Status.Timeline = "", 0 // of one that cannot say, nothing is known
					note(r, "ask")
				}),
			}},
			"Restart": {Steps: []setpoint.Step[ServerSpec, ServerStatus]{
				operate("restart", host.Restart).Retry(setpoint.Retry{For: restartFor, Tell: tellAfter}),
				setpoint.Set("note", func(r *serverRun) { note(r, "restart") }),
			}},
			"Follow": {Steps: []setpoint.Step[ServerSpec, ServerStatus]{
				// What it is to follow is decided once, and stored with the step.
				setpoint.Set("choose", func(r *serverRun) { r.Object.Status.Following = r.Object.Spec.Upstream }).
					Undo(func(r *serverRun) { r.Object.Status.Following = "" }), // nobody knows whom it follows: to follow is asked for again
				operate("follow", host.Follow).Retry(setpoint.Retry{For: followFor, Tell: tellAfter}),
				setpoint.Set("note", func(r *serverRun) { note(r, "follow") }),
			}},
		},
	}
}

// operate is a step that does something to the server.
func operate(step string, verb host.Verb) callStep {
	return setpoint.Call(step, operations, func(r *serverRun) *host.Operation {
		o := &host.Operation{Server: r.Turn().NaturalKey(), Do: verb}
		if verb == host.Follow {
			o.Upstream = r.Object.Status.Following
		}
		return o
	}).Key(func(r *serverRun) string { return operation(r.Turn().NaturalKey(), string(verb)) })
}

// note keeps what an operation has answered.
func note(r *serverRun, step string) {
	var result host.Result
	if r.Result(step, &result) {
		r.Object.Status.take(result)
	}
}

func (s *ServerStatus) take(r host.Result) {
	s.PendingRestart = r.PendingRestart
	if r.Address != "" {
		s.Address = r.Address
	}
	if r.LSN != "" {
		s.LSN, s.Timeline = r.LSN, r.Timeline
	}
}

// latest is that of some signals which was raised last, "" when none stands.
func latest(t *setpoint.Turn, of ...setpoint.SignalName) (last setpoint.SignalName) {
	for _, s := range t.Signals() {
		if slices.Contains(of, s.Name) {
			last = s.Name
		}
	}
	return last
}

func follows(v *Server) bool { return !v.Spec.Leads && v.Spec.Upstream != "" }

// joinable reports whether a server that receives nothing can be made to: whom it is to follow answers, and it is not being decided who leads. To be told to follow what
// is dead would take long, and who has to be asked how far its log goes must have time.
func joinable(t *setpoint.Turn, v *Server) bool {
	owner, ok := v.Owner()
	if !ok || !follows(v) {
		return false
	}
	d, ok := Databases.Get(t, owner.Key.Name)
	if !ok || d.State == Promoting || d.State == Restoring {
		return false
	}
	f := fleetOf(t, d)
	leader, ok := f.server(f.primary)
	return ok && leader.State == Available && leader.Status.Address == v.Spec.Upstream
}

// settleMaking decides how the server is made: when it is first wished for, and, as long as it is not there, again when another one is to be followed, since it
// could not be copied from one that is gone.
func settleMaking(v *Server) {
	m := v.Status.Made
	switch {
	case m == nil && (v.Spec.Leads || v.Spec.Restore != nil):
		v.Status.Made = &Making{Role: host.Primary}
	case m == nil, v.Status.Address == "" && m.Role == host.Standby && follows(v):
		v.Status.Made = &Making{Role: host.Standby, Upstream: v.Spec.Upstream}
		v.Status.Following = v.Spec.Upstream
	}
}

// compareServer wishes for the server, for who it waits for when it leads, and for another upstream when it follows another than it should.
func compareServer(t *setpoint.Turn, v *Server, s Secrets) setpoint.Outcome {
	settleMaking(v)
	made := servers.Ensure(t, t.NaturalKey(), &host.ServerRequest{
		Role: v.Status.Made.Role, Upstream: v.Status.Made.Upstream, Parameters: v.Spec.Parameters, Restore: v.Spec.Restore,
		Replication: s.replication(v),
	})
	if !made.Done() || v.Deleting() {
		return made.Outcome()
	}
	v.Status.Address, v.Status.PendingRestart = made.Result.Address, made.Result.PendingRestart
	if v.State == Provisioning {
		v.Status.Timeline = made.Result.Timeline
	}
	outcome := made.Outcome()
	if v.Spec.Leads {
		outcome = operations.Ensure(t, operation(t.NaturalKey(), "synchronous"), &host.Operation{
			Server: t.NaturalKey(), Do: host.Synchronous, Standbys: v.Spec.Standbys,
		}).Outcome()
		v.Status.Following = ""
	} else if v.Spec.Upstream == "" {
		v.Status.Following = "" // it stands alone: to follow again, even the same server, is an action
	} else if v.Spec.Upstream != v.Status.Following {
		t.Raise(v.Key, NeedsFollow, nil, setpoint.Because("it follows %s and should follow %s", v.Status.Following, v.Spec.Upstream))
		outcome = setpoint.Await("FollowsAnother", "it is to follow "+v.Spec.Upstream)
	} else if latest(t, Adrift, Seen) == Adrift {
		outcome = setpoint.Await("Adrift", "it receives nothing from "+v.Spec.Upstream)
	}
	if v.State == Provisioning {
		t.Transition(Available, "Made")
	} else if v.State != Available && outcome.AtRest() {
		outcome = setpoint.Await("NotAnswering", "it does not answer check-ins")
	}
	return outcome
}
