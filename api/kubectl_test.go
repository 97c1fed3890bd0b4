package api_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// kubectl runs a stock kubectl against a server, as a person would.
type kubectl struct {
	t       testing.TB
	program string
	server  string
	home    string
}

func (s *served) kubectl(t testing.TB) *kubectl {
	t.Helper()
	return &kubectl{t: t, program: testkit.Kubectl(t), server: s.URL, home: t.TempDir()}
}

func (k *kubectl) command(input string, args ...string) *exec.Cmd {
	c := exec.Command(k.program, append([]string{"--server", k.server, "--cache-dir", filepath.Join(k.home, "cache")}, args...)...)
	c.Env = append(os.Environ(), "HOME="+k.home, "KUBECONFIG="+filepath.Join(k.home, "none"))
	c.Stdin = strings.NewReader(input)
	return c
}

// do runs a command that must succeed, and returns what it says.
func (k *kubectl) do(input string, args ...string) string {
	k.t.Helper()
	out, err := k.command(input, args...).CombinedOutput()
	if err != nil {
		k.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// fails runs a command that must not succeed.
func (k *kubectl) fails(input string, args ...string) string {
	k.t.Helper()
	out, err := k.command(input, args...).CombinedOutput()
	if err == nil {
		k.t.Fatalf("kubectl %s: succeeded\n%s", strings.Join(args, " "), out)
	}
	return string(out)
}

func TestKubectlFirst(t *testing.T) {
	k := serve(t).kubectl(t)
	for _, args := range [][]string{{"version"}, {"api-resources"}, {"create", "-f", "-"}, {"get", "gw"}, {"get", "gw", "-o", "yaml"},
		{"apply", "-f", "-"}, {"explain", "gw.spec"}, {"label", "gw", "a", "x=y"}, {"get", "ns"}, {"delete", "gw", "a"}} {
		in := ""
		if args[0] == "create" || args[0] == "apply" {
			in = gateway("a", "h")
		}
		out, err := k.command(in, args...).CombinedOutput()
		t.Logf("%v: %v\n%s", args, err, out)
	}
}
