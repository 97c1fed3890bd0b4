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
func Package(t testing.TB, name, program string) string {
	t.Helper()
	there := func() bool { _, found := find(program); return found }
	if err := Install(name, there, nil); err != nil {
		t.Fatalf("program %s, looked for in PATH and /usr/sbin: %v", program, err)
	}
	path, _ := find(program)
	return path
}

// Install installs a Debian package, unless what it brings is there. Concurrent test processes take turns, whatever they install. prepare, when it
// is not nil, runs before the package comes, and not when it is there.
func Install(name string, there func() bool, prepare func() error) (err error) {
	if there() {
		return nil
	}
	unlock, err := Lock(filepath.Join(os.TempDir(), "setpoint-testkit.lock"), syscall.LOCK_EX)
	if err != nil {
		return fmt.Errorf("install package %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if there() {
		return nil // another process has installed it meanwhile
	}
	if prepare != nil {
		if err := prepare(); err != nil {
			return fmt.Errorf("install package %s: prepare: %w", name, err)
		}
	}
	for _, arguments := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", name}} {
		install := exec.Command("apt-get", arguments...)
		install.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if output, err := install.CombinedOutput(); err != nil {
			return fmt.Errorf("install package %s: apt-get %v: %w\n%s", name, arguments, err, output)
		}
	}
	if !there() {
		return fmt.Errorf("package %s is installed, and does not bring what it was installed for", name)
	}
	return nil
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
