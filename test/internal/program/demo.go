package program

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/testkit"
)

// Demo is one `setpoint dev --demo …` with what it has started. What a test leaves running is ended with the test.
type Demo struct {
	// Directory is what the program calls ".setpoint".
	Directory string
	// Store is the URL of the database, "" for a file in the directory. Set it before [Demo.Start].
	Store string
	// Process is Setpoint as it was started last.
	Process *testkit.Process
	// Client finds the server wherever it is, and repeats what may be repeated while there is none.
	Client *client.Client
	// Diagnose tells what is known when a wait has failed.
	Diagnose func() string

	t           *testing.T
	name        string
	environment []string
}

// NewDemo makes a place for a demo, and starts nothing. The environment is "KEY=value".
func NewDemo(t *testing.T, name string, environment ...string) *Demo {
	t.Helper()
	d := &Demo{t: t, name: name, Directory: filepath.Join(t.TempDir(), ".setpoint"), environment: environment}
	t.Cleanup(d.end)
	transport := &http.Transport{DialContext: d.dial, MaxIdleConnsPerHost: 4}
	t.Cleanup(transport.CloseIdleConnections)
	var err error
	d.Client, err = client.New(client.Config{
		Server: "http://127.0.0.1", UserAgent: "customer", HTTP: &http.Client{Transport: transport},
		Attempts: 10_000, MaxPause: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// dial goes to wherever the server is now, by the file that it leaves: a client that repeats its requests finds it again after a restart.
func (d *Demo) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	text, err := os.ReadFile(d.Path("server"))
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	return (&net.Dialer{}).DialContext(ctx, network, strings.TrimPrefix(strings.TrimSpace(string(text)), "http://"))
}

// Path is that of a file of the demo.
func (d *Demo) Path(elements ...string) string {
	return filepath.Join(append([]string{d.Directory}, elements...)...)
}

// Read is the text of a file of the demo.
func (d *Demo) Read(elements ...string) string {
	d.t.Helper()
	text, err := os.ReadFile(d.Path(elements...))
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// Start runs Setpoint, and does not wait for it.
func (d *Demo) Start() {
	d.t.Helper()
	arguments := append(slices.Clip(d.environment), Path(), "dev", "--demo", d.name, "--listen", "127.0.0.1:0", "--directory", d.Directory)
	if d.Store != "" {
		arguments = append(arguments, "--store", d.Store)
	}
	d.Process = testkit.Start(d.t, "env", arguments...)
}

// AwaitOutput waits until the program has said something.
func (d *Demo) AwaitOutput(text string) {
	d.t.Helper()
	d.Await("the demo says "+text, func() (string, bool) {
		output := d.Process.Output()
		select {
		case <-d.Process.Ended():
			d.t.Fatalf("the demo has ended: %v\n%s", d.Process.Err(), output)
		default:
		}
		return output, strings.Contains(output, text)
	})
}

// Interrupt stops Setpoint in good order.
func (d *Demo) Interrupt() {
	d.t.Helper()
	if err := syscall.Kill(d.Process.PID, syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	if err := d.Process.Err(); err != nil {
		d.t.Fatalf("Setpoint was asked to stop and ended with %v\n%s", err, d.Process.Output())
	}
}

// Kill ends Setpoint as a power cut would. The file that says where it was is removed with it, because another program may have its port soon.
func (d *Demo) Kill() {
	d.t.Helper()
	if err := syscall.Kill(d.Process.PID, syscall.SIGKILL); err != nil {
		d.t.Fatal(err)
	}
	<-d.Process.Ended()
	if err := os.Remove(d.Path("server")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.t.Fatal(err)
	}
	d.Judge(d.Process.Output())
}

// Stop ends what the demo has started, as a person does, and shows what it says when it cannot.
func (d *Demo) Stop() {
	d.t.Helper()
	if output, err := exec.Command(Path(), "demo-stop", d.Directory).CombinedOutput(); err != nil {
		d.t.Errorf("demo-stop: %v\n%s", err, output)
	}
}

// end stops everything, and looks through what the programs have said.
func (d *Demo) end() {
	if _, err := os.Stat(d.Directory); errors.Is(err, fs.ErrNotExist) {
		return
	}
	d.Stop()
	if d.Process != nil {
		d.Judge(d.Process.Output())
	}
	outputs, err := filepath.Glob(d.Path("*", "output"))
	if err != nil {
		d.t.Error(err)
	}
	for _, path := range outputs {
		text, err := os.ReadFile(path)
		if err != nil {
			d.t.Error(err)
		}
		d.Judge(string(text))
		if d.t.Failed() {
			d.t.Logf("%s:\n%s", path, text)
		}
	}
}

// Judge fails the test for what no program may say, whatever else it does.
func (d *Demo) Judge(output string) {
	d.t.Helper()
	for _, word := range []string{"DATA RACE", "panic", "goroutine 1 ["} {
		if strings.Contains(output, word) {
			d.t.Errorf("a program says %q:\n%s", word, output)
			return
		}
	}
}

// Command runs the command line of Setpoint against the demo, and returns what it prints.
func (d *Demo) Command(arguments ...string) string {
	d.t.Helper()
	return Run(d.t, Path(), append([]string{"--server", d.Read("server")}, arguments...)...)
}

// Await is [Await] for what the demo does.
func (d *Demo) Await(what string, look func() (seen string, done bool)) {
	d.t.Helper()
	Await(d.t, what, look, d.diagnosis)
}

func (d *Demo) diagnosis() string {
	if _, err := os.Stat(d.Path("server")); err != nil {
		return "no server: " + err.Error()
	}
	if d.Diagnose == nil {
		return ""
	}
	return d.Diagnose()
}
