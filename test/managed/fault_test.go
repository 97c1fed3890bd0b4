package managed

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/examples/postgres"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/test/internal/fleet"
	"github.com/setpointhq/setpoint/test/internal/machine"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// fault is something bad, or something asked for.
type fault struct {
	name string
	// strike does it. What it returns must be so before calm counts; it is nil when calm itself says all.
	strike func(*storm) (struck, error)
}

// struck is a fault that has been.
type struck struct {
	at time.Time
	// also says what is missing for the fault to be over.
	also func(database, map[string]server) string
	// heal is the second half of a fault that has two; calm comes between.
	heal func() (struck, error)
}

// faults are all of them. The short form of a storm has each once, but for the last two.
var faults = []fault{
	{"primary killed", (*storm).killPrimary},
	{"primary frozen", (*storm).freezePrimary},
	{"replica killed", (*storm).killReplica},
	{"left and followed", (*storm).leave},
	{"parameters", (*storm).parameters},
	{"Setpoint killed in a promotion", (*storm).killSetpointInPromotion},
	{"host killed in a promotion", (*storm).killHostInPromotion},
	{"promotion", (*storm).promote},
	{"restart", (*storm).restart},
	{"Setpoint killed", (*storm).killSetpoint},
	{"host killed", (*storm).killHost},
	{"primary and Setpoint killed", (*storm).killPrimaryAndSetpoint},
}

// moment waits for a random time.
func (s *storm) moment(random *rand.Rand, most time.Duration) {
	timer := time.NewTimer(time.Duration(random.Int64N(int64(most))))
	defer timer.Stop()
	<-timer.C
}

// another says that a server's first process is not the one that it was.
func (s *storm) another(name string, was int) func(database, map[string]server) string {
	return func(database, map[string]server) string {
		if now := s.Postmaster(name); now == was || now == 0 {
			return fmt.Sprintf("%s has process %d and had %d", name, now, was)
		}
		return ""
	}
}

// killed kills a server: its first process only, or all of them.
func (s *storm) killed(name string) struck {
	pids := s.Processes(name)
	if s.random.IntN(2) == 0 {
		s.Send(syscall.SIGKILL, pids[0])
	} else {
		s.Send(syscall.SIGKILL, pids...)
	}
	return struck{at: time.Now(), also: s.another(name, pids[0])}
}

func (s *storm) killPrimary() (struck, error) {
	d, err := s.database(s.t.Context())
	if err != nil {
		return struck{}, err
	}
	return s.killed(fleet.Primary(d)), nil
}

func (s *storm) replica() (string, error) {
	d, err := s.database(s.t.Context())
	if err != nil {
		return "", err
	}
	all, err := s.members(s.t.Context())
	if err != nil {
		return "", err
	}
	names := fleet.Replicas(d, all)
	return names[s.random.IntN(len(names))], nil
}

func (s *storm) killReplica() (struck, error) {
	name, err := s.replica()
	if err != nil {
		return struck{}, err
	}
	return s.killed(name), nil
}

// freezePrimary stops all processes of the server that is written to. They go on after a while, unless they have been killed by then.
func (s *storm) freezePrimary() (struck, error) {
	d, err := s.database(s.t.Context())
	if err != nil {
		return struck{}, err
	}
	name := fleet.Primary(d)
	pids := s.Processes(name)
	s.Send(syscall.SIGSTOP, pids...)
	s.Await("all processes of "+name+" are stopped", func() (string, bool) {
		for _, pid := range pids {
			if !strings.Contains("TtZ", machine.State(pid)) {
				return machine.State(pid), false
			}
		}
		return "", true
	})
	at := time.Now()
	limit := time.NewTimer(time.Duration(s.random.IntN(12_000)) * time.Millisecond)
	defer limit.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-limit.C:
			s.Send(syscall.SIGCONT, pids...)
			s.thawed++
			return struck{at: at}, nil
		case <-tick.C:
			if s.Postmaster(name) != pids[0] {
				s.fenced++
				return struck{at: at, also: s.another(name, pids[0])}, nil
			}
		}
	}
}

// raise raises a signal on the database.
func (s *storm) raise(name, payload string) (struck, error) {
	at := time.Now()
	return struck{at: at}, s.signal(s.t.Context(), name, payload)
}

func (s *storm) promote() (struck, error) { return s.raise(string(postgres.NeedsPromote), "") }
func (s *storm) restart() (struck, error) { return s.raise(string(postgres.NeedsRestart), "") }

func (s *storm) killSetpoint() (struck, error) {
	s.Kill()
	at := time.Now()
	s.Start()
	return struck{at: at}, nil
}

