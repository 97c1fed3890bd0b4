package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Command is the hidden command that runs a subsystem: "<program> demo-subsystem <name> <directory>".
const Command = "demo-subsystem"

// Runner runs a subsystem in its directory, listening at an address, until ctx ends, and says when it serves.
type Runner func(ctx context.Context, dir, listen string, ready func(net.Addr)) error

// Run runs one subsystem in dir until ctx ends. It holds dir/lock for as long, so that there is one, and writes dir/pid and, when
// it serves, dir/address. It listens where it did before, unless somebody else does by now.
func Run(ctx context.Context, name, dir string, run Runner) (err error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("subsystem %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(lock.Fd(), unix.F_SETLK, &whole); err != nil {
		return fmt.Errorf("subsystem %s: another process runs it in %s: %w", name, dir, err)
	}
	if err := WriteFile(filepath.Join(dir, "pid"), strconv.Itoa(os.Getpid())); err != nil {
		return err
	}
	ready := func(at net.Addr) {
		err := WriteFile(filepath.Join(dir, "address"), at.String())
		if err == nil {
			err = WriteFile(filepath.Join(dir, "ready"), strconv.Itoa(os.Getpid()))
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

// Stop ends a subsystem, if it runs in dir, and waits until it has.
func Stop(ctx context.Context, name, dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for asked := 0; ; {
		pid, err := running(dir)
		if err != nil || pid == 0 && ended(asked) {
			return err
		}
		if asked == 0 {
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("subsystem %s: end process %d: %w", name, pid, err)
			}
			asked = pid
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("subsystem %s: process %d does not end: %w", name, asked, ctx.Err())
		case <-tick.C:
		}
	}
}

// ended reports whether a process is gone, or only waits for its parent to take note. A subsystem gives up its lock a moment before.
func ended(pid int) bool {
	if pid == 0 {
		return true
	}
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X")
}

// WriteFile replaces a file as a whole.
func WriteFile(path, content string) error {
	if err := os.WriteFile(path+".new", []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
