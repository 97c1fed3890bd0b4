package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/client"
	edge "github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/proxy"
)

// web reaches the subsystems; it keeps no connections.
var web = http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// straySimulated is strays for a host that simulates: by its inventory, and by what each proxy says it has loaded.
func (d *demo) straySimulated(all map[string]gateway) (found []string) {
	d.t.Helper()
	var have []string
	for after := ""; ; {
		var page subsystem.Inventory
		if err := d.fetch("http://"+d.Read("hosts", "address")+"/v1/inventory?after="+url.QueryEscape(after), &page); err != nil {
			d.t.Fatal(err)
		}
		for _, item := range page.Items {
			have = append(have, item.Key)
			if item.Lost != "" {
				found = append(found, fmt.Sprintf("instance %s is lost: %s", item.Key, item.Lost))
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if want := instances(all); !slices.Equal(have, want) {
		return append(found, fmt.Sprintf("the host has the instances %v, want %v", have, want))
	}
	return append(found, d.misconfigured(all)...)
}

// misconfigured asks every simulated proxy what it has loaded. They take configurations as real ones do, from the listener of the host.
func (d *demo) misconfigured(all map[string]gateway) (found []string) {
	d.t.Helper()
	instances, err := d.Client.Resolve(d.t.Context(), "instances")
	if err != nil {
		d.t.Fatal(err)
	}
	for o, err := range d.Client.All(d.t.Context(), instances, client.ListOptions{}) {
		if err != nil {
			d.t.Fatal(err)
		}
		var instance edge.InstanceStatus
		if err := o.DecodeStatus(&instance); err != nil {
			d.t.Fatal(err)
		}
		name, _, _ := strings.Cut(string(o.Metadata.Name), ".")
		var status proxy.Status
		if err := d.fetch(instance.Admin+"/status", &status); err != nil {
			return append(found, err.Error()) // it has just been lost
		}
		g := all[name]
		if want := []string{fmt.Sprintf("%s:%d", g.Status.Address, edge.Port)}; status.Hostname != g.Spec.Hostname || !slices.Equal(status.Listen, want) {
			found = append(found, fmt.Sprintf("proxy %s has loaded %+v, want %s on %v", o.Metadata.Name, status, g.Spec.Hostname, want))
		}
	}
	return found
}

// fetch reads JSON from a subsystem.
func (d *demo) fetch(url string, into any) error {
	answer, err := web.Get(url)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s %s", url, answer.Status, text)
	}
	return errors.Join(err, json.Unmarshal(text, into))
}
