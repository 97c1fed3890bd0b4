package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

// ending is the end of a case about a database, with what there is at the hosts.
type ending struct {
	setpointtest.Case
	setpointtest.End
	layout
	its    *cluster
	status DatabaseStatus
}

// property is what must be so at the end of every case, beside what the kit judges by itself. It says in words what is not.
type property struct {
	words string
	holds func(*ending) string
}

var databaseProperties = []property{
	{"never two who lead, nothing lost that was acknowledged, nobody led to who cannot be written to", (*ending).safe},
	{"at rest the address leads to the primary, and all that have not left follow it", (*ending).inOrder},
	{"what an action says that it has done is done", (*ending).done},
	{"where no promotion and no restoration has succeeded, the former primary goes on", (*ending).wentOn},
	{"an action has somebody who asked for it", (*ending).wanted},
	{"what was asked for is served, as soon as that can be", (*ending).served},
	{"a destination that is away for long is not waited for, or people are told", (*ending).bounded},
	{"every action goes through its state, and comes out where it should", (*ending).through},
	{"where nothing goes wrong, all ends well", (*ending).well},
	{"what is done to a server has a key of that server, so that it is done in order", (*ending).keyed},
	{"nothing is done to clients or servers before there is a reason to", (*ending).inTime},
	{"clients are led on before a promotion or a restoration is said to be done", (*ending).ledOn},
	{"nothing that is urgent waits for a replica to follow", (*ending).yielded},
	{"what cannot be at the same time is refused when it is asked for", (*ending).refused},
	{"where two have as much, one that could not be made to lead leaves it to the other", (*ending).leftToTheOther},
}

// checkDatabase asks all properties. Whoever abandons an action half-way answers for what is left of it.
func checkDatabase(c setpointtest.Case, e setpointtest.End) error {
	end := &ending{Case: c, End: e, layout: layouts[c.Variant]}
	behind(e.Outside).at("default/"+string(e.Name), func(its *cluster) { end.its = its })
	if err := e.Status(&end.status); err != nil {
		return err
	}
	if ordered(c, "Abandon") {
		return nil
	}
	for _, p := range databaseProperties {
		if what := p.holds(end); what != "" {
			return fmt.Errorf("%s: %s", p.words, what)
		}
	}
	return nil
}

// settled reports whether the database is available, with nothing under way or waited for.
func (e *ending) settled() bool {
	return !e.Gone && !e.Object.Deleting() && e.Object.Action == nil && e.Object.State == Available && e.Object.Ready()
}

// at is a part's server at the host.
func (e *ending) server(part string) *simulated {
	return e.its.servers["default/"+string(e.Name)+"."+part]
}

func (e *ending) succeeded(name decide.ActionName) (n int) {
	for _, o := range e.Ended(name) {
		if o == resource.OutcomeSucceeded {
			n++
		}
	}
	return n
}

// asked counts how often a signal was raised, and taken.
func (e *ending) asked(name setpoint.SignalName) (n int) {
	for _, r := range e.Raised {
		if r.Name == name && !r.Refused {
			n++
		}
	}
	return n
}

func (e *ending) safe() string {
	all := append(slices.Clone(e.its.wrongs), e.its.misled...)
	if !e.Gone && !e.Object.Deleting() {
		all = append(all, e.its.lessened...)
	}
	return strings.Join(all, "; ")
}

func (e *ending) inOrder() string {
	primary := e.server(e.status.Primary)
	switch {
	case !e.settled():
		return ""
	case primary == nil || !e.its.leads(primary):
		return fmt.Sprintf("the primary is %q, which is %+v", e.status.Primary, primary)
	case e.its.backend != primary.address():
		return "the address leads to " + e.its.backend
	case e.status.Candidate != "" && len(e.twisted()) == 0:
		return "there is a candidate still: " + e.status.Candidate
	}
	following := 0
	for i := range e.replicas + 1 {
		part := serverName(e.status.Line, i)
		v := e.server(part)
		switch {
		case part == e.status.Primary:
		case v == nil:
			return part + " is not there"
		case slices.Contains(e.status.Detached, part):
		case v.upstream != primary.address():
			return fmt.Sprintf("%s is %+v", part, *v)
		default:
			following++
		}
	}
	if following != e.status.Following {
		return fmt.Sprintf("%d follow, and it says %d", following, e.status.Following)
	}
	return ""
}

