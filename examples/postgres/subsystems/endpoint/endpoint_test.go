package endpoint

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// life is one life of the process.
type life struct {
	*Endpoints
	end func()
}

func begin(t *testing.T, o Options) *life {
	t.Helper()
	o.Log = quiet
	ctx, cancel := context.WithCancel(context.Background())
	e, listener, err := Open(ctx, o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Serve(ctx, listener) }()
	var once sync.Once
	l := &life{Endpoints: e}
	l.end = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("endpoints: %v", err)
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

func (l *life) teach(t *testing.T, items ...subsystem.RestoreItem) subsystem.RestoreAnswer {
	t.Helper()
	a, err := l.Kit().Restore(subsystem.RestoreRequest{Memory: l.Kit().Memory(), Items: items})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (l *life) apply(t *testing.T, key string, intent uint64, request any) subsystem.ApplyAnswer {
	t.Helper()
	text, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Kit().Apply(subsystem.ApplyRequest{
		Token: command.Token(fmt.Sprintf("%s-%d", key, intent)), Intent: intent, Key: key, Request: text,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (l *life) done(t *testing.T, key string, intent uint64, request any) (r Result) {
	t.Helper()
	a := l.apply(t, key, intent, request)
	if a.Outcome != command.OutcomeDone {
		t.Fatalf("%s: got %+v: want done", key, a)
	}
	if request != nil {
		if err := json.Unmarshal(a.Result, &r); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// backend says its name to whoever connects, and then echoes.
func backend(t *testing.T, name string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	all.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			all.Go(func() {
				if _, err := io.WriteString(c, name+"\n"); err == nil {
					_, err = io.Copy(c, c)
					closed(quiet, errors.Join(err, c.Close()))
				}
			})
		}
	})
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		mu.Lock()
		for _, c := range open {
			closed(quiet, c.Close())
		}
		mu.Unlock()
		all.Wait()
	})
	return listener.Addr().String()
}

// client is a connection whose lines can be read.
type client struct {
	net.Conn
	lines *bufio.Reader
}

func connect(t *testing.T, address string) client {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(quiet, c.Close()) })
	if err := c.SetDeadline(time.Now().Add(testkit.Patience)); err != nil {
		t.Fatal(err)
	}
	return client{c, bufio.NewReader(c)}
}

func (c client) line(t *testing.T) string {
	t.Helper()
	line, err := c.lines.ReadString('\n')
	if err != nil {
		t.Fatalf("read a line: %v", err)
	}
	return line
}

// cutOff waits for the end of a connection.
func (c client) cutOff(t *testing.T) {
	t.Helper()
	_, err := c.lines.ReadByte()
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatalf("reading gave %v: want the end of the connection", err)
	}
}

func TestChangingTheBackendCutsAndWaitingConnectionsReachTheNewOne(t *testing.T) {
	l := begin(t, Options{Dir: t.TempDir()})
	l.teach(t)
	one, two := backend(t, "one"), backend(t, "two")
	at := l.done(t, "db", 1, Request{Backend: one})
	first := connect(t, at.Address)
	if got := first.line(t); got != "one\n" {
		t.Fatalf("reached %q: want one", got)
	}
	if _, err := io.WriteString(first, "hello\n"); err != nil || first.line(t) != "hello\n" {
		t.Fatalf("the endpoint does not carry both ways: %v", err)
	}
	if again := l.done(t, "db", 2, Request{Backend: one}); again.Cut != 0 || again.Address != at.Address {
		t.Errorf("the same wish gave %+v: want nothing cut, at %s", again, at.Address)
	}
	if cut := l.done(t, "db", 3, Request{}); cut.Cut != 1 || cut.Backend != "" {
		t.Errorf("taking the backend away gave %+v: want 1 cut", cut)
	}
	first.cutOff(t)
	waiting := connect(t, at.Address)
	if now := l.done(t, "db", 4, Request{Backend: two}); now.Address != at.Address {
		t.Errorf("it has moved to %s", now.Address)
	}
	if got := waiting.line(t); got != "two\n" {
		t.Errorf("the one that waited reached %q: want two", got)
	}
	if cut := l.done(t, "db", 5, Request{Backend: one}); cut.Cut != 1 {
		t.Errorf("changing the backend gave %+v: want 1 cut", cut)
	}
	waiting.cutOff(t)
	l.done(t, "db", 6, nil)
	if c, err := net.Dial("tcp", at.Address); err == nil {
		closed(quiet, c.Close())
		t.Error("a closed endpoint still listens")
	}
}

