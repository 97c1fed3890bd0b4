package postgres

import (
	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
)

// servers is the way to the host agents.
var servers = setpoint.Endpoint[host.ServerRequest, host.Result]{Adapter: "hosts"}

// operations is the same way, for what is done to a server.
var operations = setpoint.Endpoint[host.Operation, host.Result]{Adapter: "hosts"}

type serverRun = setpoint.Run[ServerSpec, ServerStatus]

// serverDecider keeps a server as it should be, and moves it as its table says.
func serverDecider(s Secrets) setpoint.Decider[ServerSpec, ServerStatus] {
	return setpoint.Decider[ServerSpec, ServerStatus]{
		Compare: func(t *setpoint.Turn, v *Server) setpoint.Outcome { return compareServer(t, v, s) },
		Guards: map[setpoint.GuardName]func(*setpoint.Turn, *Server) bool{
			"leads":   func(_ *setpoint.Turn, v *Server) bool { return v.Spec.Leads },
			"follows": func(_ *setpoint.Turn, v *Server) bool { return !v.Spec.Leads && v.Spec.Upstream != "" },
			"made":    func(_ *setpoint.Turn, v *Server) bool { return v.Status.Address != "" },
			"silent":  silent,
		},
		Actions: map[setpoint.ActionName]setpoint.Action[ServerSpec, ServerStatus]{
			"Doubt": {}, "Trust": {}, "GiveUp": {},
			"Inspect": {Steps: []setpoint.Step[ServerSpec, ServerStatus]{
				operate("ask", host.Inspect).Retry(setpoint.Retry{For: inspectFor}),
				setpoint.Set("note", func(r *serverRun) { note(r, "ask") }),
			}},
			"Restart": {Steps: []setpoint.Step[ServerSpec, ServerStatus]{
				operate("restart", host.Restart).Retry(setpoint.Retry{For: restartFor, Tell: tellAfter}),
				setpoint.Set("note", func(r *serverRun) { note(r, "restart") }),
			}},
			"Follow": {Steps: []setpoint.Step[ServerSpec, ServerStatus]{
				// What it is to follow is decided once, and stored with the step.
				setpoint.Set("choose", func(r *serverRun) { r.Object.Status.Following = r.Object.Spec.Upstream }),
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
	})
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

// silent reports whether the latest of the check-in signals says that the server does not answer.
func silent(t *setpoint.Turn, _ *Server) bool {
	last := setpoint.SignalName("")
	for _, s := range t.Signals() {
		if s.Name == Missed || s.Name == Seen {
			last = s.Name
		}
	}
	return last == Missed
}

// compareServer wishes for the server, for who it waits for when it leads, and for another upstream when it follows another than it should.
func compareServer(t *setpoint.Turn, v *Server, s Secrets) setpoint.Outcome {
	if v.Status.Made == nil {
		v.Status.Made = &Making{Role: host.Standby, Upstream: v.Spec.Upstream}
		if v.Spec.Leads || v.Spec.Restore != nil {
			v.Status.Made = &Making{Role: host.Primary}
		}
		v.Status.Following = v.Status.Made.Upstream
	}
	made := servers.Ensure(t, t.NaturalKey(), &host.ServerRequest{
		Role: v.Status.Made.Role, Upstream: v.Status.Made.Upstream, Parameters: v.Spec.Parameters, Restore: v.Spec.Restore,
		Replication: s.replication(v),
	})
	if !made.Done() || v.Deleting() {
		return made.Outcome()
	}
	v.Status.Address, v.Status.PendingRestart = made.Result.Address, made.Result.PendingRestart
	outcome := made.Outcome()
	if v.Spec.Leads {
		outcome = operations.Ensure(t, t.NaturalKey()+"/synchronous", &host.Operation{
			Server: t.NaturalKey(), Do: host.Synchronous, Standbys: v.Spec.Standbys,
		}).Outcome()
		v.Status.Following = ""
	} else if v.Spec.Upstream == "" {
		v.Status.Following = "" // it stands alone: to follow again, even the same server, is an action
	} else if v.Spec.Upstream != v.Status.Following {
		t.Raise(v.Key, NeedsFollow, nil, setpoint.Because("it follows %s and should follow %s", v.Status.Following, v.Spec.Upstream))
		outcome = setpoint.Await("FollowsAnother", "it is to follow "+v.Spec.Upstream)
	}
	if v.State == Provisioning {
		t.Transition(Available, "Made")
	} else if v.State != Available && outcome.AtRest() {
		outcome = setpoint.Await("NotAnswering", "it does not answer check-ins")
	}
	return outcome
}