// twisted are the orders and results of the case.
func (e *ending) twisted() (all []string) {
	for _, o := range e.Orders {
		all = append(all, o.String())
	}
	for _, r := range e.Results {
		all = append(all, r.String())
	}
	return all
}

// first is where a deed was done first, -1 for never.
func (e *ending) first(deed string) int { return slices.Index(e.its.deeds, deed) }

func (e *ending) done() string {
	line := 1 + e.succeeded("Restore")
	switch {
	case e.Gone || e.Object.Action != nil:
	case len(e.Ended("Restore")) > e.succeeded("Restore"): // how far it came, cannot be seen from here
	case e.status.Line != line && e.State != Provisioning:
		return fmt.Sprintf("it was restored %d times, and has line %d", line-1, e.status.Line)
	case e.succeeded("Restore") > 0 && e.succeeded("Promote") == 0 && e.status.Primary != serverName(line, 0):
		return "it was restored, and its primary is " + e.status.Primary
	case line > 1:
	case len(e.Ended("Unfollow")) > 0 && e.succeeded("Unfollow") == 0 && e.left == "" && len(e.status.Detached) > 0:
		return fmt.Sprintf("it could not leave, and %v are said to have", e.status.Detached)
	case e.succeeded("Promote") == 1 && (!e.even || len(e.Ended("Promote")) == 1 && len(e.Ended("Restart"))+len(e.Ended("Apply")) == 0) && len(e.Ended("Unfollow"))+len(e.Ended("Follow")) == 0 && e.status.Primary != e.furthest():
		return "it was promoted, and its primary is " + e.status.Primary
	case e.succeeded("Unfollow") > 0 && (e.first("unfollow s1-2") < 0 || e.succeeded("Follow") == 0 && !slices.Contains(e.status.Detached, "s1-2")):
		return fmt.Sprintf("it was to leave, and %v have", e.status.Detached)
	case e.succeeded("Follow") > 0 && e.succeeded("Unfollow") == 0 && len(e.status.Detached) > 0:
		return fmt.Sprintf("it was to follow again, and %v do not", e.status.Detached)
	case e.succeeded("Restart") > 0 && e.succeeded("Promote")+len(e.Ended("Apply")) == 0:
		return e.restarted(func(string) bool { return true })
	case e.succeeded("Apply") > 0 && e.State != Provisioning && len(e.Runs) == 1:
		return e.restarted(e.layout.pending)
	}
	return ""
}

// furthest is the part whose log goes furthest, apart from the primary's: see cluster.write.
func (e *ending) furthest() string {
	if e.even && e.asked(NeedsPromote) > 0 {
		return "s1-2" // among equals the one that was asked for
	}
	return e.attached()[1]
}

func (e *ending) leftToTheOther() string {
	const first, other = "s1-1", "s1-2"
	twice := len(e.Ended("Promote")) > 1 && e.succeeded("Promote") == 1 && e.asked(NeedsPromote) == 0 && len(e.Orders) == 0
	tried := slices.ContainsFunc(e.Results, func(r setpointtest.Injected) bool { return r.Key == "default/it."+first+"/synchronous" })
	if e.even && twice && tried && len(e.Results) == 1 && len(e.Ended("Restore")) == 0 && e.status.Primary != other {
		return fmt.Sprintf("%s leads after promotions that ended as %v", e.status.Primary, e.Ended("Promote"))
	}
	return ""
}

// restarted: the replicas first, and then the primary.
func (e *ending) restarted(needs func(part string) bool) string {
	last := -1
	for i := range e.replicas + 1 {
		part := serverName(1, e.replicas-i)
		at := e.first("restart " + part)
		if needs(part) != (at >= 0) || needs(part) && part == leader && at < last {
			return fmt.Sprintf("what was done is %v", e.its.deeds)
		}
		last = max(last, at)
	}
	return ""
}

func (e *ending) wentOn() string {
	if e.Gone || e.Object.Action != nil || e.Object.Deleting() || e.status.Line > 1 || e.succeeded("Promote")+e.succeeded("Restore") > 0 || e.State == Provisioning || len(e.Standing) > 0 {
		return ""
	}
	if v := e.server(leader); e.status.Primary != leader || v == nil || !e.its.leads(v) {
		return fmt.Sprintf("the primary is %s, and %+v", e.status.Primary, v)
	}
	return ""
}