func TestWithoutABackendClientsAreRefusedInTheirProtocol(t *testing.T) {
	l := begin(t, Options{Dir: t.TempDir(), Wait: 50 * time.Millisecond})
	l.teach(t)
	nobody := testkit.Port(t)
	for i, c := range []struct {
		backend, reason string
	}{
		{"", "there is no backend"},
		{fmt.Sprintf("127.0.0.1:%d", nobody), "nobody listens there"},
	} {
		at := l.done(t, "db", uint64(i+1), Request{Backend: c.backend})
		for _, mode := range []string{"disable", "prefer"} {
			_, err := pgconn.Connect(t.Context(), "postgres://u:p@"+at.Address+"/db?sslmode="+mode)
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code != "57P03" || refused.Severity != "FATAL" {
				t.Errorf("%s, sslmode %s: got %v: want 57P03", c.reason, mode, err)
			}
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	l := begin(t, Options{Dir: t.TempDir(), MaxConnections: 2})
	l.teach(t)
	at := l.done(t, "db", 1, Request{Backend: backend(t, "one")})
	first, second := connect(t, at.Address), connect(t, at.Address)
	first.line(t)
	second.line(t)
	_, err := pgconn.Connect(t.Context(), "postgres://u:p@"+at.Address+"/db?sslmode=disable")
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "53300" {
		t.Fatalf("the third got %v: want 53300", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, "the place of the first is free", func() bool {
		third := connect(t, at.Address)
		if line, err := third.lines.ReadString('\n'); err == nil {
			return line == "one\n"
		}
		return false
	})
}

func TestTheProcessComesBackWhereItWas(t *testing.T) {
	dir := t.TempDir()
	l := begin(t, Options{Dir: dir})
	l.teach(t)
	at := l.done(t, "db", 1, Request{Backend: backend(t, "one")})
	gone := l.done(t, "other", 1, Request{})
	l.end()
	taken, err := net.Listen("tcp", gone.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { closed(quiet, taken.Close()) }()
	l = begin(t, Options{Dir: dir})
	if got := connect(t, at.Address).line(t); got != "one\n" {
		t.Errorf("reached %q: want one, at the same address", got)
	}
	c, err := l.Kit().Changes(t.Context(), "", 0)
	if err != nil || len(c.Lost) != 1 || c.Lost[0].Key != "other" {
		t.Errorf("announced %+v, %v: want other, whose port is taken", c.Lost, err)
	}
	// What is wished for again gets another port.
	if now := l.done(t, "other", 2, Request{}); now.Address == gone.Address {
		t.Errorf("it is at %s, which somebody else has", now.Address)
	}
}

func TestAReplacedProcessIsTaughtItsPorts(t *testing.T) {
	l := begin(t, Options{Dir: t.TempDir()})
	l.teach(t)
	wish := Request{Backend: backend(t, "one")}
	at := l.done(t, "db", 1, wish)
	if err := l.Kit().Forget(); err != nil {
		t.Fatal(err)
	}
	request, err := json.Marshal(wish)
	if err != nil {
		t.Fatal(err)
	}
	result, err := json.Marshal(at)
	if err != nil {
		t.Fatal(err)
	}
	a := l.teach(t, subsystem.RestoreItem{Key: "db", Token: "db-1", Intent: 1, Request: request, Result: result})
	if a.Restored != 1 || connect(t, at.Address).line(t) != "one\n" {
		t.Errorf("teaching gave %+v: want the endpoint at its address", a)
	}
}

func TestRequestsThatMakeNoSenseAreRefused(t *testing.T) {
	l := begin(t, Options{Dir: t.TempDir()})
	l.teach(t)
	for _, c := range []struct {
		request any
		reason  string
	}{
		{[]int{1}, "that is no object"},
		{Request{Backend: "nowhere"}, "the backend has no port"},
		{Request{Listen: "nowhere"}, "there is no port to listen at"},
	} {
		if a := l.apply(t, "db", 1, c.request); a.Class != command.Terminal {
			t.Errorf("%s: got %+v: want Terminal", c.reason, a)
		}
	}
}

func TestHalfwayIsFinishedByTheSameToken(t *testing.T) {
	l := begin(t, Options{Dir: t.TempDir()})
	l.teach(t)
	for i, b := range []string{backend(t, "one"), backend(t, "two")} {
		if err := l.Kit().SetFaults(subsystem.Faults{Halfway: 1}); err != nil {
			t.Fatal(err)
		}
		if a := l.apply(t, "db", uint64(i+1), Request{Backend: b}); a.Outcome != command.OutcomeFailed {
			t.Fatalf("got %+v: want failed", a)
		}
		if err := l.Kit().SetFaults(subsystem.Faults{}); err != nil {
			t.Fatal(err)
		}
		at := l.done(t, "db", uint64(i+1), Request{Backend: b})
		if at.Backend != b {
			t.Errorf("finished as %+v: want %s", at, b)
		}
		connect(t, at.Address).line(t)
	}
}

func TestRunReportsItsAddress(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended, bound := make(chan error, 1), make(chan net.Addr, 1)
	dir := t.TempDir()
	go func() { ended <- Run(ctx, Options{Dir: dir, Log: quiet, Ready: func(a net.Addr) { bound <- a }}) }()
	if (<-bound).(*net.TCPAddr).Port == 0 {
		t.Error("the bound port is not reported")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
