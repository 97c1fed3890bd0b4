package subsystem_test

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/setpointhq/setpoint/adapter/subsystem"
)

// TestAStopDoesNotWaitForConnectionsThatWereNotUsed: clients make some in advance, and a server that waits for them ends with an error after five seconds.
func TestAStopDoesNotWaitForConnectionsThatWereNotUsed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- subsystem.ServeHTTP(ctx, listener, http.NotFoundHandler(), func() error { return nil })
	}()
	unused, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	used, err := http.Get("http://" + listener.Addr().String()) // the other one was accepted before it
	if err == nil {
		err = used.Body.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if err := unused.Close(); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}
