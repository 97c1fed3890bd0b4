package upgrade

import (
	"fmt"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// moves are objects whose action has other steps in one version than in the other: prepare, hold and finish, with verify before the last in N+1. Runs are held half-way while the version changes.
type moves struct {
	load   *load
	client *client.Client
	made   int
	held   map[string][]string // by the version that began them
	ended  map[string]string   // the version by which a move was finished, by name
}

const (
	programOld  = "N"
	programNext = "N+1"
	perRound    = 3
)

// begin has some moves run to where they are held. All nodes are of a version.
func (m *moves) begin(version string) {
	s := m.load.site
	s.Helper()
	if m.held == nil {
		m.held, m.ended = map[string][]string{}, map[string]string{}
	}
	for range perRound {
		name := fmt.Sprintf("move-%d", m.made)
		m.made++
		if err := m.load.apply(s.Context(), m.client, "moves", name, map[string]bool{"go": false}); err != nil {
			s.Fatal(err)
		}
		if _, err := m.client.Signal(s.Context(), m.load.kinds["moves"], ref(name), client.Signal{Name: "NeedsRun"}); err != nil {
			s.Fatal(err)
		}
		m.await(name, "held", func(a *resource.Action) bool {
			step := a.Step("hold")
			return step != nil && step.Phase == resource.StepRunning && a.Halt == ""
		})
		m.held[version] = append(m.held[version], name)
	}
}

// await waits for the action of a move to be in some way.
func (m *moves) await(name, what string, is func(*resource.Action) bool) {
	s := m.load.site
	s.Helper()
	program.Await(s.T, name+" is "+what, func() (string, bool) {
		a, err := m.client.Actions(s.Context(), m.load.kinds["moves"], ref(name))
		if err != nil || a.Action == nil {
			return fmt.Sprint(err), false
		}
		return fmt.Sprintf("%+v", *a.Action), is(a.Action)
	}, s.diagnosis)
}

// look checks, when all nodes are of a version, that runs which the other has begun are parked, and lets those of its own go on to their ends.
func (m *moves) look(version string) {
	s := m.load.site
	s.Helper()
	for other, names := range m.held {
		for _, name := range names {
			if other != version {
				m.await(name, "parked", func(a *resource.Action) bool { return a.Halt == resource.HaltParked })
				continue
			}
			m.await(name, "going on", func(a *resource.Action) bool { return a.Halt == "" })
			if err := m.load.apply(s.Context(), m.client, "moves", name, map[string]bool{"go": true}); err != nil {
				s.Fatal(err)
			}
			if err := m.load.awaitRuns(s.Context(), m.client, "moves", name, 1); err != nil {
				s.Fatal(err)
			}
			m.ended[name] = version
		}
	}
	delete(m.held, version)
}

// abandon gives up, as an operator, what no program will finish any more.
func (m *moves) abandon() {
	s := m.load.site
	s.Helper()
	for _, names := range m.held {
		for _, name := range names {
			if _, err := m.client.Signal(s.Context(), m.load.kinds["moves"], ref(name), client.Signal{Name: "Abandon", Why: "version N+1 does not come back"}); err != nil {
				s.Fatal(err)
			}
			m.ended[name] = ""
			_, err := m.client.Wait(s.Context(), m.load.kinds["moves"], ref(name), over)
			if err != nil {
				s.Fatal(err)
			}
		}
	}
}

func over(o *client.Object) (bool, error) {
	if o == nil {
		return false, nil
	}
	engine, err := o.Engine()
	return engine.State == "Broken", err
}

// judge checks that each step was done once by the version that began the run, and not at all by the other.
func (m *moves) judge() {
	s := m.load.site
	s.Helper()
	effects := s.machines.effects()
	steps := map[string][3]int{"N": {1, 0, 1}, "N+1": {1, 1, 1}, "": {1, 0, 0}}
	for name, version := range m.ended {
		var did [3]int
		for i, step := range []string{"prepare", "verify", "finish"} {
			did[i] = effects["default/"+name+".Run."+step]
		}
		if did != steps[version] {
			s.Errorf("%s was finished by version %q, and its steps were done %v times, want %v", name, version, did, steps[version])
		}
	}
	if len(m.ended) != m.made {
		s.Errorf("%d moves have ended, of %d", len(m.ended), m.made)
	}
}
