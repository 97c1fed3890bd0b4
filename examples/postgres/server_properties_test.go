package postgres

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

// serverEnding is the end of a case about a server.
type serverEnding struct {
	setpointtest.Case
	setpointtest.End
	spec   ServerSpec
	status ServerStatus
	its    *simulated // nil when the host has none
	counts map[host.Verb]int
}

// serverProperties are what must be so at the end of every case about a server, beside what the kit judges by itself.
var serverProperties = []struct {
	words string
	holds func(*serverEnding) string
}{
	{"a server that leads is not told to follow, and is restarted only when somebody asks", (*serverEnding).led},
	{"what is ready follows whom it should", (*serverEnding).followed},
	{"what an action says that it has done was asked of the host, and its answer is known", (*serverEnding).done},
	{"what is done to a server has a key of that server, so that it is done in order", (*serverEnding).keyed},
	{"an action leads where it should", (*serverEnding).through},
	{"where nothing goes wrong, what was noticed last counts, and who follows is repaired", (*serverEnding).judged},
	{"no news is left standing, but that of one who receives nothing, as long as that is so", (*serverEnding).heard},
	{"old news is no news", (*serverEnding).fresh},
	{"one that receives nothing follows again, where there is somebody to follow", (*serverEnding).joined},
	{"a host that is away for long is not waited for, and people are told", (*serverEnding).bounded},
	{"what was heard last to answer is neither doubted nor repaired, and what was heard last to receive is not adrift", (*serverEnding).believed},
}

// checkServer asks all properties.
func checkServer(c setpointtest.Case, e setpointtest.End) error {
	end := &serverEnding{Case: c, End: e, counts: map[host.Verb]int{}}
	if e.Gone {
		return nil
	}
	if err := e.Status(&end.status); err != nil {
		return err
	}
	if err := json.Unmarshal(e.Object.Spec, &end.spec); err != nil {
		return err
	}
	for _, call := range e.Calls {
		var o host.Operation
		if err := json.Unmarshal(call.Request, &o); err == nil {
			end.counts[o.Do]++
		}
	}
	name := "default/" + string(e.Name)
	behind(e.Outside).at(name, func(c *cluster) { end.its = c.servers[name] })
	for _, p := range serverProperties {
		if what := p.holds(end); what != "" {
			return fmt.Errorf("%s: %s", p.words, what)
		}
	}
	return nil
}

func ordered(c setpointtest.Case, s setpoint.SignalName) bool {
	return slices.ContainsFunc(c.Orders, func(o setpointtest.Order) bool { return o.Signal == s })
}

// has reports whether a signal was raised from the beginning.
func (e *serverEnding) has(s setpoint.SignalName) bool { return slices.Contains(e.Signals, s) }

// plain reports whether nothing went wrong, and nothing was asked for later.
func (e *serverEnding) plain() bool {
	return len(e.Orders)+len(e.Results) == 0 && e.Object.Action == nil
}

func (e *serverEnding) succeeded(name decide.ActionName) bool {
	return slices.Contains(e.Ended(name), resource.OutcomeSucceeded)
}

func (e *serverEnding) led() string {
	switch {
	case e.spec.Leads && e.counts[host.Follow] > 0:
		return "it leads, and was told to follow"
	case e.spec.Leads && e.counts[host.Restart] > 0 && !e.has(NeedsRestart) && !ordered(e.Case, NeedsRestart):
		return "it leads, was restarted, and nobody had asked for it"
	}
	return ""
}

func (e *serverEnding) followed() string {
	if e.Object.Action != nil || !e.Object.Ready() || ordered(e.Case, "Abandon") || e.spec.Upstream == "" || e.its == nil {
		return ""
	}
	if e.its.upstream != e.spec.Upstream || e.status.Following != e.spec.Upstream {
		return fmt.Sprintf("it follows %q, says %q, and should follow %q", e.its.upstream, e.status.Following, e.spec.Upstream)
	}
	return ""
}

func (e *serverEnding) done() string {
	for name, verb := range map[decide.ActionName]host.Verb{"Follow": host.Follow, "Inspect": host.Inspect, "Restart": host.Restart} {
		if e.succeeded(name) && (e.counts[verb] == 0 || e.status.LSN == "") {
			return fmt.Sprintf("%s: it was asked %d times, and its log goes to %q", name, e.counts[verb], e.status.LSN)
		}
	}
	return ""
}

func (e *serverEnding) keyed() string {
	for _, m := range e.Calls {
		var o host.Operation
		if err := json.Unmarshal(m.Request, &o); err == nil && o.Do != "" && m.Key != o.Server+"/"+string(o.Do) {
			return fmt.Sprintf("%s has the key %s", o.Do, m.Key)
		}
	}
	return ""
}

func (e *serverEnding) through() string {
	to := map[string]setpoint.State{
		"DoubtSucceeded": Uncertain, "TrustSucceeded": Available, "GiveUpSucceeded": Unavailable, "FollowSucceeded": Available, "RestartSucceeded": Available,
		"FollowFailed": Unavailable, "RestartFailed": Unavailable, "Follow": Following, "Restart": Restarting,
	}
	begun := map[string]int{}
	for _, m := range e.Path {
		if want, known := to[m.Reason]; known && m.To != want {
			return fmt.Sprintf("%s led to %s", m.Reason, m.To)
		}
		begun[m.Reason]++
	}
	for _, name := range []string{"Follow", "Restart"} {
		if ended := len(e.Ended(decide.ActionName(name))); ended > begun[name] && !e.Object.Deleting() {
			return fmt.Sprintf("%s ended %d times, and went through its state %d times", name, ended, begun[name])
		}
	}
	return ""
}

