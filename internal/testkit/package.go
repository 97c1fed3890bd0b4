package testkit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Package makes sure that a Debian package's program is there, installing it when it is not, and returns the program's path.
// Concurrent test processes take turns.
func Package(t testing.TB, name, program string) string {
	t.Helper()
	path, err := ensure(name, program)
	if err != nil {
		t.Fatalf("program %s of package %s: %v", program, name, err)
	}
	return path
}

func ensure(name, program string) (path string, err error) {
	if path, found := find(program); found {
		return path, nil
	}
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "setpoint-testkit.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if path, found := find(program); found {
		return path, nil // another process has installed it meanwhile
	}
	for _, arguments := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", name}} {
		install := exec.Command("apt-get", arguments...)
		install.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if output, err := install.CombinedOutput(); err != nil {
			return "", fmt.Errorf("apt-get %v: %w\n%s", arguments, err, output)
		}
	}
	if path, found := find(program); found {
		return path, nil
	}
	return "", errors.New("the package is installed, and the program is not in PATH or /usr/sbin")
}

// find looks in PATH and where Debian puts servers.
func find(program string) (string, bool) {
	for _, candidate := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, true
		}
	}
	return "", false
}
