package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/server"
)

// serving is a server under way. stop may be called more than once.
type serving struct {
	plane chan *setpoint.Plane
	stop  func() error
}

func serveNotes(t *testing.T, o server.Options) *serving {
	t.Helper()
	s := &serving{plane: make(chan *setpoint.Plane, 1)}
	o.Running = func(_ context.Context, p *setpoint.Plane) error { s.plane <- p; return nil }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, o) }()
	s.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return s
}

// swift is a watchdog so impatient that a test need not wait: a sign of life every 5 ms.
const swift = "10000"

func TestASupervisorIsTold(t *testing.T) {
	for _, c := range []struct{ name, reason, socket string }{
		{"path", "systemd names a file", filepath.Join(t.TempDir(), "notify")},
		{"abstract", "container managers name an abstract socket, which no file system has", fmt.Sprintf("@setpoint-test-%d", os.Getpid())},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Log(c.reason)
			m := manage(t, c.socket)
			o := options(filepath.Join(t.TempDir(), "setpoint.db"))
			o.Getenv = environment("NOTIFY_SOCKET", c.socket, "WATCHDOG_USEC", swift, "WATCHDOG_PID", strconv.Itoa(os.Getpid()))
			s := serveNotes(t, o)
			testkit.Wait(t, "three signs of life", func() bool { return m.count(0, "WATCHDOG=1") >= 3 })
			if err := s.stop(); err != nil {
				t.Fatal(err)
			}
			wantLife(t, m.all())
		})
	}
}

// wantLife holds the messages of a whole life against what a manager expects.
func wantLife(t *testing.T, said []string) {
	t.Helper()
	ready := slices.IndexFunc(said, func(s string) bool { return strings.HasPrefix(s, "READY=1\n") })
	stopping := slices.IndexFunc(said, func(s string) bool { return strings.HasPrefix(s, "STOPPING=1\n") })
	switch {
	case said[0] != "STATUS=loading what exists":
		t.Errorf("it begins with %q", said[0])
	case ready < 0 || !strings.Contains(said[ready], "\nSTATUS=serving at http://127.0.0.1:"):
		t.Errorf("it does not say that it is ready, and where it serves: %q", said)
	case slices.Contains(said[:ready], "WATCHDOG=1"):
		t.Errorf("it gives signs of life before it is ready: %q", said[:ready])
	case stopping < ready:
		t.Errorf("it does not say that it stops, after it was ready: %q", said)
	}
	for _, once := range []string{"READY=1", "STOPPING=1"} {
		if n := strings.Count("\n"+strings.Join(said, "\n"), "\n"+once); n != 1 {
			t.Errorf("%s is said %d times", once, n)
		}
	}
	for _, s := range said[stopping+1:] {
		if s != "WATCHDOG=1" {
			t.Errorf("after the stop has begun it says %q", s)
		}
	}
}

// TestAServerThatIsStuckGivesNoSignOfLife: the watchdog is about workers, and not about the goroutine that feeds it.
func TestAServerThatIsStuckGivesNoSignOfLife(t *testing.T) {
	let := make(chan struct{})
	hang := func(_ *setpoint.Turn, n *note) setpoint.Outcome {
		if n.Spec.Text == "hang" {
			<-let
		}
		return setpoint.Done()
	}
	socket := filepath.Join(t.TempDir(), "notify")
	m := manage(t, socket)
	o := options(filepath.Join(t.TempDir(), "setpoint.db"))
	o.Controllers = []setpoint.Controller{notes.Driver("note", hang, setpoint.Workers(1), setpoint.TurnDeadline(time.Millisecond))}
	o.Getenv = environment("NOTIFY_SOCKET", socket, "WATCHDOG_USEC", swift)
	s := serveNotes(t, o)
	plane := <-s.plane
	for _, name := range []resource.Name{"a", "b"} { // one more than can be replaced
		o := &setpoint.Object{Meta: resource.Meta{Key: notes.Definition.Key("default", name)}, Spec: []byte(`{"text":"hang"}`)}
		if _, err := plane.Create(t.Context(), "test", o, false); err != nil {
			t.Fatal(err)
		}
	}
	const stuck = "STATUS=waiting to be restarted: controller note: 2 calls do not return"
	testkit.Wait(t, "three beats without life", func() bool { return m.count(0, stuck) >= 3 })
	said := m.all()
	from := slices.IndexFunc(said, func(s string) bool { return strings.HasPrefix(s, stuck) })
	if n := m.count(from, "WATCHDOG=1"); n != 0 {
		t.Errorf("%d signs of life of a server that is stuck: %q", n, said[from:])
	}
	close(let)
	testkit.Wait(t, "a sign of life when the calls have returned", func() bool { return m.count(len(said), "WATCHDOG=1") > 0 })
}