// last is which of two pieces of news came last, "" when neither did.
func (e *serverEnding) last(a, b setpoint.SignalName) (last setpoint.SignalName) {
	for _, s := range e.Signals {
		if s == a || s == b {
			last = s
		}
	}
	return last
}

func (e *serverEnding) judged() string {
	if !e.plain() {
		return ""
	}
	want := Available
	if e.spec.Leads { // its database decides what becomes of it
		seen, away := e.last(Missed, Seen), e.State == Uncertain || e.State == Unavailable
		if seen == Missed || seen == "" && away && !e.has(NeedsRestart) {
			want = Unavailable
		}
	}
	if e.Object.State != want {
		return fmt.Sprintf("it is %s, and should be %s", e.Object.State, want)
	}
	if e.its != nil && e.its.upstream != e.spec.Upstream {
		return fmt.Sprintf("it follows %q, and should follow %q", e.its.upstream, e.spec.Upstream)
	}
	return ""
}

func (e *serverEnding) heard() string {
	if !e.plain() {
		return ""
	}
	adrift := slices.Contains(e.Standing, Adrift)
	switch rest := slices.DeleteFunc(slices.Clone(e.Standing), func(s setpoint.SignalName) bool { return s == Adrift }); {
	case len(rest) > 0:
		return fmt.Sprintf("%v stand", rest)
	case adrift && (e.spec.Leads || !e.has(Adrift)):
		return "it leads, and receives nothing"
	case adrift && e.Variant == followsAnother:
		return "it follows another one by now, and what was said of the one before stands"
	case e.has(Adrift) && !adrift && !e.spec.Leads && e.last(Adrift, Seen) == Adrift && len(e.Ended("Follow")) == 0:
		return "it receives nothing, and that was forgotten"
	}
	return ""
}

func (e *serverEnding) fresh() string {
	if e.plain() && e.Variant == followsIt && !e.has(NeedsFollow) && e.counts[host.Follow] > 0 {
		return "it was told to follow again, where nobody is to follow"
	}
	known := (e.State == Uncertain || e.State == Unavailable) && !e.has(Seen) && !e.has(NeedsRestart) && !e.has(NeedsFollow) && !e.has(NeedsRepair) && e.Variant < followsAnother
	if doubts := len(e.Ended("Doubt")); e.plain() && doubts > 0 && (known || e.last(Missed, Seen) == Seen) {
		return fmt.Sprintf("it was doubted %d times for what was known, or over", doubts)
	}
	return ""
}

// believed: whoever was seen last answers, and receives. To restart it needs somebody who asks.
func (e *serverEnding) believed() string {
	if !e.plain() || !e.has(Seen) {
		return ""
	}
	doubted, trusted := len(e.Ended("Doubt"))+len(e.Ended("GiveUp")), len(e.Ended("Trust"))
	switch answers := e.last(Missed, Seen) == Seen; {
	case answers && doubted > 0 && e.State == Available:
		return fmt.Sprintf("it was doubted or given up %d times", doubted)
	case answers && e.counts[host.Restart] > 0 && !e.has(NeedsRestart):
		return "it was restarted, and nobody had asked for it"
	case trusted > 0 && e.State == Available && answers:
		return "it was trusted anew"
	case e.last(Missed, Seen) == Missed && e.State == Available && len(e.Ended("Doubt")) == 0:
		return "it was missed last, and nobody doubted it"
	case e.last(Missed, Seen) == Missed && e.State != Available && trusted > 0:
		return "it was missed last, and trusted"
	case e.last(Adrift, Seen) == Seen && slices.Contains(e.Standing, Adrift) && answers:
		return "that it receives nothing stands, and it was said later that it does"
	}
	return ""
}

// joined: nobody tells it to follow unless it receives nothing, and then somebody does.
func (e *serverEnding) joined() string {
	if !e.plain() || e.Variant != belongs || e.has(NeedsFollow) {
		return ""
	}
	adrift := e.has(Adrift) && e.last(Adrift, Seen) == Adrift
	switch {
	case adrift && (!e.succeeded("Follow") || slices.Contains(e.Standing, Adrift)):
		return fmt.Sprintf("it receives nothing, %v stand, and following ended as %v", e.Standing, e.Ended("Follow"))
	case !e.has(Adrift) && e.counts[host.Follow] > 0:
		return "it was told to follow, and nobody had said that it does not"
	}
	return ""
}

// patience is how long actions wait for their host, with what comes after.
var patience = map[string]time.Duration{"Inspect": 2 * time.Minute, "Restart": 10 * time.Minute, "Follow": 20 * time.Minute}

func (e *serverEnding) bounded() string {
	if len(e.Orders) > 0 || len(e.Results) != 1 || e.Results[0].Result != setpointtest.ResultAway || !strings.HasPrefix(e.Results[0].Key, "default/it/") {
		return ""
	}
	for i, r := range e.Runs {
		switch waited := e.Took[i]; {
		case patience[r.Name] > 0 && waited > patience[r.Name]:
			return fmt.Sprintf("%s took %s", r.Name, waited)
		case r.Name != "Inspect" && waited > 100*time.Second && !slices.Contains(e.Told, decide.ActionName(r.Name)):
			return fmt.Sprintf("%s took %s, and nobody was told", r.Name, waited)
		}
	}
	return ""
}
