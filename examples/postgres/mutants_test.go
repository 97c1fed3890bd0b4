package postgres

import (
	"os"
	"testing"

	"github.com/setpointhq/setpoint/setpointtest"
)

// survey says how many cases are looked for, and which mutants are judged: each so manieth, and in the soak all.
func survey() (cases, every int) {
	if os.Getenv("SETPOINT_SOAK") != "" {
		return 600, 1
	}
	return 240, 18
}

// require fails the test for every mutant that survived, and when too few were found out for that to mean anything: there must be so many mutants, and of those that are accepted
// most must be killed.
func require(t *testing.T, s *setpointtest.Survey, all int) {
	t.Helper()
	t.Log(s)
	s.Require(t)
	accepted, killed := len(s.Mutants)-len(s.Of(setpointtest.Refused)), len(s.Of(setpointtest.Killed))
	if s.All < all || len(s.Mutants) < s.All/20 || killed < 5 || killed*10 < accepted*7 {
		t.Errorf("%d of %d mutants were judged, %d accepted, and %d killed; want a twentieth of %d or more judged, and of those accepted 7 of 10 killed", len(s.Mutants), s.All, accepted, killed, all)
	}
}

func TestNoMutantOfDatabasesSurvives(t *testing.T) {
	f := fuzzedDatabase()
	f.Cases, f.Sample = survey()
	require(t, setpointtest.Survivors(t, f), 300)
}

func TestNoMutantOfServersSurvives(t *testing.T) {
	f := fuzzedServer()
	f.Cases, f.Sample = survey()
	require(t, setpointtest.Survivors(t, f), 400)
}
