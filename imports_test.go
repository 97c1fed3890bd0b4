package setpoint_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/setpointhq/setpoint"

// line is the way of a change: a package imports only those before it. "." is the root package.
var line = []string{
	"internal/legible", "internal/wait", "lifecycle", "decide", "resource", "availability", "command", "store", "store/internal/codec", "store/internal/draft", "store/internal/scan", "store/internal/feed", "store/internal/group", "store/internal/moves",
	"internal/durable", "store/sqlite", "store/postgres", "lease", "cluster", "view", "queue", "control", ".",
	"alert", "availability/survey", "server/location", "telemetry", "api/internal/answer", "api/kindsapi", "api/backupapi", "api/nodesapi", "api", "server",
}

// core are the packages that an author's program cannot do without.
var core = line[:slices.Index(line, ".")+1]

// golist runs go list on packages of the line, and returns its lines.
func golist(t *testing.T, format string, deps bool, packages ...string) []string {
	t.Helper()
	args := []string{"list", "-f", format}
	if deps {
		args = append(args, "-deps")
	}
	for _, p := range packages {
		args = append(args, strings.TrimSuffix(module+"/"+p, "/."))
	}
	c := exec.Command("go", args...)
	var complaints strings.Builder
	c.Stderr = &complaints
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, complaints.String())
	}
	return strings.Fields(string(out))
}

func TestTheCoreKnowsNoKubernetesNoCommandLineAndNoHTTP(t *testing.T) {
	deps := golist(t, "{{.ImportPath}}", true, core...)
	if len(deps) < 50 {
		t.Fatalf("go list sees only %v", deps)
	}
	for _, path := range deps {
		for _, foreign := range []string{"k8s.io/", "sigs.k8s.io/", "github.com/spf13/", "github.com/prometheus/", "net/http"} {
			if strings.HasPrefix(path, foreign) {
				t.Errorf("the core depends on %s", path)
			}
		}
	}
}

func TestPackagesImportOnlyBackwards(t *testing.T) {
	for i, p := range line {
		for _, imported := range golist(t, `{{join .Imports "\n"}}`, false, p) {
			if imported == module {
				imported += "/."
			}
			at := slices.Index(line, strings.TrimPrefix(imported, module+"/"))
			if strings.HasPrefix(imported, module) && (at < 0 || at >= i) {
				t.Errorf("%s imports %s, which does not come before it on the way of a change", p, imported)
			}
		}
	}
}
