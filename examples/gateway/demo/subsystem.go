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
				if err := writeFile(filepath.Join(dir, "control"), control.String()); err != nil {
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

// RunSubsystem runs one subsystem in dir until ctx ends. It holds dir/lock for as long, so that there is one, and writes dir/pid and, when
// it serves, dir/address. It listens where it did before, unless somebody else does by now.
func RunSubsystem(ctx context.Context, name, dir string) (err error) {
	run, ok := runners[name]
	if !ok {
		return fmt.Errorf("subsystem %q: there is none of that name; want one of %v", name, Names)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("subsystem %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(lock.Fd(), unix.F_SETLK, &whole); err != nil {
		return fmt.Errorf("subsystem %s: another process runs it in %s: %w", name, dir, err)
	}
	if err := writeFile(filepath.Join(dir, "pid"), strconv.Itoa(os.Getpid())); err != nil {
		return err
	}
	ready := func(at net.Addr) {
		err := writeFile(filepath.Join(dir, "address"), at.String())
		if err == nil {
			err = writeFile(filepath.Join(dir, "ready"), strconv.Itoa(os.Getpid()))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if last, err := os.ReadFile(filepath.Join(dir, "address")); err == nil {
		if err := run(ctx, dir, strings.TrimSpace(string(last)), ready); !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
	return run(ctx, dir, "127.0.0.1:0", ready)
}

// running is the process that holds a directory's lock, 0 when none does. The kernel is asked who it is, without taking the lock, which would keep out a
// subsystem that starts at that moment.
func running(dir string) (pid int, err error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(lock.Fd(), unix.F_GETLK, &whole); err != nil || whole.Type == unix.F_UNLCK {
		return 0, err
	}
	return int(whole.Pid), nil
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
	var ended <-chan struct{}
	if pid == 0 {
		if ended, err = spawn(name, dir); err != nil {
			return "", fmt.Errorf("subsystem %s: start it: %w", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		pid, err := running(dir)
		if err == nil && pid != 0 {
			ready, err := os.ReadFile(filepath.Join(dir, "ready"))
			if err == nil && string(ready) == strconv.Itoa(pid) {
				text, err := os.ReadFile(filepath.Join(dir, "address"))
				return strings.TrimSpace(string(text)), err
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("subsystem %s does not serve: see %s: %w", name, filepath.Join(dir, "output"), ctx.Err())
		case <-ended:
			if pid == 0 {
				return "", fmt.Errorf("subsystem %s ended before it served: see %s", name, filepath.Join(dir, "output"))
			}
			ended = nil // another one was faster
		case <-tick.C:
		}
	}
}

// spawn starts this program again as a subsystem, in a session of its own. The channel is closed if it ends while this process lives.
func spawn(name, dir string) (ended <-chan struct{}, err error) {
	if err := os.Remove(filepath.Join(dir, "ready")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	output, err := os.OpenFile(filepath.Join(dir, "output"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, output.Close()) }()
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	c := exec.Command("/proc/self/exe", Command, name, absolute)
	c.Stdout, c.Stderr = output, output
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return nil, err
	}
	end := make(chan struct{})
	go func() {
		defer close(end)
		reap(c)
	}()
	return end, nil
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
