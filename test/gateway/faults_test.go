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
)

// often is how often a subsystem misbehaves.
const often = 0.2

// TestFaults: many gateways are created, changed and deleted while every subsystem misbehaves at a fifth of its calls, in each of the ways in turn and then in
// all ways at once. The proxies are simulated, by the same host with the same ledger.
func TestFaults(t *testing.T) {
	random := seeded(t)
	d := newDemo(t, "SETPOINT_DEMO_SIMULATED=1")
	d.start()
	d.introduced()
	for _, phase := range []struct {
		name     string
		gateways int
		faults   subsystem.Faults
		reason   string
	}{
		{"lost requests", size(4, 50), subsystem.Faults{LoseRequest: often}, "nothing has happened, and nobody says so"},
		{"refusals", size(4, 50), subsystem.Faults{Refuse: often}, "nothing has happened, and the subsystem says so"},
		{"half-way", size(4, 50), subsystem.Faults{Halfway: often}, "a part has happened, and has to be finished by the same token"},
		{"lost answers", size(4, 50), subsystem.Faults{LoseAnswer: often}, "everything has happened, and nobody says so"},
		{"slowness", size(4, 50), subsystem.Faults{Slow: often, DelayMillis: int64(size(200, 6000))}, "others wait behind it, in a soak for longer than the caller waits"},
		{"amnesia", size(4, 50), subsystem.Faults{Forget: often}, "what was made is gone, again and again"},
		{"all", size(24, 300), subsystem.Faults{
			LoseRequest: often, Refuse: often, Halfway: often, LoseAnswer: often, Slow: often, DelayMillis: 100, Forget: 0.01,
		}, "two thirds of all calls go wrong"},
	} {
		t.Run(strings.ReplaceAll(phase.name, " ", "-"), func(t *testing.T) {
			phase.faults.Seed = random.Uint64() | 1
			d := *d
			d.t = t
			d.suffer(phase.gateways, phase.faults)
		})
	}
	d.mustDelete("shop")
	d.awaitWishes(nil)
	d.nothingLeft(t)
	d.once()
}

// suffer takes gateways through their lives with subsystems that have faults. Amnesia at a fifth of the calls is an end without end, since what one call
// makes the next ones destroy: it stops when everything has been asked for, and all that was forgotten has to come back.
func (d *demo) suffer(gateways int, faults subsystem.Faults) {
	began, before := time.Now(), d.tally()
	d.misbehave(faults)
	wishes := map[string]edge.GatewaySpec{"shop": d.get("shop").Spec}
	name := func(i int) string { return fmt.Sprintf("g%03d", i) }
	for i := range gateways {
		wishes[name(i)] = d.spec(name(i), 1+i%2, "r1")
		d.mustApply(name(i), wishes[name(i)])
	}
	d.begun(gateways)
	for i := range gateways {
		wishes[name(i)] = d.spec(name(i), 1+(i+1)%3, "r2")
		d.mustApply(name(i), wishes[name(i)])
	}
	if faults.Forget > 0 {
		d.awaitForgotten(before)
		faults.Forget = 0
		d.misbehave(faults)
		d.forgetNow(faults)
	}
	all := d.awaitWishes(wishes)
	made := time.Since(began)
	d.agree(all)
	d.has(all)

	for i := range gateways {
		d.mustDelete(name(i))
	}
	all = d.awaitWishes(map[string]edge.GatewaySpec{"shop": wishes["shop"]})
	d.agree(all)
	d.has(all)
	d.once()
	after := d.tally()
	for _, k := range []string{"allocator", "hosts", "dns"} {
		delete(before, k+" calls")
	}
	maps.DeleteFunc(after, func(k string, n int) bool { after[k] = n - before[k]; return after[k] == 0 })
	d.t.Logf("%d gateways: %v until all served, %v in all; effects: %v", gateways, made.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), after)
}

// begun waits until a part of the gateways has got somewhere, so that changes meet them half-way.
func (d *demo) begun(gateways int) {
	d.t.Helper()
	await(d.t, "some gateways have an address", func() (string, bool) {
		n := count(d.ledger("allocator"), subsystem.Create)
		return fmt.Sprint(n), len(d.granted()) > gateways/4
	})
}

// controls are where the subsystems are told how to misbehave.
func (d *demo) controls() map[string]string {
	return map[string]string{
		"allocator": d.read("allocator", "address"), "hosts": d.read("hosts", "address"), "dns": d.read("dns", "control"),
	}
}

// misbehave sets the faults of all subsystems.
func (d *demo) misbehave(f subsystem.Faults) {
	d.t.Helper()
	for _, address := range d.controls() {
		d.tell(address, f)
	}
}

// forgetNow makes every subsystem forget everything once more, when much is there to be forgotten.
func (d *demo) forgetNow(f subsystem.Faults) {
	d.t.Helper()
	f.ForgetNow = true
	for name, address := range d.controls() {
		before := d.forgotten(name)
		d.tell(address, f)
		if n := d.forgotten(name); n <= before {
			d.t.Errorf("%s was told to forget, and its ledger has %d times as before", name, n)
		}
	}
}

func (d *demo) tell(address string, f subsystem.Faults) {
	d.t.Helper()
	body, err := json.Marshal(f)
	if err != nil {
		d.t.Fatal(err)
	}
	web := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := web.Post("http://"+address+"/v1/faults", "application/json", bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err := answer.Body.Close(); err != nil {
		d.t.Error(err)
	}
	if err != nil || answer.StatusCode != http.StatusOK {
		d.t.Fatalf("faults of %s: %s %s %v", address, answer.Status, text, err)
	}
}

// forgotten counts how often a subsystem has lost its memory. A zone that was emptied counts its serial from 1 again.
func (d *demo) forgotten(name string) (n int) {
	d.t.Helper()
	if name != "dns" {
		return count(d.ledger(name), subsystem.Forgot)
	}
	last := uint32(0)
	for _, l := range d.zoneLedger() {
		if l.Serial < last {
			n++
		}
		last = l.Serial
	}
	return n
}
