package postgres

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/endpoint"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

// askedInTime reports whether a signal was raised where it can be served, or waited for.
func (e *ending) askedInTime(name setpoint.SignalName) bool {
	return slices.ContainsFunc(e.Raised, func(r setpointtest.Raised) bool {
		switch {
		case r.Name != name || r.Refused:
			return false
		case name == NeedsPromote:
			return r.State != Provisioning
		case name == NeedsUnfollow:
			return r.State != Provisioning && r.State != Uncertain && r.State != Unavailable
		}
		return true
	})
}

func (e *ending) wanted() string {
	followed := e.replicas > 0
	unavailable := e.State == Unavailable || slices.ContainsFunc(e.Path, func(m setpointtest.Move) bool { return m.To == Unavailable })
	for _, want := range []struct {
		action decide.ActionName
		by     []setpoint.SignalName
		itself bool
	}{
		{"Promote", []setpoint.SignalName{NeedsPromote}, true},
		{"Restart", []setpoint.SignalName{NeedsRestart}, !followed || len(e.Ended("Restore")) > 0},
		{"Unfollow", []setpoint.SignalName{NeedsUnfollow}, false},
		{"Follow", []setpoint.SignalName{NeedsFollow}, false},
		{"Apply", []setpoint.SignalName{NeedsParameters}, false},
		{"Restore", []setpoint.SignalName{NeedsRestore}, false},
	} {
		asked := want.itself && (unavailable || e.askedInTime(NeedsPromote))
		for _, s := range want.by {
			asked = asked || e.askedInTime(s)
		}
		ended := e.Ended(want.action)
		if want.action == "Promote" && !followed && len(ended) > 0 {
			return fmt.Sprintf("Promote ended as %v, and nobody follows", ended)
		}
		if len(ended) > 0 && !asked {
			return fmt.Sprintf("%s ended as %v, and nobody had asked for it", want.action, ended)
		}
	}
	if e.asked(NeedsPromote) == 0 && slices.ContainsFunc(e.Path, func(m setpointtest.Move) bool { return m.From == Available && m.To == Promoting }) {
		return "only the clock had asked for a promotion, and the primary answered when it began"
	}
	return ""
}

func (e *ending) served() string {
	if len(e.twisted()) > 0 || !e.settled() {
		return ""
	}
	if len(e.Standing) > 0 {
		return fmt.Sprintf("it is settled, and %v stand", e.Standing)
	}
	for signal, actions := range map[setpoint.SignalName][]decide.ActionName{
		NeedsRestore: {"Restore"}, NeedsRestart: {"Restart"}, NeedsParameters: {"Apply"}, NeedsFollow: {"Follow"},
		NeedsPromote: {"Promote", "Restart"}, NeedsUnfollow: {"Unfollow"},
	} {
		ended := 0
		for _, a := range actions {
			ended += len(e.Ended(a))
		}
		ignored := signal == NeedsPromote && e.State == Provisioning || signal == NeedsUnfollow && e.State != Available
		if e.asked(signal) > 0 && !ignored && ended == 0 {
			return fmt.Sprintf("%s was raised in %s, and led to %d actions", signal, e.State, ended)
		}
	}
	return ""
}

// patient reports whether nothing can go on or back without a call: it is repeated without end, and people are told.
func patient(key string) bool {
	return strings.HasSuffix(key, "/fence") || strings.HasSuffix(key, "/promote")
}

func (e *ending) bounded() string {
	if len(e.Orders) > 0 || len(e.Results) != 1 || e.Results[0].Result != setpointtest.ResultAway {
		return ""
	}
	key := e.Results[0].Key
	for i, r := range e.Runs {
		action := decide.ActionName(r.Name)
		switch called := slices.ContainsFunc(e.Calls, func(m setpointtest.Made) bool {
			return m.Key == key && m.Action == action && m.Result == setpointtest.ResultAway
		}); {
		case !called:
		case patient(key) && e.Took[i] > 10*time.Minute && !slices.Contains(e.Told, action):
			return fmt.Sprintf("%s took %s for %s, and nobody was told", action, e.Took[i], key)
		case !patient(key) && e.Took[i] > 40*time.Minute:
			return fmt.Sprintf("%s took %s for %s", action, e.Took[i], key)
		}
	}
	return ""
}

// together are signals that exclude each other.
var together = [][2]setpoint.SignalName{{NeedsUnfollow, NeedsFollow}, {NeedsUnfollow, NeedsPromote}, {NeedsUnfollow, NeedsRestore}}

func (e *ending) refused() string {
	for _, r := range e.Raised {
		excluded := slices.ContainsFunc(together, func(pair [2]setpoint.SignalName) bool {
			return r.Name == pair[0] && slices.Contains(r.Beside, pair[1]) || r.Name == pair[1] && slices.Contains(r.Beside, pair[0])
		})
		if excluded != r.Refused && r.State != Deprovisioning {
			return fmt.Sprintf("in %s %s beside %v was refused: %t", r.State, r.Name, r.Beside, r.Refused)
		}
	}
	return ""
}

// ways are the states that actions go through, and come to when they fail.
var ways = map[decide.ActionName]struct{ via, failed setpoint.State }{
	"Promote": {Promoting, Unavailable}, "Unfollow": {Unfollowing, Available}, "Follow": {Following, Available},
	"Restart": {Restarting, Unavailable}, "Apply": {Restarting, Unavailable}, "Restore": {Restoring, Unavailable},
}

