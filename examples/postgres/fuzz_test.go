package postgres

import (
	"fmt"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
	"github.com/setpointhq/setpoint/setpointtest"
)

// fuzzedServer tries the table of servers: one that leads, and one that follows.
func fuzzedServer() setpointtest.Fuzzing[ServerSpec, ServerStatus] {
	const upstream, other = "127.0.0.1:5001", "127.0.0.1:5002"
	return setpointtest.Fuzzing[ServerSpec, ServerStatus]{
		Kind: Servers, Decider: serverDecider(Secrets{Key: []byte("secret")}), Name: "server", Variants: 3, Seed: 1, Cases: 1500,
		Setup: func() setpointtest.Setup {
			_, setup := simulate()
			setup.Kinds, setup.Controllers = nil, nil
			return setup
		},
		Object: func(c setpointtest.Case) (ServerSpec, ServerStatus) {
			switch c.Variant {
			case 0:
				return ServerSpec{Leads: true}, ServerStatus{Made: &Making{Role: host.Primary}}
			case 1:
				return ServerSpec{Upstream: upstream}, ServerStatus{Made: &Making{Role: host.Standby, Upstream: upstream}, Following: upstream}
			}
			return ServerSpec{Upstream: other}, ServerStatus{Made: &Making{Role: host.Standby, Upstream: upstream}, Following: upstream}
		},
		Check: checkServer,
		Claims: []decide.Claim{
			decide.Leads(NeedsInspect, "Inspect").Within(Provisioned),
			decide.Never("GiveUp").With(Seen).Within(Uncertain).Unless(Missed),
			decide.Never("Restart").Within(Available, Uncertain).Unless(NeedsRestart),
		},
	}
}

// checkServer is what must be so at the end of every case about a server.
func checkServer(c setpointtest.Case, e setpointtest.End) error {
	return fmt.Errorf("not written yet: %v", c)
}

func TestFuzzServer(t *testing.T) {
	f := fuzzedServer()
	f.Check = nil
	began := time.Now()
	r := setpointtest.Fuzz(t, f)
	t.Logf("%s\n%s", time.Since(began), r)
	r.Require(t)
}
