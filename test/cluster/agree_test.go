package cluster

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	edge "github.com/setpointhq/setpoint/examples/gateway"
)

// web reaches the subsystems; it keeps no connections.
var web = http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// inventory is what stands in a subsystem, by its own word.
func (w *town) inventory(name string) (keys []string) {
	w.Helper()
	for after := ""; ; {
		answer, err := web.Get("http://" + w.at[name] + "/v1/inventory?after=" + url.QueryEscape(after))
		if err != nil {
			w.Fatal(err)
		}
		var page subsystem.Inventory
		if err := json.NewDecoder(answer.Body).Decode(&page); err != nil {
			w.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil {
			w.Fatal(err)
		}
		for _, item := range page.Items {
			keys = append(keys, item.Key)
			if item.Lost != "" {
				w.Errorf("%s: %s is lost: %s", name, item.Key, item.Lost)
			}
		}
		if after = page.Next; after == "" {
			return keys
		}
	}
}

// agree checks that the subsystems have what the wishes need, and nothing else.
func (w *town) agree(wishes map[string]edge.GatewaySpec) {
	w.Helper()
	want := map[string][]string{}
	for name, wish := range wishes {
		want["allocator"] = append(want["allocator"], "default/"+name+".ip")
		want["authority"] = append(want["authority"], "default/"+name+".tls")
		want["dns"] = append(want["dns"], wish.Hostname)
		for i := range wish.Replicas {
			want["hosts"] = append(want["hosts"], fmt.Sprintf("default/%s.i%d", name, i))
		}
	}
	for name, keys := range want {
		have := w.inventory(name)
		slices.Sort(keys)
		slices.Sort(have)
		if !slices.Equal(keys, have) {
			missing := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return slices.Contains(have, k) })
			extra := slices.DeleteFunc(have, func(k string) bool { return slices.Contains(keys, k) })
			w.Errorf("%s lacks %v, and has %v that nobody wants", name, missing, extra)
		}
	}
}
