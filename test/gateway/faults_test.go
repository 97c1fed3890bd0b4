package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/client"
	edge "github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/proxy"
)

// web reaches the subsystems; it keeps no connections.
var web = http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

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
		if faults.Forget == often {
			d.awaitForgotten(size(3, 20))
		}
		faults.Forget = 0
		d.misbehave(faults)
		d.forgetNow(faults)
	}
	all := d.awaitWishes(wishes)
	made := time.Since(began)
	d.agree(all)
	d.simulated(all)

	for i := range gateways {
		d.mustDelete(name(i))
	}
	all = d.awaitWishes(map[string]edge.GatewaySpec{"shop": wishes["shop"]})
	d.agree(all)
	d.simulated(all)
	d.once()
	after := d.tally()
	maps.DeleteFunc(after, func(k string, n int) bool { after[k] = n - before[k]; return after[k] == 0 })
	d.t.Logf("%d gateways: %v until all served, %v in all; effects: %v", gateways, made.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), after)
}

// begun waits until a part of the gateways has got somewhere, so that changes meet them half-way.
func (d *demo) begun(gateways int) {
	d.t.Helper()
	d.await("some gateways have an address", func() (string, bool) {
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
		d.await(name+" shows in its ledger that it has forgotten everything", func() (string, bool) {
			return fmt.Sprint(len(d.zoneLedger())), d.forgotten(name) > before // the zone's shows it with the next update
		})
	}
}

// awaitForgotten waits until every subsystem has forgotten everything so many times more.
func (d *demo) awaitForgotten(times int) {
	d.t.Helper()
	for name := range d.controls() {
		target := d.forgotten(name) + times
		d.await(fmt.Sprintf("%s has forgotten everything %d times", name, times), func() (string, bool) {
			n := d.forgotten(name)
			return fmt.Sprint(n), n >= target
		})
	}
}

func (d *demo) tell(address string, f subsystem.Faults) {
	d.t.Helper()
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
		d.t.Fatalf("faults of %s: %s %s %v", address, answer.Status, text, err)
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
	for _, name := range []string{"allocator", "hosts"} {
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

// simulated checks that the host has exactly the instances that the gateways need, and that each has the configuration that it should have.
func (d *demo) simulated(all map[string]gateway) {
	d.t.Helper()
	var want []string
	for name, g := range all {
		for i := range g.Spec.Replicas {
			want = append(want, fmt.Sprintf("default/%s.i%d", name, i))
		}
	}
	var page subsystem.Inventory
	d.fetch("http://"+d.read("hosts", "address")+"/v1/inventory", &page)
	var have []string
	for _, item := range page.Items {
		have = append(have, item.Key)
		if item.Lost != "" {
			d.t.Errorf("instance %s is lost: %s", item.Key, item.Lost)
		}
	}
	slices.Sort(want)
	if !slices.Equal(have, want) {
		d.t.Errorf("the host has the instances %v, want %v", have, want)
	}
	d.configured(all)
}

// configured asks every simulated proxy what it has loaded.
func (d *demo) configured(all map[string]gateway) {
	d.t.Helper()
	instances, err := d.client.Resolve(d.t.Context(), "instances")
	if err != nil {
		d.t.Fatal(err)
	}
	for o, err := range d.client.All(d.t.Context(), instances, client.ListOptions{}) {
		if err != nil {
			d.t.Fatal(err)
		}
		var instance edge.InstanceStatus
		if err := o.DecodeStatus(&instance); err != nil {
			d.t.Fatal(err)
		}
		name, _, _ := strings.Cut(string(o.Metadata.Name), ".")
		var status proxy.Status
		d.fetch(instance.Admin+"/status", &status)
		g := all[name]
		if want := []string{fmt.Sprintf("%s:%d", g.Status.Address, edge.Port)}; status.Hostname != g.Spec.Hostname || !slices.Equal(status.Listen, want) {
			d.t.Errorf("proxy %s has loaded %+v, want %s on %v", o.Metadata.Name, status, g.Spec.Hostname, want)
		}
	}
}

func (d *demo) fetch(url string, into any) {
	d.t.Helper()
	answer, err := web.Get(url)
	if err != nil {
		d.t.Fatal(err)
	}
	err = json.NewDecoder(answer.Body).Decode(into)
	if err := errors.Join(err, answer.Body.Close()); err != nil || answer.StatusCode != http.StatusOK {
		d.t.Fatalf("%s: %s %v", url, answer.Status, err)
	}
}
