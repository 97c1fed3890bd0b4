package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	edge "github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// faulty are the subsystems that can be told to misbehave.
var faulty = []string{"allocator", "hosts", "dns"}

// often is how often a subsystem misbehaves.
const often = 0.2

// TestFaults: many gateways are created, changed and deleted while every subsystem misbehaves at a fifth of its calls, in each of the ways in turn and then in
// all ways at once. The proxies are simulated, by the same host with the same ledger.
func TestFaults(t *testing.T) {
	t.Parallel()
	random := program.Seeded(t)
	d := newDemo(t, "SETPOINT_DEMO_SIMULATED=1")
	d.Start()
	d.introduced()
	for _, phase := range []struct {
		name     string
		where    []string
		gateways int
		faults   subsystem.Faults
		reason   string
	}{
		{"lost-requests", faulty, program.Size(8, 300), subsystem.Faults{LoseRequest: often}, "nothing has happened, and nobody says so"},
		{"refusals", faulty, program.Size(8, 300), subsystem.Faults{Refuse: often}, "nothing has happened, and the subsystem says so"},
		{"half-way", faulty, program.Size(8, 300), subsystem.Faults{Halfway: often}, "a part has happened, and has to be finished by the same token"},
		{"lost-answers", faulty, program.Size(8, 300), subsystem.Faults{LoseAnswer: often}, "everything has happened, and nobody says so"},
		{"slowness", faulty, program.Size(8, 300), subsystem.Faults{Slow: often, DelayMillis: int64(program.Size(200, 500))}, "others wait behind it"},
		{"amnesia-of-the-allocator", faulty[:1], program.Size(8, 300), subsystem.Faults{Forget: often}, "what was granted is free for others, until it is told"},
		{"amnesia-of-the-hosts", faulty[1:2], program.Size(8, 300), subsystem.Faults{Forget: often}, "every process dies, again and again"},
		{"amnesia-of-the-dns-server", faulty[2:], program.Size(8, 300), subsystem.Faults{Forget: often}, "the zone is empty, with the fences in it"},
		{"all-at-once", faulty, program.Size(24, 300), subsystem.Faults{
			LoseRequest: often / 4, Refuse: often / 4, Halfway: often / 4, LoseAnswer: often / 4, Slow: often, DelayMillis: 100, Forget: often / 20,
		}, "what was mended for one reason breaks for another"},
	} {
		t.Run(phase.name, func(t *testing.T) {
			phase.faults.Seed = random.Uint64() | 1
			d := *d
			d.t = t
			d.suffer(phase.gateways, phase.where, phase.faults)
		})
	}
	if t.Failed() {
		return // what a phase has left behind would be waited for in vain
	}
	d.mustDelete("shop")
	d.awaitWishes(nil)
	d.nothingLeft(t)
	d.once()
}

// suffer takes gateways through their lives with subsystems that have faults. Amnesia at a fifth of the calls is an end without end, since what one call
// makes the next ones destroy: it stops when everything has been asked for, and all that was forgotten has to come back.
func (d *demo) suffer(gateways int, where []string, faults subsystem.Faults) {
	began, before := time.Now(), d.tally()
	d.misbehave(where, faults)
	wishes := map[string]edge.GatewaySpec{"shop": d.get("shop").Spec}
	name := func(i int) string { return fmt.Sprintf("g%03d", i) }
	for i := range gateways {
		wishes[name(i)] = d.spec(name(i), 1+i%2, "r1")
		d.mustApply(name(i), wishes[name(i)])
	}
	d.made(faulty[:1], 1+gateways/4, before)
	for i := range gateways {
		wishes[name(i)] = d.spec(name(i), 1+(i+1)%3, "r2")
		d.mustApply(name(i), wishes[name(i)])
	}
	if faults.Forget > 0 {
		d.made(where, gateways, before)
		faults.Forget = 0
		d.misbehave(where, faults)
		d.forgetNow(where, faults)
	}
	d.awaitRepair(wishes)
	made := time.Since(began)

	for i := range gateways {
		d.mustDelete(name(i))
	}
	d.awaitRepair(map[string]edge.GatewaySpec{"shop": wishes["shop"]})
	d.once()
	d.misbehave(where, subsystem.Faults{})
	after := d.tally()
	maps.DeleteFunc(after, func(k string, n int) bool { after[k] = n - before[k]; return after[k] == 0 })
	d.t.Logf("%d gateways: %v until all served, %v in all; effects: %v", gateways, made.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), after)
}

// awaitRepair waits until the gateways serve, and the subsystems have what they need for it: a loss shows in the gateways only when it was noticed.
func (d *demo) awaitRepair(wishes map[string]edge.GatewaySpec) {
	d.t.Helper()
	d.Await("what was forgotten is there again", func() (string, bool) {
		problems := d.disagreements(d.awaitWishes(wishes))
		return strings.Join(problems, ", "), len(problems) == 0
	})
}

// made waits until subsystems have made something for so many gateways, whether it is still there or not.
func (d *demo) made(where []string, gateways int, before map[string]int) {
	d.t.Helper()
	what := map[string]string{"allocator": "allocator create", "hosts": "hosts create", "dns": "dns change"}
	for _, name := range where {
		d.Await(fmt.Sprintf("%s has made %d things", name, gateways), func() (string, bool) {
			n := d.tally()[what[name]] - before[what[name]]
			return fmt.Sprint(n), n >= gateways
		})
	}
}

// misbehave sets the faults of subsystems.
func (d *demo) misbehave(where []string, f subsystem.Faults) {
	d.t.Helper()
	for n, name := range where {
		g := f
		g.Seed += uint64(n) << 32 // so that they do not fail in step
		d.tell(name, g)
	}
}

// forgetNow makes subsystems forget everything once more, when much is there to be forgotten.
func (d *demo) forgetNow(where []string, f subsystem.Faults) {
	d.t.Helper()
	f.ForgetNow = true
	for _, name := range where {
		before := d.forgotten(name)
		d.tell(name, f)
		d.Await(name+" shows in its ledger that it has forgotten everything", func() (string, bool) {
			return fmt.Sprint(len(d.zoneLedger())), d.forgotten(name) > before // the zone's shows it with the next update
		})
	}
}

// tell sets the faults of one subsystem.
func (d *demo) tell(name string, f subsystem.Faults) {
	d.t.Helper()
	address := d.Read(name, map[string]string{"allocator": "address", "hosts": "address", "dns": "control"}[name])
	body, err := json.Marshal(f)
	if err != nil {
		d.t.Fatal(err)
	}
	answer, err := web.Post("http://"+address+"/v1/faults", "application/json", bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err := answer.Body.Close(); err != nil {
		d.t.Error(err)
	}
	if err != nil || answer.StatusCode != http.StatusOK {
		d.t.Fatalf("faults of %s: %s %s %v", name, answer.Status, text, err)
	}
}

// forgotten counts how often a subsystem has lost its memory.
func (d *demo) forgotten(name string) int {
	d.t.Helper()
	if name != "dns" {
		return count(d.ledger(name), subsystem.Forgot)
	}
	updates := zoneUpdates(d.zoneLedger())
	return updates[len(updates)-1].life
}

// tally counts the effects of all subsystems.
func (d *demo) tally() map[string]int {
	d.t.Helper()
	n := map[string]int{}
	for _, name := range faulty[:2] {
		for _, l := range d.ledger(name) {
			n[name+" "+string(l.Effect)]++
		}
	}
	for _, u := range zoneUpdates(d.zoneLedger()) {
		if u.address {
			n["dns change"]++
		}
	}
	n["dns forget"] = d.forgotten("dns")
	return n
}
