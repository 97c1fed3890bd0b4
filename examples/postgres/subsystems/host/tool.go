package host

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// tool runs a program as the servers' account in the server's folder, and returns what it has printed. It dies with ctx; should the
// host die, it is found by the folder in its command line, and killed before anything else is done there. env is added to
// the environment, from which nothing of PostgreSQL's is taken.
func (s *server) tool(ctx context.Context, env []string, program string, arguments ...string) (string, error) {
	if !filepath.IsAbs(program) {
		program = s.host.program(program)
	}
	command := exec.CommandContext(ctx, program, arguments...)
	command.Dir = s.folder
	command.Env = append([]string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH"), "HOME=" + s.folder}, env...)
	var output, complaints bytes.Buffer
	command.Stdout, command.Stderr = &output, &complaints
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: s.host.account.credential()}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) } // and what it has started
	command.WaitDelay = time.Second
	if err := command.Run(); err != nil {
		if strings.HasPrefix(err.Error(), "exit status") {
			err = fmt.Errorf("%s", complaintIn(complaints.String()))
		}
		return output.String(), fmt.Errorf("%s: %w", filepath.Base(program), cause(ctx, err))
	}
	return output.String(), nil
}

// copying is what programs that copy data are told besides.
func (h *Host) copying(arguments ...string) []string {
	if h.options.unsynced {
		return append(arguments, "--no-sync")
	}
	return arguments
}

// program is the path of one of PostgreSQL's.
func (h *Host) program(name string) string { return filepath.Join(h.bin, name) }
