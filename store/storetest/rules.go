package storetest

import (
	"strings"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var ruleScenarios = []scenario{
	{name: "Rules/Transitions", reason: "exactly the transitions of the table are accepted", run: transitions},
	{name: "Rules/Message", reason: "a refusal names kind, from, to, and what is allowed", run: ruleMessage},
	{name: "Rules/UnknownState", reason: "an object cannot be created in a state that its kind does not have", run: unknownState},
	{name: "Rules/Replace", reason: "registering again replaces the rules", run: replaceRules},
	{name: "Rules/Stranded", reason: "rules that would strand a stored object are refused, naming it", run: stranded},
	{name: "Rules/Restart", reason: "rules are stored: they hold before anyone registers again", run: rulesRestart, reopens: true},
}

// in is a copy in another state.
func in(o *resource.Object, state lifecycle.State) *resource.Object {
	c := o.Clone()
	c.State = state
	return c
}

func transitions(s *suite) {
	s.register()
	paths := map[lifecycle.State][]lifecycle.State{fresh: {fresh}, working: {fresh, working}, broken: {fresh, working, broken}, deleting: {fresh, deleting}, gone: {fresh, deleting, gone}}
	for _, from := range widgetTable {
		for _, to := range widgetTable {
			o := machine(strings.ToLower(string(from.State + "-" + to.State)))
			rev := s.create(o)
			for _, step := range paths[from.State][1:] {
				rev = s.must(write(in(o, step), rev)).Revision
			}
			if !widgetTable.Allows(from.State, to.State) {
				s.refused(write(in(o, to.State), rev), store.ErrRule)
				continue
			}
			s.must(write(in(o, to.State), rev))
			if got := s.read(o.Key).State; got != to.State {
				s.Errorf("from %s to %s: it is in %s", from.State, to.State, got)
			}
		}
	}
}

func ruleMessage(s *suite) {
	s.register()
	o := machine("a")
	rev := s.create(o)
	e := s.refused(write(in(o, broken), rev), store.ErrRule)
	if e.Key != o.Key {
		s.Errorf("the error names %s", e.Key)
	}
	for _, word := range []string{string(widget), string(fresh), string(broken), string(working), string(deleting)} {
		if !strings.Contains(e.Error(), word) {
			s.Errorf("message %q does not name %s", e.Error(), word)
		}
	}
}

func unknownState(s *suite) {
	s.register()
	s.refused(write(in(machine("a"), "Nowhere"), 0), store.ErrRule)
	s.refused(write(in(machine("a"), ""), 0), store.ErrRule)
	s.refused(write(in(thing("a"), fresh), 0), store.ErrRule)
	s.must(write(in(machine("a"), working), 0))
}

func replaceRules(s *suite) {
	s.register()
	o := machine("a")
	rev := s.create(o)
	s.refused(write(in(o, broken), rev), store.ErrRule)
	wider := append(lifecycle.Table{{State: fresh, To: lifecycle.To(working, broken, deleting)}}, widgetTable[1:]...)
	if err := s.s.Register(s.ctx, []store.Rules{{Kind: widget, Lifecycle: wider}}); err != nil {
		s.Fatal(err)
	}
	rev = s.must(write(in(o, broken), rev)).Revision
	s.register()
	rev = s.must(write(in(o, working), rev)).Revision
	s.refused(write(in(o, fresh), rev), store.ErrRule)
}

func stranded(s *suite) {
	s.register()
	o := machine("stuck")
	rev := s.create(o)
	s.must(write(in(o, working), rev))
	smaller := lifecycle.Table{{State: fresh, To: lifecycle.To(gone)}, {State: gone, Final: true}}
	err := s.s.Register(s.ctx, []store.Rules{{Kind: plain}, {Kind: widget, Lifecycle: smaller}})
	if err == nil {
		s.Fatal("accepted")
	}
	for _, word := range []string{"stuck", string(widget), string(working)} {
		if !contains(err, word) {
			s.Errorf("message %q does not name %s", err, word)
		}
	}
	s.must(write(in(o, broken), s.read(o.Key).Revision)) // the old rules are still the rules
}

func rulesRestart(s *suite) {
	s.register()
	o := machine("a")
	rev := s.create(o)
	s.reopen()
	s.refused(write(in(o, broken), rev), store.ErrRule)
	s.must(write(in(o, working), rev))
}

func contains(err error, word string) bool { return strings.Contains(err.Error(), word) }
