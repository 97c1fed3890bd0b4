package demo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/authority"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/dnsupdate"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/proxy"
	"github.com/setpointhq/setpoint/examples/internal/daemon"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/server"
)

// Options configure [Run].
type Options struct {
	// Directory holds the subsystems' folders and the certificate authority.
	Directory string
	// Server is completed with kinds, controllers and adapters.
	Server server.Options
	// Output is where the URLs and the next commands are printed.
	Output io.Writer
	Logger *slog.Logger
	// Empty does not create the first gateway.
	Empty bool
}

// Run starts what is not running yet, and serves until ctx ends. The subsystems and the proxies go on; [Stop] ends them.
func Run(ctx context.Context, o Options) error {
	at, err := StartAll(ctx, o.Directory)
	if err != nil {
		return err
	}
	ca, err := authority.Open(filepath.Join(o.Directory, "authority"), gateway.CertificateLife)
	if err != nil {
		return err
	}
	o.Server.Kinds, o.Server.Controllers = gateway.Kinds(), gateway.Controllers()
	o.Server.Adapters = Adapters(at, ca, o.Logger)
	if !o.Empty {
		o.Server.Running = func(ctx context.Context, p *setpoint.Plane) error { return introduce(ctx, o, p, at, ca) }
	}
	return server.Run(ctx, o.Server)
}

// StartAll makes sure that every subsystem runs, and returns their addresses by name.
func StartAll(ctx context.Context, root string) (map[string]string, error) {
	at := map[string]string{}
	for _, name := range Names {
		address, err := daemon.Start(ctx, name, filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		at[name] = address
	}
	return at, nil
}

// Adapters are the ways to the subsystems.
func Adapters(at map[string]string, ca *authority.Authority, log *slog.Logger) []setpoint.Adapter {
	client := func(name string) *subsystem.Client {
		return subsystem.NewClient(subsystem.ClientOptions{URL: "http://" + at[name], Log: log})
	}
	policy := setpoint.Policy{Timeout: 5 * time.Second, Cap: 5 * time.Second}
	return []setpoint.Adapter{
		{Name: "allocator", Adapter: client("allocator"), Policy: policy},
		{Name: "hosts", Adapter: client("hosts"), Policy: setpoint.Policy{Timeout: 20 * time.Second, Cap: 5 * time.Second}},
		{Name: "authority", Adapter: ca, Policy: policy},
		{Name: "proxies", Adapter: proxy.NewAdapter(proxy.AdapterOptions{Certificates: ca.Find}), Policy: policy},
		{Name: "dns", Adapter: dnsupdate.New(dnsupdate.Options{Server: at["dns"], Zone: Zone, Log: log}), Policy: policy},
	}
}

// introduce creates the first gateway, waits until it serves, and says what to try.
func introduce(ctx context.Context, o Options, p *setpoint.Plane, at map[string]string, ca *authority.Authority) error {
	key := gateway.Gateways.Key("default", "shop")
	if _, exists := p.View().Get(key); !exists {
		g, err := gateway.Gateways.New("default", "shop", gateway.GatewaySpec{
			Hostname: "shop." + Zone, Replicas: 2, Routes: []gateway.Route{{Path: "/", Upstream: "http://" + at["upstream"]}},
		}, resource.Birth{})
		if err != nil {
			return err
		}
		if _, err := p.Create(ctx, "api:demo", g, false); err != nil {
			return err
		}
	}
	o.say("The subsystems run; their files are in %s. Waiting for the gateway to serve ...", o.Directory)
	g, err := awaitState(ctx, p, key, gateway.Active)
	if err != nil {
		return err
	}
	status, err := resource.View[gateway.GatewaySpec, gateway.GatewayStatus](g)
	if err != nil {
		return err
	}
	o.say("%s", guide(status, at, ca))
	return nil
}

// awaitState follows the feed until an object is in a state.
func awaitState(ctx context.Context, p *setpoint.Plane, key setpoint.Key, want setpoint.State) (*setpoint.Object, error) {
	for {
		at := p.View().Revision()
		if o, ok := p.View().Get(key); ok && o.State == want {
			return o, nil
		}
		if err := p.View().WaitFor(ctx, at+1); err != nil {
			return nil, err
		}
	}
}

func (o Options) say(format string, args ...any) {
	if o.Output != nil {
		fmt.Fprintf(o.Output, format+"\n", args...)
	}
}

// guide is what a person sees when the demo is up.
func guide(g *gateway.Gateway, at map[string]string, ca *authority.Authority) string {
	hostname, port, _ := strings.Cut(at["dns"], ":")
	return fmt.Sprintf(`
Gateway shop is Active at %s (address %s).

  curl --cacert %s --resolve %s:%d:%s %s/
  dig @%s -p %s %s A +short

Three things to try next, in this folder:

  setpoint get gateways -w              # or: kubectl --kubeconfig .setpoint/kubeconfig get gateways -w
  setpoint describe gateway shop        # and kill -9 one of its processes: it is replaced
  setpoint why gateway shop             # what it waits for, when it is not Active

Stop with Ctrl-C: the proxies go on, and are found again. "setpoint demo-stop" ends them too.`,
		g.Status.URL, g.Status.Address,
		ca.RootPath(), g.Spec.Hostname, gateway.Port, g.Status.Address, g.Status.URL,
		hostname, port, g.Spec.Hostname)
}
