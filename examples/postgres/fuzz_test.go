package postgres

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

// cases is how many are tried: a sample, and in the soak many more.
func cases() int {
	if os.Getenv("SETPOINT_SOAK") != "" {
		return 6000
	}
	return 400
}

// fuzzedServer tries the table of servers: one that leads, and one that follows.
func fuzzedServer() setpointtest.Fuzzing[ServerSpec, ServerStatus] {
	const upstream, other = "127.0.0.1:5001", "127.0.0.1:5002"
	made := func(role host.ServerRole, following string) ServerStatus {
		return ServerStatus{Made: &Making{Role: role, Upstream: following}, Address: "127.0.0.1:5000", Following: following}
	}
	return setpointtest.Fuzzing[ServerSpec, ServerStatus]{
		Kind: Servers, Decider: serverDecider(Secrets{Key: []byte("secret")}), Name: "server", Variants: 3, Seed: 1, Cases: cases(),
		Setup: func() setpointtest.Setup {
			hosts, setup := simulate()
			hosts.found = true
			setup.Kinds, setup.Controllers = nil, nil
			return setup
		},
		Object: func(c setpointtest.Case) (ServerSpec, ServerStatus) {
			switch c.Variant {
			case 0:
				return ServerSpec{Leads: true}, made(host.Primary, "")
			case 1:
				return ServerSpec{Upstream: upstream}, made(host.Standby, upstream)
			}
			return ServerSpec{Upstream: other}, made(host.Standby, upstream)
		},
		Check: checkServer,
		Claims: []decide.Claim{
			decide.Leads(NeedsInspect, "Inspect").Within(Provisioned),
			decide.Never("GiveUp").With(Seen).Within(Uncertain).Unless(Missed),
			decide.Never("Restart").Within(Available, Uncertain).Unless(NeedsRestart),
		},
	}
}

// checkServer is what must be so at the end of every case about a server, beside what the kit judges by itself.
func checkServer(c setpointtest.Case, e setpointtest.End) error {
	if e.Gone {
		return nil
	}
	var v ServerStatus
	if err := e.Status(&v); err != nil {
		return err
	}
	var spec ServerSpec
	if err := json.Unmarshal(e.Object.Spec, &spec); err != nil {
		return err
	}
	counts := map[host.Verb]int{}
	for _, call := range e.Calls {
		var o host.Operation
		if err := json.Unmarshal(call.Request, &o); err == nil {
			counts[o.Do]++
		}
	}
	followed, halted := slices.Contains(e.Ended("Follow"), resource.OutcomeSucceeded), e.Object.Action != nil
	switch {
	case spec.Leads && counts[host.Follow] > 0:
		return errors.New("a server that leads was told to follow")
	case spec.Leads && counts[host.Restart] > 0 && !slices.Contains(c.Signals, NeedsRestart) && !ordered(c, NeedsRestart):
		return errors.New("a server that leads was restarted, and nobody had asked for it")
	case !halted && e.Object.State != Unavailable && spec.Upstream != "" && v.Following != spec.Upstream && e.Object.Ready():
		return errors.New("it is ready, and follows another server than it should")
	case followed && counts[host.Follow] == 0:
		return errors.New("it is said to have followed, and nobody told it to")
	case slices.Contains(e.Ended("Inspect"), resource.OutcomeSucceeded) && (counts[host.Inspect] == 0 || v.LSN == ""):
		return errors.New("it is said to have been inspected, and nothing is known")
	case slices.Contains(e.Ended("Restart"), resource.OutcomeSucceeded) && counts[host.Restart] == 0:
		return errors.New("it is said to have been restarted, and nobody told it to")
	}
	return nil
}

func ordered(c setpointtest.Case, s setpoint.SignalName) bool {
	return slices.ContainsFunc(c.Orders, func(o setpointtest.Order) bool { return o.Signal == s })
}

func TestFuzzServer(t *testing.T) {
	r := setpointtest.Fuzz(t, fuzzedServer())
	t.Log(r)
	r.Require(t)
}
