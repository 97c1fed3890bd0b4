package telemetry_test

import (
	"bufio"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store/sqlite"
	"github.com/setpointhq/setpoint/telemetry"
)

// TestServedIsDefined: what a plane serves is what the definitions list, no more and no less, with the kinds and labels they name.
func TestServedIsDefined(t *testing.T) {
	m := telemetry.New()
	m.Turn("c", "done", "", time.Millisecond)
	m.Conflict("c")
	m.Commit(nil)
	m.Call("a", "done", time.Millisecond)
	m.Applied(time.Now())
	m.Group(3, time.Millisecond)
	m.Watch(engine(t, m))

	served := map[string]string{} // kind by name
	sample := map[string]string{} // a line by name
	for lines := scan(t, m); lines.Scan(); {
		words := strings.Fields(lines.Text())
		switch {
		case words[0] == "#" && words[1] == "TYPE" && strings.HasPrefix(words[2], "setpoint_"):
			served[words[2]] = words[3]
		case strings.HasPrefix(lines.Text(), "setpoint_"):
			name, _, _ := strings.Cut(words[0], "{")
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if base, ok := strings.CutSuffix(name, suffix); ok && served[base] == "histogram" {
					name = base
				}
			}
			sample[name] = lines.Text()
		}
	}
	for _, d := range telemetry.Definitions() {
		if served[d.Name] != string(d.Kind) {
			t.Errorf("%s is served as %q, want %q", d.Name, served[d.Name], d.Kind)
		}
		for _, l := range d.Labels {
			if !strings.Contains(sample[d.Name], l.Name+`="`) {
				t.Errorf("%s has no label %s: %s", d.Name, l.Name, sample[d.Name])
			}
		}
		if d.Help == "" || d.Use == "" {
			t.Errorf("%s: want a help and a use", d.Name)
		}
		delete(served, d.Name)
	}
	if len(served) > 0 {
		t.Errorf("served and not defined: %v", served)
	}
}

// TestCommitsAreCountedByResult: the words are those that the definition lists.
func TestCommitsAreCountedByResult(t *testing.T) {
	m := telemetry.New()
	m.Commit(errors.New("something else"))
	var allowed []string
	for _, d := range telemetry.Definitions() {
		if d.Name == "setpoint_commits_total" {
			allowed = d.Labels[0].Values
		}
	}
	if !slices.Contains(allowed, "other") {
		t.Fatalf("the definition lists %v", allowed)
	}
	for lines := scan(t, m); lines.Scan(); {
		if lines.Text() == `setpoint_commits_total{result="other"} 1` {
			return
		}
	}
	t.Error("a commit that failed for another reason is not counted as such")
}

func scan(t *testing.T, m *telemetry.Metrics) *bufio.Scanner {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if answer.Code != 200 {
		t.Fatalf("GET /metrics: %d %s", answer.Code, answer.Body)
	}
	return bufio.NewScanner(answer.Body)
}

// engine has one controller and one adapter, and does not run.
func engine(t *testing.T, m *telemetry.Metrics) *control.Engine {
	t.Helper()
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "setpoint.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	things := control.MustDefine(resource.Options[struct{}, struct{}]{Group: "test.example", Version: "v1", Kind: "Thing"})
	registry := &resource.Registry{}
	if err := registry.Register(things.Definition); err != nil {
		t.Fatal(err)
	}
	owner, err := cluster.NewSolo(cluster.SoloOptions{Store: st, Holder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := control.New(control.Config{
		Store: st, Owner: owner, Registry: registry, Meter: m, NewUID: resource.NewUID,
		Controllers: []control.Controller{things.Driver("c", func(*control.Turn, *resource.Typed[struct{}, struct{}]) control.Outcome {
			return control.Done()
		})},
		Adapters: []control.AdapterConfig{{Name: "a", Adapter: subsystem{}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

type subsystem struct{ command.Adapter }
