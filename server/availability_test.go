package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/availability"
	"github.com/setpointhq/setpoint/cli"
	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/server"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

var stores = setpoint.MustDefine(setpoint.KindOptions[none, none]{
	Group: "history.example", Version: "v1", Kind: "Database",
	Lifecycle: setpoint.Lifecycle{
		{State: "Provisioning", To: setpoint.To("Available", "Deleting")},
		{State: "Available", Healthy: true, Stable: true, To: setpoint.To("Unavailable", "Deleting")},
		{State: "Unavailable", To: setpoint.To("Available", "Deleting")},
		{State: "Deleting", Deleting: true, To: setpoint.To("Deleted")},
		{State: "Deleted", Final: true},
	},
})

// script is what happened, in minutes after its beginning, in order. Of the three in the namespace shop:
//
//	         0    10   20   30   60   70   90   100  110  112  130  135  220  240
//	orders   Prov Available      Unav Available                Unav Available
//	carts              Prov Available       Unavailable (100–220)         Available
//	old        (5) Prov (15) Available  Unav (90–110) Deleting gone
var script = []struct {
	minute int
	object string
	state  setpoint.State
}{
	{0, "orders", "Provisioning"}, {0, "web/site", "Provisioning"}, {5, "old", "Provisioning"}, {10, "orders", "Available"}, {10, "web/site", "Available"},
	{15, "old", "Available"}, {20, "carts", "Provisioning"}, {30, "carts", "Available"}, {60, "orders", "Unavailable"}, {70, "orders", "Available"},
	{90, "old", "Unavailable"}, {100, "carts", "Unavailable"}, {110, "old", "Deleting"}, {112, "old", "Deleted"},
	{130, "orders", "Unavailable"}, {135, "orders", "Available"}, {220, "carts", "Available"},
}

func keyOf(object string) resource.Key {
	if ns, name, ok := strings.Cut(object, "/"); ok {
		return stores.Key(resource.Namespace(ns), resource.Name(name))
	}
	return stores.Key("shop", resource.Name(object))
}

