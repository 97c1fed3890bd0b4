package deploy_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/cli"
)

// unit is a systemd unit: values by "Section.Key". A key may have several.
type unit map[string][]string

func readUnit(t *testing.T, path string) unit {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	u, section := unit{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			section = strings.Trim(line, "[]")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section == "" || strings.HasSuffix(value, `\`) {
			t.Fatalf("%s: not understood: %q", path, line)
		}
		u[section+"."+key] = append(u[section+"."+key], value)
	}
	return u
}

// span reads a time span of the unit that has one, in the words that Go and systemd share.
func (u unit) span(t *testing.T, key string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(strings.Replace(u.one(t, key), "min", "m", 1))
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return d
}

func (u unit) one(t *testing.T, key string) string {
	t.Helper()
	if len(u[key]) != 1 {
		t.Fatalf("%s is there %d times, want once", key, len(u[key]))
	}
	return u[key][0]
}

func TestUnit(t *testing.T) {
	u := readUnit(t, "systemd/setpoint.service")
	for _, c := range []struct{ key, want, reason string }{
		{"Service.Type", "notify", "it is started when it serves, and not when it has a process"},
		{"Service.NotifyAccess", "main", "no child of it speaks for it"},
		{"Service.Restart", "always", "whatever ends it, it comes back"},
		{"Unit.StartLimitIntervalSec", "0", "it is never given up"},
		{"Service.DynamicUser", "yes", "it is nobody's account"},
		{"Service.StateDirectory", "setpoint", "the one folder that it writes"},
		{"Service.StateDirectoryMode", "0700", "and nobody else reads"},
		{"Service.UMask", "0077", "nor a file of it"},
		{"Service.NoNewPrivileges", "yes", "no program that it could start gets more"},
		{"Service.CapabilityBoundingSet", "", "it needs no capability"},
		{"Service.AmbientCapabilities", "", "and is given none"},
		{"Service.ProtectSystem", "strict", "the system is read-only"},
		{"Service.ProtectHome", "yes", "people's files are not there"},
		{"Service.PrivateTmp", "yes", "what others leave in /tmp is not for it"},
		{"Service.PrivateDevices", "yes", "it drives no device"},
		{"Service.ProtectKernelModules", "yes", "nor the kernel"},
		{"Service.MemoryDenyWriteExecute", "yes", "it makes no code"},
		{"Service.RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX", "it speaks to its database, its clients and systemd"},
		{"Service.RestrictNamespaces", "yes", "it runs no containers"},
		{"Service.RestrictSUIDSGID", "yes", "it makes nobody powerful"},
		{"Service.SystemCallErrorNumber", "EPERM", "Go's runtime tries some calls, and goes on without them"},
		{"Service.LimitCORE", "0", "memory holds secrets"},
	} {
		if have := u.one(t, c.key); have != c.want {
			t.Errorf("%s=%s, want %s: %s", c.key, have, c.want, c.reason)
		}
	}
	if have, want := u["Service.SystemCallFilter"], []string{"@system-service", "~@privileged"}; !slices.Equal(have, want) {
		t.Errorf("SystemCallFilter is %q, want %q", have, want)
	}
}

// TestUnitTimes: the unit and the program agree about how long things take.
func TestUnitTimes(t *testing.T) {
	u := readUnit(t, "systemd/setpoint.service")
	if stop, least := u.span(t, "Service.TimeoutStopSec"), longestStop(t); stop <= least {
		t.Errorf("a stop is given %s, and may take %s", stop, least)
	}
	if first, most := u.span(t, "Service.RestartSec"), u.span(t, "Service.RestartMaxDelaySec"); first <= 0 || most <= first || u.one(t, "Service.RestartSteps") < "1" {
		t.Errorf("it is restarted after %s, then up to %s: no backoff", first, most)
	}
	// The lease of a process that hangs runs out by itself; the watchdog only brings the process back.
	if dog := u.span(t, "Service.WatchdogSec"); dog < 10*time.Second || dog > time.Minute {
		t.Errorf("the watchdog waits %s; want more than a busy machine's pauses, and less than people do", dog)
	}
}

// longestStop is how long a stop takes at most: requests, then turns and calls, then the release of the lease have the grace period each, and turns that ignore it a second more.
func longestStop(t *testing.T) time.Duration {
	t.Helper()
	at := slices.IndexFunc(cli.Settings, func(s cli.Setting) bool { return s.Key == "grace" })
	if at < 0 {
		t.Fatal("there is no setting grace")
	}
	grace, err := time.ParseDuration(cli.Settings[at].Default)
	if err != nil {
		t.Fatal(err)
	}
	return 3*grace + time.Second
}

// TestUnitStartsTheProgram: the command line is one that the program understands, with the example configuration, and a good one for systemd itself where that is there.
func TestUnitStartsTheProgram(t *testing.T) {
	u := readUnit(t, "systemd/setpoint.service")
	words := strings.Fields(u.one(t, "Service.ExecStart"))
	if words[0] != "/usr/local/bin/setpoint" || words[len(words)-1] != "/etc/setpoint/setpoint.yaml" {
		t.Fatalf("ExecStart is %q", words)
	}
	words[len(words)-1] = "systemd/setpoint.yaml"
	var got cli.ServeConfig
	p := cli.Program{Stdout: os.Stderr, Stderr: os.Stderr, Environ: func() []string { return []string{"SETPOINT_STORE=postgres://db/plane"} }}
	p.Serve = func(_ context.Context, c cli.ServeConfig) error { got = c; return nil }
	if code := cli.Run(t.Context(), p, words[1:]); code != cli.ExitOK {
		t.Fatalf("exit code %d", code)
	}
	if got.Directory != "" || got.Listen != "127.0.0.1:7433" || got.Store != "postgres://db/plane" {
		t.Errorf("it would serve %q at %q, and leave files in %q", got.Store, got.Listen, got.Directory)
	}
	text, err := os.ReadFile("systemd/setpoint.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := "store: /var/lib/" + u.one(t, "Service.StateDirectory") + "/"; !strings.Contains(string(text), want) {
		t.Errorf("the configuration does not keep its file where the unit may write: want %q", want)
	}
	if analyze, err := exec.LookPath("systemd-analyze"); err == nil {
		verified(t, analyze)
	}
}

// verified has systemd judge the unit. It knows what its version knows: keys that are newer are named and ignored.
func verified(t *testing.T, analyze string) {
	t.Helper()
	text, err := os.ReadFile("systemd/setpoint.service")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "setpoint.service")
	if err := os.WriteFile(copied, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/setpoint", program)), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command(analyze, "verify", copied).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze verify: %v\n%s", err, said)
	}
	for line := range strings.Lines(string(said)) {
		if strings.Contains(line, copied) && !strings.Contains(line, "'RestartSteps'") && !strings.Contains(line, "'RestartMaxDelaySec'") {
			t.Errorf("systemd-analyze verify: %s", line)
		}
	}
	// Exposure is from 0 to 10; 2.0 leaves room for what newer versions ask.
	if said, err := exec.Command(analyze, "security", "--offline=yes", "--threshold=20", copied).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, said)
	}
}
