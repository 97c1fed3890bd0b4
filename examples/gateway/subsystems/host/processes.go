package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/proxy"
)

// Environment that marks a process as a host's, besides what package proxy reads.
const (
	envHost     = "SETPOINT_HOST"
	envInstance = "SETPOINT_INSTANCE"
	envToken    = "SETPOINT_TOKEN"
	envImage    = "SETPOINT_IMAGE"
	envAdmin    = "SETPOINT_ADMIN"
)

// processes runs instances as child processes that may outlive this one.
type processes struct {
	options Options
	id      string // the mark of this host's processes
	images  map[string][]string
	watcher *watcher

	mu   sync.Mutex
	live map[*instance]*process
}

// process is how an instance is reached.
type process struct {
	pidfd int
	// child is nil for a process that an earlier life of this host has started.
	child *exec.Cmd
}

func newProcesses(o Options, ended func(*instance, string)) (*processes, error) {
	p := &processes{options: o, images: o.Images, live: map[*instance]*process{}}
	if p.images == nil {
		program, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("host: find this program: %w", err)
		}
		p.images = map[string][]string{"proxy": {program, "demo-proxy"}}
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, "instances"), 0o700); err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	var err error
	if p.id, err = identity(filepath.Join(o.Dir, "host-id")); err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	p.watcher, err = newWatcher(func(i *instance) { ended(i, p.bury(i)) })
	return p, err
}

// identity reads or makes the mark of this host. It is written before the first process can carry it.
func identity(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil && len(text) > 0 {
		return string(text), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	id := rand.Text()
	if err := os.WriteFile(path+".new", []byte(id), 0o600); err != nil {
		return "", err
	}
	return id, os.Rename(path+".new", path)
}

// start runs an image with a listening admin socket, so that its address is known, and answers queue, from the first moment.
func (p *processes) start(image string, i *instance) (err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, listener.Close()) }()
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, socket.Close()) }()
	output, err := os.OpenFile(filepath.Join(p.options.Dir, "instances", i.Boot+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, output.Close()) }()
	i.Admin = "http://" + listener.Addr().String() + "/" + i.Boot
	line := p.images[image]
	child := exec.Command(line[0], line[1:]...)
	child.Stdout, child.Stderr, child.ExtraFiles = output, output, []*os.File{socket}
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a signal for the host's group is not for its instances
	child.Env = append(os.Environ(),
		proxy.EnvBoot+"="+i.Boot, proxy.EnvAdminFD+"=3", envHost+"="+p.id, envInstance+"="+i.key,
		envToken+"="+string(i.started), envImage+"="+image, envAdmin+"="+i.Admin)
	if err := child.Start(); err != nil {
		return errors.Join(err, os.Remove(output.Name()))
	}
	i.PID = child.Process.Pid
	pidfd, err := unix.PidfdOpen(i.PID, 0)
	if err != nil { // not watchable, so not usable
		return errors.Join(fmt.Errorf("watch process %d: %w", i.PID, err), child.Process.Kill(), child.Wait())
	}
	return p.watch(i, &process{pidfd: pidfd, child: child})
}

func (p *processes) watch(i *instance, at *process) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live[i] = at
	return p.watcher.add(at.pidfd, i)
}

// bury is called when a process has ended: it takes its status, if it is ours to take, and cleans up.
func (p *processes) bury(i *instance) string {
	p.mu.Lock()
	at := p.live[i]
	delete(p.live, i)
	p.mu.Unlock()
	why := fmt.Sprintf("process %d exited", i.PID)
	if at.child != nil {
		if err := at.child.Wait(); err != nil {
			why += ": " + err.Error()
		}
	}
	if err := errors.Join(unix.Close(at.pidfd), os.Remove(p.logFile(i))); err != nil {
		p.options.Log.Warn("cannot clean up after a process", "pid", i.PID, "error", err)
	}
	return why
}

