package testkit

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPortIsFree(t *testing.T) {
	port := Port(t)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestStartShowsOutputAndEnd(t *testing.T) {
	p := Start(t, "/bin/sh", "-c", "echo hello; exit 3")
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "3") {
		t.Errorf("ended with %v: want status 3", err)
	}
	if p.Output() != "hello\n" {
		t.Errorf("output %q", p.Output())
	}
}

func TestProcessesEndWithTheirTest(t *testing.T) {
	var p *Process
	t.Run("inner", func(t *testing.T) {
		p = Start(t, "/bin/sh", "-c", "sleep 1000 & sleep 1000")
	})
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("ended with %v: want it to be killed", err)
	}
}

func TestWaitReturnsOnceItIsSo(t *testing.T) {
	calls := 0
	Wait(t, "the third look", func() bool { calls++; return calls == 3 })
	if calls != 3 {
		t.Errorf("looked %d times", calls)
	}
}
