package gateway

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	edge "github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// TestKilledProxy: a proxy that is killed is replaced by one new process, and the history tells; also when its routes and its number of replicas change in
// the same moment, before, and after.
func TestKilledProxy(t *testing.T) {
	t.Parallel()
	random := program.Seeded(t)
	d := newDemo(t)
	d.Start()
	d.introduced()
	wish := d.spec("shop", 2, "r0")
	d.mustApply("shop", wish)
	d.awaitWishes(map[string]edge.GatewaySpec{"shop": wish})
	_, since := d.states("shop", 0)
	starts := count(d.ledger("hosts"), subsystem.Create)

	victim, mark := d.pick(random)
	d.killProxy(victim)
	all := d.awaitReplaced(mark, map[string]edge.GatewaySpec{"shop": wish})
	d.answers(t, all["shop"], "r0")
	states, since := d.states("shop", since)
	if !slices.Equal(states, []string{"Degraded", "Active"}) {
		t.Errorf("the history of the death is %v, want Degraded and Active", states)
	}
	if n := count(d.ledger("hosts"), subsystem.Create) - starts; n != 1 {
		t.Errorf("%d processes were started for one that died", n)
	}

	// A proxy that dies again and again is started again later and later, up to five seconds, so long runs get slow.
	rounds := program.Size(4, 30)
	for round := range rounds {
		began := time.Now()
		since = d.killDuringChange(random, round+1, since)
		t.Logf("round %d: %v", round+1, time.Since(began).Round(time.Millisecond))
	}
	d.once()
	t.Logf("%d proxies killed while their routes changed; %d processes started in all", rounds, count(d.ledger("hosts"), subsystem.Create))
	d.mustDelete("shop")
	d.awaitWishes(nil)
	d.nothingLeft(t)
}

// killDuringChange kills one or two proxies before or after their routes are changed, and expects the new routes from all replicas.
func (d *demo) killDuringChange(random *rand.Rand, round int, since resource.Revision) resource.Revision {
	d.t.Helper()
	version := fmt.Sprintf("r%d", round)
	wish := d.spec("shop", 2+random.IntN(2), version)
	victim, mark := d.pick(random)
	if random.IntN(2) == 0 {
		d.killProxy(victim)
		d.mustApply("shop", wish)
	} else {
		d.mustApply("shop", wish)
		d.killProxy(victim)
	}
	all := d.awaitReplaced(mark, map[string]edge.GatewaySpec{"shop": wish})
	d.answers(d.t, all["shop"], version)
	d.agree(all)
	states, last := d.states("shop", since)
	if len(states) == 0 || states[0] != "Degraded" || states[len(states)-1] != "Active" {
		d.t.Errorf("round %d: the history is %v, want it to begin with Degraded and to end with Active", round, states)
	}
	return last
}

// pick chooses a proxy process.
func (d *demo) pick(random *rand.Rand) (pid int, mark string) {
	d.t.Helper()
	all := d.running()
	pids := slices.Sorted(maps.Keys(all))
	pid = pids[random.IntN(len(pids))]
	return pid, all[pid]
}

func (d *demo) killProxy(pid int) {
	d.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		d.t.Fatal(err)
	}
}

// awaitReplaced waits until Setpoint has noticed the loss of a process (another boot stands in its place, or none is wanted) and all wishes hold.
func (d *demo) awaitReplaced(mark string, wishes map[string]edge.GatewaySpec) map[string]gateway {
	d.t.Helper()
	_, boot, _ := strings.Cut(mark, " ")
	d.Await("the host has announced the death of "+mark, func() (string, bool) {
		lines := d.ledger("hosts")
		lost := slices.IndexFunc(lines, func(l subsystem.LedgerLine) bool {
			return l.Effect == subsystem.Create && strings.Contains(l.Detail, boot)
		})
		return fmt.Sprint(len(lines)), lost >= 0 && slices.ContainsFunc(lines[lost:], func(l subsystem.LedgerLine) bool {
			return l.Key == lines[lost].Key && (l.Effect == subsystem.LostEffect || l.Effect == subsystem.Delete)
		})
	})
	d.Await("Setpoint shows another process in the place of "+mark, func() (string, bool) {
		shown := d.sql("SELECT status FROM object WHERE kind LIKE 'Instance.%'")
		return shown, !strings.Contains(shown, boot)
	})
	return d.awaitWishes(wishes)
}
