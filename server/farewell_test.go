package server

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// left is how many connections there are.
func (f *farewell) left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open)
}

// TestFarewell: a server that leaves still answers on the connections that clients have kept, tells them that they end, and does not wait for those that say nothing.
func TestFarewell(t *testing.T) {
	leave := newFarewell(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: leave, ConnState: leave.note, ReadHeaderTimeout: time.Second}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(listener) }()
	clients := [2]*http.Client{{Transport: &http.Transport{}}, {Transport: &http.Transport{}}}
	ask := func(c *http.Client) (closes bool) {
		t.Helper()
		answer, err := c.Get("http://" + listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Error(err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Error(err)
		}
		return answer.Close
	}
	for i, c := range clients {
		if ask(c) {
			t.Errorf("the server ends the connection of client %d, and does not leave", i)
		}
	}
	testkit.Wait(t, "both connections are there", func() bool { return leave.left() == 2 })
	gone := make(chan struct{})
	go func() { leave.wait(time.Minute); close(gone) }()
	testkit.Wait(t, "the server leaves", func() bool {
		leave.mu.Lock()
		defer leave.mu.Unlock()
		return leave.leaving
	})
	if !ask(clients[0]) {
		t.Error("a server that leaves keeps a connection")
	}
	testkit.Wait(t, "the connection has ended", func() bool { return leave.left() < 2 })
	<-gone // it has waited for the other one, and not for ever
	if err := web.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != http.ErrServerClosed {
		t.Error(err)
	}
	for _, c := range clients {
		c.CloseIdleConnections()
	}
}