func (p *processes) logFile(i *instance) string {
	return filepath.Join(p.options.Dir, "instances", i.Boot+".log")
}

// stop asks, and after grace insists.
func (p *processes) stop(ctx context.Context, i *instance, grace time.Duration) error {
	if grace > 0 {
		if err := p.signal(i, unix.SIGTERM); err != nil {
			return err
		}
		patience := time.NewTimer(grace)
		defer patience.Stop()
		select {
		case <-i.gone:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-patience.C:
		}
	}
	if err := p.signal(i, unix.SIGKILL); err != nil {
		return err
	}
	select {
	case <-i.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// signal reaches exactly the process that was started, whatever became of its number. One that is gone needs none.
func (p *processes) signal(i *instance, signal unix.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.live[i]
	if at == nil {
		return nil
	}
	if err := unix.PidfdSendSignal(at.pidfd, signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal process %d: %w", i.PID, err)
	}
	return nil
}

// close stops watching. The processes go on.
func (p *processes) close() error {
	err := p.watcher.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, at := range p.live {
		err = errors.Join(err, unix.Close(at.pidfd))
		if at.child != nil {
			err = errors.Join(err, at.child.Process.Release())
		}
		delete(p.live, i)
	}
	return err
}

// find looks through the process table for this host's mark.
func (p *processes) find() ([]*instance, error) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var found []*instance
	for _, folder := range folders {
		i, at, ok := p.recognise(folder)
		if !ok {
			continue
		}
		if err := p.watch(i, at); err != nil {
			return nil, err
		}
		found = append(found, i)
	}
	return found, nil
}

// recognise reads the mark, takes a handle on the process, and reads again: what is the same before and after belongs to
// the handle.
func (p *processes) recognise(folder string) (*instance, *process, bool) {
	var pid int
	if _, err := fmt.Sscanf(filepath.Base(folder), "%d", &pid); err != nil || pid == os.Getpid() {
		return nil, nil, false
	}
	mark, ok := readMark(folder)
	if !ok || mark[envHost] != p.id || mark[proxy.EnvBoot] == "" {
		return nil, nil, false
	}
	if group, err := unix.Getpgid(pid); err != nil || group != pid {
		return nil, nil, false // not the instance, but a process that it has started, which inherited the mark
	}
	born, ok := readStart(folder)
	if !ok {
		return nil, nil, false
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, nil, false // it has ended meanwhile
	}
	if again, ok := readStart(folder); !ok || again != born {
		if err := unix.Close(pidfd); err != nil {
			p.options.Log.Warn("close a process handle", "error", err)
		}
		return nil, nil, false
	}
	i := &instance{key: mark[envInstance], image: mark[envImage], gone: make(chan struct{})}
	i.started = command.Token(mark[envToken])
	i.token = i.started
	i.Result = Result{PID: pid, Boot: mark[proxy.EnvBoot], Admin: mark[envAdmin]}
	return i, &process{pidfd: pidfd}, true
}

// readMark reads the environment with which a process was started. Processes of others cannot be read, and are not ours.
func readMark(folder string) (map[string]string, bool) {
	text, err := os.ReadFile(filepath.Join(folder, "environ"))
	if err != nil {
		return nil, false
	}
	mark := map[string]string{}
	for line := range strings.SplitSeq(string(text), "\x00") {
		if name, value, ok := strings.Cut(line, "="); ok && strings.HasPrefix(name, "SETPOINT_") {
			mark[name] = value
		}
	}
	return mark, true
}

// readStart reads the moment of a process's start, in clock ticks since the machine's; ok is false for one that has ended
// and was not waited for.
func readStart(folder string) (ticks string, ok bool) {
	text, err := os.ReadFile(filepath.Join(folder, "stat"))
	if err != nil {
		return "", false
	}
	// The program's name, in parentheses, may contain anything; the fields are counted after it.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return "", false
	}
	return fields[19], true
}
