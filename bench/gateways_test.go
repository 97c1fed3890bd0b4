package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/allocator"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/authority"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/dnsupdate"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/host"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/proxy"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// answering is a subsystem that does at once what it is asked, so that what is measured is the plane.
type answering[Q any] func(command.Call, Q) any

// Do decodes the request, and encodes the answer.
func (f answering[Q]) Do(_ context.Context, c command.Call) command.Result {
	var request Q
	if err := json.Unmarshal(c.Request, &request); err != nil {
		return command.Result{Outcome: command.OutcomeRefused, Class: command.Terminal, Message: err.Error()}
	}
	body, err := json.Marshal(f(c, request))
	if err != nil {
		return command.Result{Outcome: command.OutcomeRefused, Class: command.Terminal, Message: err.Error()}
	}
	return command.Result{Outcome: command.OutcomeDone, Body: body}
}

// fiveSubsystems are those of the gateway service, in this process.
func fiveSubsystems() []setpoint.Adapter {
	policy := setpoint.Policy{Concurrency: 16}
	var mu sync.Mutex
	granted := 0
	grant := func(command.Call, allocator.Request) any {
		mu.Lock()
		defer mu.Unlock()
		granted++
		return allocator.Result{Address: fmt.Sprintf("127.%d.%d.%d", 64+granted/62500, granted/250%250, granted%250+1)}
	}
	issue := func(c command.Call, r authority.Request) any {
		return authority.Result{Serial: fmt.Sprintf("%s-%d", c.Key, r.Rotation), NotAfter: time.Now().UTC().Truncate(time.Second).Add(gateway.CertificateLife)}
	}
	boot := func(c command.Call, _ host.Request) any {
		return host.Result{PID: 4711, Boot: c.Key + "#1", Admin: "http://127.0.0.1:7000/" + c.Key}
	}
	push := func(c command.Call, r proxy.Request) any { return proxy.Result{Version: string(c.Token), Boot: r.Boot} }
	publish := func(_ command.Call, r dnsupdate.Request) any { return dnsupdate.Result{Addresses: r.Addresses} }
	return []setpoint.Adapter{
		{Name: "allocator", Adapter: answering[allocator.Request](grant), Policy: policy},
		{Name: "authority", Adapter: answering[authority.Request](issue), Policy: policy},
		{Name: "hosts", Adapter: answering[host.Request](boot), Policy: policy},
		{Name: "proxies", Adapter: answering[proxy.Request](push), Policy: policy},
		{Name: "dns", Adapter: answering[dnsupdate.Request](publish), Policy: policy},
	}
}

// BenchmarkGateways brings 5,000 gateways of the example to Active, asked for by 64 clients as fast as they are accepted: six objects and five
// calls each.
func BenchmarkGateways(b *testing.B) {
	for b.Loop() {
		report(b, convergeGatewaysOnSQLite(b, 5000))
	}
}

func convergeGatewaysOnSQLite(tb testing.TB, n int) map[string]float64 {
	path := filepath.Join(tb.TempDir(), "gateways.db")
	st := &counted{engine: open(tb, sqlite.Options{Path: path})}
	m := convergeGateways(tb, st, n)
	closeStore(tb, st)
	// Every commit writes a row of the feed.
	m["rows-written/gateway"] = each(st.commits.Load()+st.objects.Load()+st.commands.Load()+st.others.Load()+lines(tb, path), n)
	return m
}

// convergeGateways makes so many gateways, and returns what each has cost.
func convergeGateways(tb testing.TB, st *counted, n int) map[string]float64 {
	plane := runPlane(tb, setpoint.Config{Store: st, Kinds: gateway.Kinds(), Controllers: gateway.Controllers(), Adapters: fiveSubsystems()})
	statements := st.Statements()
	s := start(tb)
	askForGateways(tb, plane, n)
	asked := s.used(tb)
	waitForGateways(tb, plane, n)
	used := s.used(tb)
	turns, _ := plane.turns()
	statements = st.Statements() - statements
	plane.stop(tb)
	wall, cpu := used.each(n)
	return map[string]float64{
		"cpu-µs/gateway": cpu, "wall-µs/gateway": wall, "s-to-accept-all": asked.wall.Seconds(), "s-to-converge-all": used.wall.Seconds(),
		"commits/gateway": each(st.commits.Load(), n), "turns/gateway": each(turns, n), "statements/gateway": each(statements, n),
		"objects-written/gateway": each(st.objects.Load(), n), "commands-written/gateway": each(st.commands.Load(), n),
	}
}

func gatewayName(i int) string { return fmt.Sprintf("shop-%05d", i) }

func askForGateways(tb testing.TB, plane *running, n int) {
	const clients = 64
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for i := c; i < n; i += clients {
				o, err := gateway.Gateways.New("default", resource.Name(gatewayName(i)), gateway.GatewaySpec{
					Hostname: gatewayName(i) + ".edge.test",
					Routes:   []gateway.Route{{Path: "/", Upstream: "http://127.0.0.1:9000"}, {Path: "/api", Upstream: "http://127.0.0.1:9001"}},
				}, resource.Birth{Now: time.Now()})
				if err == nil {
					_, err = plane.Create(tb.Context(), "api:bench", o, false)
				}
				if err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// waitForGateways returns when all are Active, and nothing is left to do.
func waitForGateways(tb testing.TB, plane *running, n int) {
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for i := 0; i < n && !tb.Failed(); {
		o, ok := plane.View().Get(gateway.Gateways.Key("default", resource.Name(gatewayName(i))))
		if ok && o.State == gateway.Active && o.Ready() {
			i++
			continue
		}
		<-look.C
	}
	for idle := false; !idle; _, idle = plane.turns() {
		<-look.C
	}
}