// killSetpointInPromotion kills it at some moment of a promotion.
func (s *storm) killSetpointInPromotion() (struck, error) {
	begun, err := s.promote()
	if err == nil {
		s.moment(s.random, 1500*time.Millisecond)
		_, err = s.killSetpoint()
	}
	return begun, err
}

func (s *storm) killPrimaryAndSetpoint() (struck, error) {
	begun, err := s.killPrimary()
	if err == nil {
		s.moment(s.random, 8*time.Second)
		_, err = s.killSetpoint()
	}
	return begun, err
}

// killHost kills the host's agent, and starts it again after a while. The servers go on meanwhile.
func (s *storm) killHost() (struck, error) {
	pid, err := strconv.Atoi(s.Read("postgres-host", "pid"))
	if err != nil {
		return struck{}, err
	}
	s.Send(syscall.SIGKILL, pid)
	at := time.Now()
	s.Await("the host's agent has ended", func() (string, bool) { return machine.State(pid), machine.State(pid) == "Z" })
	if s.agent != nil {
		s.Judge(s.agent.Output())
	}
	if err := os.Remove(s.Path("postgres-host", "ready")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return struck{}, err
	}
	s.moment(s.random, 8*time.Second)
	s.agent = testkit.Start(s.t, program.Path(), "demo-subsystem", "postgres-host", s.Path("postgres-host"))
	return struck{at: at, also: func(database, map[string]server) string {
		if ready, err := os.ReadFile(s.Path("postgres-host", "ready")); err != nil || string(ready) != strconv.Itoa(s.agent.PID) {
			return fmt.Sprintf("the host's agent does not serve: %s %v\n%s", ready, err, s.agent.Output())
		}
		return ""
	}}, nil
}

func (s *storm) killHostInPromotion() (struck, error) {
	begun, err := s.promote()
	if err != nil {
		return begun, err
	}
	s.moment(s.random, 1500*time.Millisecond)
	killed, err := s.killHost()
	begun.also = killed.also
	return begun, err
}

// leave lets a replica stand alone. It takes writes for itself then, until it follows again.
func (s *storm) leave() (struck, error) {
	name, err := s.replica()
	if err != nil {
		return struck{}, err
	}
	payload := fmt.Sprintf(`{"server": %q}`, name)
	s.prober.Part(name, true)
	begun, err := s.raise(string(postgres.NeedsUnfollow), payload)
	begun.also = func(d database, all map[string]server) string {
		if len(d.Status.Detached) == 0 {
			return "nobody has left"
		}
		rows, err := s.Ask(s.t.Context(), all[name], "SELECT pg_is_in_recovery()")
		if err != nil || rows[0][0] != "f" {
			return fmt.Sprintf("%s does not take writes: %v %v", name, rows, err)
		}
		return ""
	}
	begun.heal = func() (struck, error) {
		back, err := s.raise(string(postgres.NeedsFollow), payload)
		back.also = func(d database, _ map[string]server) string {
			if len(d.Status.Detached) > 0 {
				return fmt.Sprintf("%v stand alone", d.Status.Detached)
			}
			s.prober.Part(name, false)
			return ""
		}
		return back, err
	}
	return begun, err
}

// parameters changes two settings, one of which needs a restart.
func (s *storm) parameters() (struck, error) {
	connections := strconv.Itoa(100 + s.random.IntN(5)*10)
	memory := strconv.Itoa(4+s.random.IntN(8)) + "MB"
	patch := map[string]any{"spec": map[string]any{"parameters": map[string]string{"max_connections": connections, "work_mem": memory}}}
	if _, err := s.Client.Patch(s.t.Context(), s.Databases, fleet.Ref("orders"), patch, client.WriteOptions{Strict: true}); err != nil {
		return struck{}, err
	}
	s.calm("changed parameters", func(_ database, all map[string]server) string {
		for name, v := range all {
			if got := v.Spec.Parameters; got["max_connections"] != connections || got["work_mem"] != memory {
				return fmt.Sprintf("%s is to have %v", name, got)
			}
		}
		return ""
	})
	begun, err := s.raise(string(postgres.NeedsParameters), "")
	begun.also = func(d database, all map[string]server) string {
		for name, v := range all {
			rows, err := s.Ask(s.t.Context(), v, "SELECT current_setting('max_connections'), current_setting('work_mem')")
			if err != nil {
				return fmt.Sprintf("%s does not say its settings: %v", name, err)
			}
			// One that follows was restarted before the primary, and has no less than that one had.
			got := rows[0]
			if got[1] != memory || name == fleet.Primary(d) && got[0] != connections || got[0] < connections {
				return fmt.Sprintf("%s has %v, want %s and %s; it says that a restart is needed for %v", name, got, connections, memory, v.Status.PendingRestart)
			}
		}
		return ""
	}
	return begun, err
}