func (e *ending) through() string {
	for name, way := range ways {
		begun, deleted := 0, e.Gone || e.Object.Deleting()
		for _, m := range e.Path {
			switch {
			case m.Reason == string(name) && m.To == way.via:
				begun++
			case m.Reason == string(name)+"Succeeded" && m.To != Available, m.Reason == string(name)+"Failed" && m.To != way.failed:
				return fmt.Sprintf("%s led to %s", m.Reason, m.To)
			}
		}
		if ended := len(e.Ended(name)); ended > begun && !deleted {
			return fmt.Sprintf("%s ended %d times, and went through %s %d times", name, ended, way.via, begun)
		}
	}
	return ""
}

func (e *ending) well() string {
	if len(e.twisted()) > 0 {
		return ""
	}
	if !e.settled() {
		return fmt.Sprintf("it is %s, with %+v", e.Object.State, e.Object.Waits)
	}
	for _, r := range e.Runs {
		if r.Outcome != resource.OutcomeSucceeded && (r.Name != "Follow" && r.Name != "Unfollow" || e.able(r.Name)) && r.Outcome != resource.OutcomePreempted {
			return fmt.Sprintf("%s ended as %s: %s", r.Name, r.Outcome, r.Message)
		}
	}
	return ""
}

// able reports whether there is a replica that can leave, or follow again.
func (e *ending) able(action string) bool {
	left := e.left != "" && e.State != Provisioning && len(e.Ended("Restore")) == 0
	return action == "Unfollow" && e.replicas > 0 && !left || action == "Follow" && left
}

func (e *ending) keyed() string {
	for _, m := range e.Calls {
		var o host.Operation
		if err := json.Unmarshal(m.Request, &o); err == nil && verbs[o.Do].do != nil && !strings.HasPrefix(m.Key, o.Server+"/"+strings.TrimPrefix(string(o.Do), "un")) && m.Key != o.Server+"/unfollow" {
			return fmt.Sprintf("%s %s has the key %s", o.Do, o.Server, m.Key)
		}
	}
	return ""
}

// firstCall is the place of the first call that fits, -1 when there is none.
func (e *ending) firstCall(fits func(setpointtest.Made) bool) int {
	return slices.IndexFunc(e.Calls, fits)
}

func (e *ending) inTime() string {
	done := func(key string) func(setpointtest.Made) bool {
		return func(m setpointtest.Made) bool {
			return m.Key == key && (m.Outcome == command.OutcomeDone || m.Result == setpointtest.ResultUnanswered)
		}
	}
	cut := e.firstCall(func(m setpointtest.Made) bool {
		return m.Key == "default/it.rw" && m.Action == "Restore" && string(m.Request) == `{"backend":""}`
	})
	told := e.firstCall(func(m setpointtest.Made) bool { return m.Key == "default/it.s1-2/unfollow" && m.Request != nil })
	following := e.firstCall(func(m setpointtest.Made) bool {
		return m.Action == "Follow" && done("default/it.s1-2/follow")(m)
	})
	made, settled := e.firstCall(done("default/it.s2-0")), e.firstCall(done("default/it.s1-2"))
	excluded := e.firstCall(func(m setpointtest.Made) bool {
		return m.Key == "default/it.s1-0/synchronous" && m.Action == "Unfollow" && !strings.Contains(string(m.Request), ".s1-2")
	})
	staying := e.firstCall(done("default/it.s1-1"))
	switch {
	case excluded >= 0 && e.left == "" && (staying < 0 || staying > excluded):
		return "a replica was let go while no other one was known to follow"
	case cut >= 0 && (made < 0 || made > cut):
		return "clients were cut off for a restoration of which nothing was there"
	case told >= 0 && (settled < 0 || settled > told):
		return "a replica was told to leave that had not heard that it is not to follow"
	case e.succeeded("Follow") > 0 && e.able("Follow") && following < 0:
		return "a replica was said to follow, and had not been told to"
	case len(e.Ended("Unfollow")) > 0 && e.left == "" && told < 0 && len(e.Runs) == 1 && len(e.Orders) == 0 && e.first("follow s1-2") >= 0:
		return "a replica that was not told to leave had to be told to follow"
	}
	return ""
}

func (e *ending) ledOn() string {
	for _, action := range []decide.ActionName{"Promote", "Restore"} {
		led := 0
		for _, m := range e.Calls {
			var q endpoint.Request
			if m.Key == "default/it.rw" && m.Action == action && json.Unmarshal(m.Request, &q) == nil && q.Backend != "" && m.Outcome == command.OutcomeDone {
				led++
			}
		}
		if n := e.succeeded(action); n > led && len(e.twisted()) == 0 {
			return fmt.Sprintf("%s succeeded %d times, and clients were led on %d times", action, n, led)
		}
	}
	return ""
}

func (e *ending) yielded() string {
	urgent := slices.ContainsFunc(e.Raised, func(r setpointtest.Raised) bool {
		return r.State == Following && !r.Refused && (r.Name == NeedsPromote || r.Name == NeedsRestore)
	})
	for i, r := range e.Runs {
		if urgent && r.Name == "Follow" && e.Took[i] > 5*time.Minute && !ordered(e.Case, "Pause") {
			return fmt.Sprintf("Follow took %s", e.Took[i])
		}
	}
	return ""
}
