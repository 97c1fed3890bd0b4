package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/setpointhq/setpoint/examples/gateway/subsystems/allocator"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/dnsserver"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/host"
	"github.com/setpointhq/setpoint/examples/internal/daemon"
)

// Zone is the DNS zone of the demo.
const Zone = "edge.test"

// Command is the hidden command that runs a subsystem: "<program> demo-subsystem <name> <directory>". ProxyCommand runs a
// proxy process, for the instance host.
const (
	Command      = daemon.Command
	ProxyCommand = "demo-proxy"
)

// Names lists the subsystems, in the order in which they are started.
var Names = []string{"upstream", "allocator", "hosts", "dns"}

// runners run a subsystem in its directory, listening at an address, until ctx ends.
var runners = map[string]daemon.Runner{
	"upstream": runUpstream,
	"allocator": func(ctx context.Context, dir, listen string, ready func(net.Addr)) error {
		edge, err := pool(dir)
		if err != nil {
			return fmt.Errorf("choose a pool of addresses: %w", err)
		}
		return allocator.Run(ctx, allocator.Options{Dir: dir, Listen: listen, Ready: ready, Pools: map[string]string{"edge": edge}})
	},
	"hosts": func(ctx context.Context, dir, listen string, ready func(net.Addr)) error {
		return host.Run(ctx, host.Options{
			Dir: dir, Listen: listen, Ready: ready, StopInstances: true,
			Simulated: os.Getenv("SETPOINT_DEMO_SIMULATED") != "",
			Images:    map[string][]string{"proxy": {"/proc/self/exe", ProxyCommand}},
		})
	},
	"dns": func(ctx context.Context, dir, listen string, ready func(net.Addr)) error {
		control := beside(listen)
		return dnsserver.Run(ctx, dnsserver.Options{
			Zone: Zone, Dir: dir, Listen: listen, Control: control, Ready: func(dns, control net.Addr) {
				if err := daemon.WriteFile(filepath.Join(dir, "control"), control.String()); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				ready(dns)
			},
		})
	},
}

// beside is the control listener of a server: another port of the same address.
func beside(listen string) string {
	hostname, _, err := net.SplitHostPort(listen)
	if err != nil {
		return "127.0.0.1:0"
	}
	return net.JoinHostPort(hostname, "0")
}

// RunSubsystem runs one subsystem in dir until ctx ends.
func RunSubsystem(ctx context.Context, name, dir string) error {
	run, ok := runners[name]
	if !ok {
		return fmt.Errorf("subsystem %q: there is none of that name; want one of %v", name, Names)
	}
	return daemon.Run(ctx, name, dir, run)
}

// Stop ends the subsystems below a directory, and with the host its proxies.
func Stop(ctx context.Context, root string) error {
	var problems []error
	for i := len(Names) - 1; i >= 0; i-- {
		problems = append(problems, daemon.Stop(ctx, Names[i], filepath.Join(root, Names[i])))
	}
	return errors.Join(problems...)
}

// runUpstream serves something to route to: it says who it is and what it was asked.
func runUpstream(ctx context.Context, _, listen string, ready func(net.Addr)) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from the upstream: %s %s for %s\n", r.Method, r.URL.Path, r.Host)
	})}
	stop := context.AfterFunc(ctx, func() {
		if err := server.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	})
	defer stop()
	ready(listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
