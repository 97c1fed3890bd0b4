package testkit

import (
	"bytes"
	"errors"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// Process is a program that a test has started.
type Process struct {
	PID    int
	output lockedBuffer
	ended  chan struct{}
	err    error
}

// Start runs a program in a process group of its own. The group is killed when the test ends, and the program's output is
// shown if the test has failed.
func Start(t testing.TB, program string, arguments ...string) *Process {
	t.Helper()
	command := exec.Command(program, arguments...)
	p := &Process{ended: make(chan struct{})}
	command.Stdout, command.Stderr = &p.output, &p.output
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	p.PID = command.Process.Pid
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		if err := syscall.Kill(-p.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Errorf("kill %s: %v", program, err)
		}
		<-p.ended
		if t.Failed() {
			t.Logf("output of %s:\n%s", program, p.Output())
		}
	})
	return p
}

// Output is what the program has written so far.
func (p *Process) Output() string { return p.output.String() }

// Ended is closed when the program has ended; [Process.Err] says how.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err is how the program ended. It waits for that.
func (p *Process) Err() error {
	<-p.ended
	return p.err
}

// lockedBuffer may be written and read at once.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(text)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
