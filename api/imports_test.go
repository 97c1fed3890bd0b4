package api_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestCoreWithoutKubernetes: only this package depends on modules of Kubernetes.
func TestCoreWithoutKubernetes(t *testing.T) {
	const module = "github.com/setpointhq/setpoint"
	// Packages that are not there yet are not listed: -e leaves them without dependencies.
	list := exec.Command("go", "list", "-e", "-deps", "-f", "{{.ImportPath}}",
		module, module+"/resource", module+"/lifecycle", module+"/command", module+"/store/...", module+"/view", module+"/queue",
		module+"/control", module+"/adapter/...", module+"/cluster")
	list.Dir = ".."
	var complaints strings.Builder
	list.Stderr = &complaints
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, complaints.String())
	}
	if !strings.Contains(string(out), module+"/store/sqlite\n") {
		t.Fatalf("go list does not see the packages:\n%s%s", out, complaints.String())
	}
	for _, path := range strings.Fields(string(out)) {
		if strings.HasPrefix(path, "k8s.io/") || strings.HasPrefix(path, "sigs.k8s.io/") {
			t.Errorf("the core depends on %s", path)
		}
	}
}
