package setpointtest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// errSpins says that the turns of a world went on without end while no time passed.
var errSpins = errors.New("turns are run without end, while no time passes")

// mostTurns is more than the turns that a world has reason to run at one moment.
const mostTurns = 10_000

// spin is a meter that ends a plane whose turns go on for ever: time would stand still for all of the world.
type spin struct {
	witness *witness

	mu    sync.Mutex
	at    time.Time
	turns int
	spins bool
}

// Turn counts the turns of one moment.
func (s *spin) Turn(_, _, _ string, _ time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); !now.Equal(s.at) {
		s.at, s.turns = now, 0
	}
	if s.turns++; s.turns == mostTurns {
		s.spins = true
		s.witness.mu.Lock()
		defer s.witness.mu.Unlock()
		s.witness.kill()
	}
}

// found reports whether a plane was ended for it.
func (s *spin) found() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spins
}

// Conflict, Commit, Call and Applied count nothing.
func (*spin) Conflict(string)                   {}
func (*spin) Commit(error)                      {}
func (*spin) Call(_, _ string, _ time.Duration) {}
func (*spin) Applied(time.Time)                 {}

// isolate tells cases among which some spin, in halves, until those that do are alone.
func (p *program) isolate(t *testing.T, cases []Case) (all []told, err error) {
	t.Helper()
	all, err = p.try(t, cases)
	switch {
	case !errors.Is(err, errSpins):
		return all, err
	case len(cases) == 1:
		return []told{{Case: cases[0], End: End{Object: &resource.Object{}}, wrongs: []wrong{{JudgedRestless, errSpins.Error()}}}}, nil
	}
	first, err := p.isolate(t, cases[:len(cases)/2])
	if err != nil {
		return nil, err
	}
	second, err := p.isolate(t, cases[len(cases)/2:])
	return append(first, second...), err
}
