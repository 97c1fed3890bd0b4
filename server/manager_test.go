package server_test

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// manager plays systemd: it keeps every message that comes to its socket.
type manager struct {
	t      *testing.T
	socket *net.UnixConn
	mu     sync.Mutex
	said   []string
}

// manage listens at a path, or at an abstract name.
func manage(t *testing.T, name string) *manager {
	t.Helper()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{t: t, socket: socket}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buffer := make([]byte, 64<<10)
		for {
			n, err := socket.Read(buffer)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.said = append(m.said, string(buffer[:n]))
			m.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		if err := socket.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return m
}

// messages are those that have come so far.
func (m *manager) messages() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.said)
}

// count counts the messages that have a line that begins so, from the n'th on.
func (m *manager) count(n int, line string) (found int) {
	for _, message := range m.messages()[n:] {
		if strings.Contains("\n"+message, "\n"+line) {
			found++
		}
	}
	return found
}

// all are the messages up to now: what was sent before this call has come when it returns, since a socket keeps the order.
func (m *manager) all() []string {
	m.t.Helper()
	c, err := net.Dial("unixgram", m.socket.LocalAddr().String())
	if err != nil {
		m.t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			m.t.Error(err)
		}
	}()
	before := m.count(0, "END=")
	if _, err := c.Write([]byte("END=" + strconv.Itoa(before))); err != nil {
		m.t.Fatal(err)
	}
	testkit.Wait(m.t, "the last message", func() bool { return m.count(0, "END=") > before })
	return slices.DeleteFunc(m.messages(), func(s string) bool { return strings.HasPrefix(s, "END=") })
}

// environment is that of a process under a manager.
func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}