// play makes a database in which the script has happened, in virtual time, and returns when it began.
func play(t *testing.T, path string) (began time.Time) {
	synctest.Test(t, func(t *testing.T) {
		st, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Register(t.Context(), []store.Rules{{Kind: stores.ID(), Lifecycle: stores.Lifecycle}}); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		for _, line := range script {
			time.Sleep(time.Until(began.Add(time.Duration(line.minute) * time.Minute)))
			if _, err := st.Commit(t.Context(), store.Transaction{Writer: store.Writer{Name: "test"}, Objects: []store.ObjectWrite{write(t, st, line.object, line.state)}}); err != nil {
				t.Fatalf("%s at minute %d: %v", line.object, line.minute, err)
			}
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	})
	return began.UTC()
}

// write brings an object into a state.
func write(t *testing.T, st store.Store, object string, state setpoint.State) store.ObjectWrite {
	t.Helper()
	key, now := keyOf(object), time.Now()
	have, err := st.Object(t.Context(), key)
	if err != nil {
		o := &resource.Object{Spec: []byte(`{}`)}
		o.Key, o.UID, o.Generation, o.Created, o.State, o.StateSince = key, resource.UID("uid-"+object), 1, now, state, now
		return store.ObjectWrite{Object: o, Reason: "Created"}
	}
	o, expect := have.Clone(), have.Revision
	switch state {
	case "Deleted": // the last finalizer goes, and with it the object
		o.Finalizers = nil
		return store.ObjectWrite{Expect: expect, Object: o, Gone: state}
	case "Deleting":
		o.Deleted, o.Finalizers = now, []resource.Finalizer{"test"}
	}
	o.State, o.StateSince = state, now
	return store.ObjectWrite{Expect: expect, Object: o, Reason: "To" + string(state)}
}

// hand are figures that were computed by hand, in minutes.
type hand struct {
	objects, up, down, outages, recovered, mean, p50, p99, longest int
	ratio                                                          float64
}

func handOfGroup(g availability.Group) hand {
	ratio, _ := g.Uptime.Value()
	return hand{g.Objects, minutesOf(g.Up), minutesOf(g.Down), g.Outages, g.Recovery.Count, minutesOf(g.Recovery.Mean), minutesOf(g.Recovery.P50), minutesOf(g.Recovery.P99), minutesOf(g.Longest), ratio}
}

func handOfReport(r availability.Report) hand {
	ratio, _ := r.Availability.Value()
	return hand{1, minutesOf(r.Up), minutesOf(r.Down), len(r.Outages), r.Recovery.Count, minutesOf(r.Recovery.Mean), minutesOf(r.Recovery.P50), minutesOf(r.Recovery.P99), minutesOf(r.Longest), ratio}
}

func minutesOf(s availability.Span) int { return int(s.Duration() / time.Minute) }

// figure is what one question is answered with, by hand.
type figure struct {
	reason   string
	path     string // below the kind's URL
	args     []string
	from, to int
	more     url.Values
	want     map[string]hand // by group, or "" for a report
	// curve lists the worst windows: size, beginning, end, up and down, in minutes.
	curve [][5]int
}

var figures = []figure{
	{
		// Up 10–60, 70–130, 135–240 = 50+60+105; down 60–70, 130–135. Recoveries of 10 and 5: the 1st of 2 is the median, the 2nd is p99; the mean 7.5 is cut to whole minutes.
		// Worst 10 minutes: 60–70, all down. Worst hour: 60–70 and 130–135 are further apart than an hour, so an hour with 10 down: from 10 on, where it begins to count. Worst two
		// hours: 60–180 has both, and 15–135, the first that has, ends with the second outage.
		reason: "one object", path: "/namespaces/shop/databases/orders", args: []string{"database", "orders", "-n", "shop"}, from: 0, to: 240,
		want:  map[string]hand{"": {1, 215, 15, 2, 2, 7, 5, 10, 10, 215.0 / 230}},
		curve: [][5]int{{10, 60, 70, 0, 10}, {60, 10, 70, 50, 10}, {120, 15, 135, 105, 15}, {240, 0, 240, 215, 15}},
	},
	{
		// In trouble since before the window: its outage is 120 long, 70 of it within.
		reason: "one that begins the window in trouble", path: "/namespaces/shop/databases/carts", args: []string{"database/carts", "-n", "shop"}, from: 150, to: 240,
		want:  map[string]hand{"": {1, 20, 70, 1, 1, 120, 120, 120, 120, 20.0 / 90}},
		curve: [][5]int{{10, 150, 160, 0, 10}, {60, 150, 210, 0, 60}},
	},
	{
		// orders 215/15, carts 30–100 and 220–240 = 90 up, 120 down; old 15–90 = 75 up, 90–110 = 20 down, and given up: no recovery. 380 of 535.
		// Recoveries 5, 10, 120: mean 45, the 2nd of 3 is the median, the 3rd p99.
		// Objects up and down: 90–100 2/1, 100–110 1/2, 110–130 1/1, 130–135 0/2, 135–220 1/1. Worst 10 minutes: 125–135, 5 up and 5+10 down. Worst hour: 100–160, up 10+20+25,
		// down 20+20+10+25. Worst two hours: 100–220, up 10+20+85, down 20+20+10+85.
		reason: "a kind in a namespace, the removed one included", path: "/namespaces/shop/databases/-", args: []string{"databases", "-n", "shop"}, from: 0, to: 240,
		want:  map[string]hand{"all": {3, 380, 155, 4, 3, 45, 10, 120, 120, 380.0 / 535}},
		curve: [][5]int{{10, 125, 135, 5, 15}, {60, 100, 160, 55, 75}, {120, 100, 220, 115, 135}, {240, 0, 240, 380, 155}},
	},
	{
		// orders up 90; carts up 20, down 70; old was gone at 112. The outage of carts has its whole length, which is found before the window.
		reason: "a kind, from the middle of an outage on", path: "/namespaces/shop/databases/-", args: []string{"databases", "-n", "shop"}, from: 150, to: 240,
		want:  map[string]hand{"all": {2, 110, 70, 1, 1, 120, 120, 120, 120, 110.0 / 180}},
		curve: [][5]int{{10, 150, 160, 10, 10}, {60, 150, 210, 60, 60}},
	},
	{
		// The site is up 10–240 and was never down. Together 610 of 765 count.
		reason: "all namespaces, each by itself", path: "/databases/-", args: []string{"databases", "-A", "--by", "namespace"}, from: 0, to: 240, more: url.Values{"by": {"namespace"}},
		want: map[string]hand{
			"shop": {3, 380, 155, 4, 3, 45, 10, 120, 120, 380.0 / 535}, "web": {1, 230, 0, 0, 0, 0, 0, 0, 0, 1},
		},
		// Worst 10 minutes: 125–135 with the site has 15 up and 15 down, and 100–110, which is earlier, 10+10 up and 20 down. Worst hour 100–160: 55+60 up, 75 down. Worst two 100–220: 115+120 up, 135 down.
		curve: [][5]int{{10, 100, 110, 20, 20}, {60, 100, 160, 115, 75}, {120, 100, 220, 235, 135}, {240, 0, 240, 610, 155}},
	},
}

// TestAvailabilityIsWhatHandsCompute: a history that is known to the minute, asked for over HTTP and on the command line.
func TestAvailabilityIsWhatHandsCompute(t *testing.T) {
	database := filepath.Join(t.TempDir(), "setpoint.db")
	began := play(t, database)
	base, stop := startWith(t, server.Options{Listen: "127.0.0.1:0", Store: database, Kinds: []*setpoint.Definition{stores.Definition}})
	for _, f := range figures {
		at := func(minute int) string { return began.Add(time.Duration(minute) * time.Minute).Format(time.RFC3339) }
		query := url.Values{"from": {at(f.from)}, "to": {at(f.to)}, "sizes": {"10m,1h,2h,4h"}}
		for k, v := range f.more {
			query[k] = v
		}
		body := get(t, base+"/apis/history.example/v1"+f.path+"/availability?"+query.Encode())
		check(t, f, began, body)
		args := append([]string{"--server", base, "availability", "-o", "json", "--from", at(f.from), "--to", at(f.to), "--sizes", "10m,1h,2h,4h"}, f.args...)
		if out := command(t, args...); !bytes.Equal(compact(t, out), compact(t, body)) {
			t.Errorf("%s: setpoint %s prints\n%s\nand the API answers\n%s", f.reason, strings.Join(args, " "), out, body)
		}
	}
	table := string(command(t, "--server", base, "availability", "databases", "-n", "shop", "--from", began.Format(time.RFC3339), "--to", began.Add(4*time.Hour).Format(time.RFC3339), "--sizes", "1h"))
	want := `GROUP  OBJECTS  UPTIME   UP     DOWN   UNKNOWN  OUTAGES  OPEN  MTTR  P50  P99  MTBF
all    3        71.028%  6h20m  2h35m  0s       4        0     45m   10m  2h   2h6m

WORST                                 AVAILABILITY  DOWN  OUTAGES
Database.history.example/shop/carts   42.8571%      2h    1
Database.history.example/shop/old     78.9473%      20m   1
Database.history.example/shop/orders  93.4782%      15m   2

WINDOW  UPTIME    DOWN   WORST FROM            TO
1h      42.3076%  1h15m  2000-01-01T01:40:00Z  2000-01-01T02:40:00Z
`
	if table != want {
		t.Errorf("the table is\n%s\nwant\n%s", table, want)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func compact(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// check compares an answer with what was computed by hand.
func check(t *testing.T, f figure, began time.Time, body []byte) {
	t.Helper()
	var a client.Availability
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatalf("%s: %v: %s", f.reason, err, body)
	}
	got := map[string]hand{}
	for _, r := range a.Reports {
		got[""] = handOfReport(r)
	}
	for _, g := range a.Groups {
		got[g.Name] = handOfGroup(g)
	}
	if fmt.Sprint(got) != fmt.Sprint(f.want) {
		t.Errorf("%s: %+v, want %+v", f.reason, got, f.want)
	}
	var curve [][5]int
	for _, p := range a.Curve.Points {
		from, to := int(p.Worst.From.Sub(began)/time.Minute), int(p.Worst.To.Sub(began)/time.Minute)
		curve = append(curve, [5]int{minutesOf(p.Size), from, to, minutesOf(p.Up), minutesOf(p.Down)})
	}
	if fmt.Sprint(curve) != fmt.Sprint(f.curve) {
		t.Errorf("%s: the worst windows are %v, want %v", f.reason, curve, f.curve)
	}
}

// startWith runs a server with options, and returns its URL and a function that stops it.
func startWith(t *testing.T, o server.Options) (base string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	listening, ended := make(chan string, 1), make(chan error, 1)
	o.Listening = func(url string) error { listening <- url; return nil }
	go func() { ended <- server.Run(ctx, o) }()
	stop = func() error { http.DefaultClient.CloseIdleConnections(); cancel(); return <-ended }
	select {
	case base = <-listening:
	case err := <-ended:
		t.Fatalf("the server ended: %v", err)
	}
	return base, stop
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Body.Close(); err != nil {
		t.Error(err)
	}
	if r.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %s", url, r.Status, body)
	}
	return body
}

// command runs a command line that must succeed, and returns what it prints.
func command(t *testing.T, args ...string) []byte {
	t.Helper()
	var out, talk bytes.Buffer
	if code := cli.Run(t.Context(), cli.Program{Stdout: &out, Stderr: &talk}, args); code != cli.ExitOK {
		t.Fatalf("setpoint %s: exit code %d: %s", strings.Join(args, " "), code, &talk)
	}
	return out.Bytes()
}
