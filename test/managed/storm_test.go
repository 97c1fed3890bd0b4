package managed

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/test/internal/ledger"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// pace is the time between two rows of one writer.
const pace = 20 * time.Millisecond

// storm is a service under faults.
type storm struct {
	*service
	random *rand.Rand
	crowd  *ledger.Writers
	prober *ledger.Prober
	// agent is the host's agent, when the test has started it.
	agent *testkit.Process
	// thawed and fenced count how a frozen primary has ended.
	thawed, fenced int
	primaries      []string
	tally          map[string]*tally
}

// tally are the times that a fault has cost.
type tally struct{ recoveries, pauses []time.Duration }

// TestStorm: writers are at work, and in any order the primary is killed or frozen, replicas, the host's agent and Setpoint are killed, and a promotion, a restart,
// other parameters, and a replica's leaving and coming back are asked for; each time it comes to rest by itself. No row is lost that was acknowledged, neither
// through the database's address nor by a server itself, and no two servers take writes at once.
func TestStorm(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { rage(t, "") })
	if program.Soak() {
		t.Run("postgres", func(t *testing.T) { rage(t, pg.Start(t).Database(t)) })
	}
}

func rage(t *testing.T, store string) {
	s := &storm{service: newService(t), random: program.Seeded(t), tally: map[string]*tally{}}
	t.Cleanup(func() { // before the demo is ended
		if s.agent != nil {
			s.Judge(s.agent.Output())
		}
	})
	s.Store = store
	s.Start()
	s.introduced()
	s.crowd = ledger.Write(t, s.URL("app"), program.Size(3, 4), pace)
	all, err := s.members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.prober = ledger.Probe(t, s.Credential("orders", "prober"))
	for name, v := range all {
		s.prober.Watch(name, v.Status.Address)
	}
	s.calm("the beginning", nil)
	began := time.Now()
	for n, f := range s.order() {
		s.suffer(n, f)
	}
	lasted := time.Since(began)
	s.crowd.Stop()
	s.prober.Stop()
	s.audit("the storm")
	t.Log(s.report(lasted))
}

// order is what is to happen: in the short form most faults once, in the long one 50 drawn from all.
func (s *storm) order() (chosen []fault) {
	if program.Soak() {
		for range 50 {
			chosen = append(chosen, faults[s.random.IntN(len(faults))])
		}
		return chosen
	}
	chosen = slices.Clone(faults[:7])
	s.random.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return chosen
}

// suffer lets one fault happen, waits for calm, and looks whether everything is there.
func (s *storm) suffer(n int, f fault) {
	s.t.Helper()
	strike := func() (struck, error) { return f.strike(s) }
	for strike != nil {
		done, err := strike()
		if err != nil {
			s.t.Fatalf("%s: %v\n%s", f.name, err, s.diagnosis())
		}
		ctx, cancel := context.WithTimeout(s.t.Context(), calmLimit)
		recovery, err := s.crowd.Ledger.Recovery(ctx, done.at)
		cancel()
		if err != nil {
			s.t.Fatalf("after %s: %v\n%s", f.name, err, s.diagnosis())
		}
		d := s.calm(f.name, done.also)
		s.record(f.name, recovery, s.crowd.Ledger.Pause(done.at))
		s.primaries = append(s.primaries, d.Status.Primary)
		s.t.Logf("%d %s: written again after %v, calm after %v, %s leads, %s", n+1, f.name, recovery.Round(time.Millisecond), time.Since(done.at).Round(time.Millisecond), d.Status.Primary, s.crowd.Ledger)
		s.audit(f.name)
		if strike = done.heal; strike != nil && s.random.IntN(2) == 0 {
			s.suffer(n, s.between())
		}
	}
}

// between is a fault that may come between the halves of another one.
func (s *storm) between() fault {
	for {
		if f := faults[s.random.IntN(len(faults))]; f.name != "left and followed" {
			return f
		}
	}
}

func (s *storm) record(name string, recovery, pause time.Duration) {
	if s.tally[name] == nil {
		s.tally[name] = &tally{}
	}
	s.tally[name].recoveries = append(s.tally[name].recoveries, recovery)
	s.tally[name].pauses = append(s.tally[name].pauses, pause)
}

// audit reads what the database has, through its address, and holds it against both ledgers; and looks for two servers that wrote at once.
func (s *storm) audit(after string) {
	s.t.Helper()
	for url, l := range map[string]*ledger.Ledger{s.crowd.URL: s.crowd.Ledger, s.prober.URL: s.prober.Ledger} {
		problems, err := l.Check(s.t.Context(), url)
		if err != nil {
			s.t.Fatalf("after %s: read the rows: %v\n%s", after, err, s.diagnosis())
		}
		for _, problem := range problems {
			s.t.Errorf("after %s: %v", after, problem)
		}
	}
	for _, problem := range s.prober.Rivals() {
		s.t.Errorf("after %s: %v", after, problem)
	}
	if s.t.Failed() {
		s.t.Fatal(s.diagnosis())
	}
}

// report is what a person wants to know of a storm.
func (s *storm) report(lasted time.Duration) string {
	var b strings.Builder
	promotions, last := 0, "s1-0"
	for _, p := range s.primaries {
		if p != last {
			promotions++
		}
		last = p
	}
	fmt.Fprintf(&b, "%v of storm; writers: %s, 0 lost; prober: %s, %s, 0 lost; %d times another server led; frozen primaries: %d killed by the fence, %d thawed\n",
		lasted.Round(time.Second), s.crowd.Ledger, s.prober, s.prober.Ledger, promotions, s.fenced, s.thawed)
	fmt.Fprintf(&b, "%-32s %5s   %-22s %s\n", "fault", "times", "written again p50/p99", "longest pause p50/p99")
	var recoveries, pauses []time.Duration
	line := func(name string, recoveries, pauses []time.Duration) {
		fmt.Fprintf(&b, "%-32s %5d   %-22s %s\n", name, len(pauses), quantiles(recoveries), quantiles(pauses))
	}
	for _, name := range slices.Sorted(maps.Keys(s.tally)) {
		t := s.tally[name]
		recoveries, pauses = append(recoveries, t.recoveries...), append(pauses, t.pauses...)
		line(name, t.recoveries, t.pauses)
	}
	line("all", recoveries, pauses)
	return b.String()
}

// quantiles are the median and the highest but one in a hundred.
func quantiles(times []time.Duration) string {
	times = slices.Sorted(slices.Values(times))
	at := func(part int) time.Duration { return times[(len(times)*part-1)/100].Round(time.Millisecond) }
	return fmt.Sprintf("%v / %v", at(50), at(99))
}
