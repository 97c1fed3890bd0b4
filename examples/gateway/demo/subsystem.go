package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/setpointhq/setpoint/examples/gateway/subsystems/allocator"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/dnsserver"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/host"
)

// Zone is the DNS zone of the demo.
const Zone = "edge.test"

// Command is the hidden command that runs a subsystem: "<program> demo-subsystem <name> <directory>". ProxyCommand runs a
// proxy process, for the instance host.
const (
	Command      = "demo-subsystem"
	ProxyCommand = "demo-proxy"
)

// Names lists the subsystems, in the order in which they are started.
var Names = []string{"upstream", "allocator", "hosts", "dns"}

// runners run a subsystem in its directory, listening at an address, until ctx ends.
var runners = map[string]func(ctx context.Context, dir, listen string, ready func(net.Addr)) error{
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
				if err := writeFile(filepath.Join(dir, "control"), control.String()); err == nil {
					ready(dns)
				}
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

// RunSubsystem runs one subsystem in dir until ctx ends. It holds dir/lock for as long, so that there is one, and writes dir/pid and, when
// it serves, dir/address. It listens where it did before.
func RunSubsystem(ctx context.Context, name, dir string) error {
	run, ok := runners[name]
	if !ok {
		return fmt.Errorf("subsystem %q: there is none of that name; want one of %v", name, Names)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("subsystem %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("subsystem %s: another process runs it in %s: %w", name, dir, err)
	}
	if err := writeFile(filepath.Join(dir, "pid"), strconv.Itoa(os.Getpid())); err != nil {
		return err
	}
	listen := "127.0.0.1:0"
	if last, err := os.ReadFile(filepath.Join(dir, "address")); err == nil {
		listen = strings.TrimSpace(string(last))
	}
	return run(ctx, dir, listen, func(at net.Addr) {
		if err := writeFile(filepath.Join(dir, "address"), at.String()); err == nil {
			err = writeFile(filepath.Join(dir, "ready"), strconv.Itoa(os.Getpid()))
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	})
}

// running is the process that holds a directory's lock, 0 when none does.
func running(dir string) (pid int, err error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return 0, unix.Flock(int(lock.Fd()), unix.LOCK_UN)
	}
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return 0, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// startLimit bounds how long a subsystem may take to serve.
const startLimit = 30 * time.Second

// Start makes sure that a subsystem runs, as a process that outlives this one, and returns its address.
func Start(ctx context.Context, name, dir string) (address string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	pid, err := running(dir)
	if err != nil {
		return "", fmt.Errorf("subsystem %s: %w", name, err)
	}
	if pid == 0 {
		if err := spawn(name, dir); err != nil {
			return "", fmt.Errorf("subsystem %s: start it: %w", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if pid, err := running(dir); err == nil && pid != 0 {
			ready, err := os.ReadFile(filepath.Join(dir, "ready"))
			if err == nil && string(ready) == strconv.Itoa(pid) {
				text, err := os.ReadFile(filepath.Join(dir, "address"))
				return strings.TrimSpace(string(text)), err
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("subsystem %s does not serve: see %s: %w", name, filepath.Join(dir, "output"), ctx.Err())
		case <-tick.C:
		}
	}
}

// spawn starts this program again as a subsystem, in a session of its own.
func spawn(name, dir string) error {
	if err := os.Remove(filepath.Join(dir, "ready")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	output, err := os.OpenFile(filepath.Join(dir, "output"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, output.Close()) }()
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	c := exec.Command("/proc/self/exe", Command, name, absolute)
	c.Stdout, c.Stderr = output, output
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return err
	}
	go func() { reap(c) }()
	return nil
}

// reap collects the exit of a child that ends while this process lives.
func reap(c *exec.Cmd) {
	if err := c.Wait(); err != nil {
		fmt.Fprintf(os.Stderr, "subsystem %v ended: %v\n", c.Args[2:], err)
	}
}

// Stop ends the subsystems below a directory, and with the host its proxies.
func Stop(ctx context.Context, root string) error {
	var problems []error
	for i := len(Names) - 1; i >= 0; i-- {
		problems = append(problems, stop(ctx, Names[i], filepath.Join(root, Names[i])))
	}
	return errors.Join(problems...)
}

func stop(ctx context.Context, name, dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for asked := false; ; {
		pid, err := running(dir)
		if err != nil || pid == 0 {
			return err
		}
		if !asked {
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
				return fmt.Errorf("subsystem %s: end process %d: %w", name, pid, err)
			}
			asked = true
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("subsystem %s: process %d does not end: %w", name, pid, ctx.Err())
		case <-tick.C:
		}
	}
}

func writeFile(path, content string) error {
	if err := os.WriteFile(path+".new", []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
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
