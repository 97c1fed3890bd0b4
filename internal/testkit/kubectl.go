package testkit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// Kubectl returns the path of a stock kubectl: the machine's where there is one, otherwise one built from its Go module, once,
// into the user's cache folder. Concurrent test processes take turns.
func Kubectl(t testing.TB) string {
	t.Helper()
	if path, found := find("kubectl"); found {
		return path
	}
	path, err := buildKubectl()
	if err != nil {
		t.Fatalf("kubectl is not in PATH, and building it failed: %v", err)
	}
	return path
}

// kubectlModule is the folder of the module that requires k8s.io/kubectl, so that ours does not.
func kubectlModule() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("the program does not know its source files")
	}
	return filepath.Join(filepath.Dir(file), "..", "..", "test", "kubectl"), nil
}

func buildKubectl() (path string, err error) {
	module, err := kubectlModule()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "setpoint-testkit")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	unlock, err := Lock(filepath.Join(folder, "lock"), syscall.LOCK_EX)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	path = filepath.Join(folder, "kubectl")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Dir = module
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build in %s: %w\n%s", module, err, output)
	}
	return path, nil
}