// TestASecondNodeWorksBesideTheFirst: it is ready for its supervisor, takes its share, serves requests, and goes on when the first has stopped.
func TestASecondNodeWorksBesideTheFirst(t *testing.T) {
	database := pg.Shared(t).Database(t)
	_, stop := start(t, database)
	socket := filepath.Join(t.TempDir(), "notify")
	m := manage(t, socket)
	o := options(database)
	o.Getenv = environment("NOTIFY_SOCKET", socket, "WATCHDOG_USEC", swift)
	var url string
	o.Listening = func(u string) error { url = u; return nil }
	second := <-serveNotes(t, o).plane
	testkit.Wait(t, "it is ready, works, and is alive", func() bool {
		return m.count(0, "READY=1") == 1 && m.count(0, "STATUS=serving at "+url) > 0 && m.count(0, "WATCHDOG=1") >= 3 && second.Standby() == ""
	})
	for _, path := range []string{"/livez", "/readyz"} {
		if have, text := probe(t, url+path); have != http.StatusOK {
			t.Errorf("GET %s: %d (%s)", path, have, text)
		}
	}
	measured := func(round string) {
		for i := range 20 { // in about as many shards
			ref := client.Ref{Namespace: "default", Name: resource.Name(fmt.Sprintf("%s%d", round, i))}
			c, kind := writeNote(t, url, string(ref.Name), "four")
			if _, err := c.Wait(t.Context(), kind, ref, func(o *client.Object) (bool, error) {
				var got noteStatus
				return o != nil && o.DecodeStatus(&got) == nil && got.Length == 4, nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	measured("a")
	if n := len(second.Member().Shards()); n == 0 || n == resource.Shards {
		t.Errorf("the second node has %d shards while the first works", n)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	measured("b")
	if n := len(second.Member().Shards()); n != resource.Shards {
		t.Errorf("the second node has %d shards when the first has stopped", n)
	}
}

func probe(t *testing.T, url string) (code int, text string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err := errors.Join(err, r.Body.Close()); err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	return r.StatusCode, strings.TrimSpace(string(body))
}

func TestWithoutASupervisorNothingIsSaid(t *testing.T) {
	life := []string{"STATUS=loading what exists", "READY=1", "STOPPING=1"}
	for _, c := range []struct {
		name, reason string
		told         bool // who the supervisor is
		watchdog     []string
		want         []string
	}{
		{"nobody", "without NOTIFY_SOCKET there is nobody to tell, whatever else is set", false, []string{"WATCHDOG_USEC", swift}, nil},
		{"not our watchdog", "it was meant for the process that started this one", true, []string{"WATCHDOG_USEC", swift, "WATCHDOG_PID", "1"}, life},
		{"no watchdog", "a unit without WatchdogSec=", true, nil, life},
	} {
		t.Run(c.name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "notify")
			m := manage(t, socket)
			o := options(filepath.Join(t.TempDir(), "setpoint.db"))
			o.Getenv = environment(c.watchdog...)
			if c.told {
				o.Getenv = environment(append(c.watchdog, "NOTIFY_SOCKET", socket)...)
			}
			s := serveNotes(t, o)
			<-s.plane
			if c.told {
				testkit.Wait(t, "it is ready", func() bool { return m.count(0, "READY=1") == 1 })
			}
			if err := s.stop(); err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, s := range m.all() {
				line, _, _ := strings.Cut(s, "\n")
				lines = append(lines, line)
			}
			if !slices.Equal(lines, c.want) {
				t.Errorf("%s: it says %q, want %q", c.reason, lines, c.want)
			}
		})
	}
}

func TestASupervisorThatMakesNoSense(t *testing.T) {
	for _, c := range []struct{ reason, socket, watchdog, want string }{
		{"a relative path means something else in every folder", "run/notify", "", `NOTIFY_SOCKET is "run/notify"`},
		{"an abstract socket has a name", "@", "", `NOTIFY_SOCKET is "@"`},
		{"sockets of virtual machines are not spoken to", "vsock:2:1234", "", `NOTIFY_SOCKET is "vsock:2:1234"`},
		{"a number is wanted", "/run/notify", "soon", `WATCHDOG_USEC is "soon"`},
		{"a watchdog that never waits would kill at once", "/run/notify", "0", `WATCHDOG_USEC is "0"`},
		{"and so would one that waited before the process began", "/run/notify", "-5", `WATCHDOG_USEC is "-5"`},
		{"years do not fit a duration", "/run/notify", "9223372036854775807", `WATCHDOG_USEC is "9223372036854775807"`},
	} {
		o := options(filepath.Join(t.TempDir(), "setpoint.db"))
		o.Getenv = environment("NOTIFY_SOCKET", c.socket, "WATCHDOG_USEC", c.watchdog)
		if err := server.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "want ") {
			t.Errorf("%s: %v, want %s", c.reason, err, c.want)
		}
	}
}

// TestASupervisorThatDoesNotListen: the server serves, and complains once.
func TestASupervisorThatDoesNotListen(t *testing.T) {
	var said lockedLog
	o := options(filepath.Join(t.TempDir(), "setpoint.db"))
	o.Logger = slog.New(slog.NewTextHandler(&said, nil))
	o.Getenv = environment("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"), "WATCHDOG_USEC", swift)
	s := serveNotes(t, o)
	<-s.plane
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(said.String(), "the supervisor cannot be told"); n != 1 {
		t.Errorf("%d complaints, want 1:\n%s", n, said.String())
	}
}

// lockedLog may be written by many.
type lockedLog struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *lockedLog) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(text)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}
