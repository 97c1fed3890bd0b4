package pg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is a running postmaster.
type process struct {
	command *exec.Cmd
	pid     int
	ended   chan struct{} // closed when the postmaster has ended
	err     error         // how; to be read after ended
}

// launch starts a postmaster that the kernel stops should this process die. The kernel goes by the thread that has
// started it, so that thread does nothing else until the postmaster has ended.
func launch(command *exec.Cmd) (*process, error) {
	command.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	p := &process{command: command, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		if err == nil {
			p.pid = command.Process.Pid
		}
		started <- err
		if err == nil {
			p.err = command.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", command.Path, err)
	}
	return p, nil
}

// running says whether the postmaster has not ended yet.
func (p *process) running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// signal signals the postmaster; one that has ended is no error.
func (p *process) signal(s os.Signal) error {
	if err := p.command.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %v to postmaster %d: %w", s, p.pid, err)
	}
	return nil
}
