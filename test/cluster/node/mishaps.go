package main

import (
	"context"
	"net/http"
	"sync"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
)

// mishaps are what a test can do to a node from within.
type mishaps struct {
	mu      sync.Mutex
	hanging chan struct{} // closed when turns may go on; nil when they do not hang
	ballast [][]byte
}

// wait hangs while turns are to hang.
func (m *mishaps) wait() {
	m.mu.Lock()
	hanging := m.hanging
	m.mu.Unlock()
	if hanging != nil {
		<-hanging
	}
}

// hang makes the turns of the node's own kinds hang from now on, or lets them go on.
func (m *mishaps) hang(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case on && m.hanging == nil:
		m.hanging = make(chan struct{})
	case !on && m.hanging != nil:
		close(m.hanging)
		m.hanging = nil
	}
}

// eat takes memory, and touches all of it.
func (m *mishaps) eat(bytes int) {
	piece := make([]byte, bytes)
	for i := 0; i < len(piece); i += 4096 {
		piece[i] = 1
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ballast = append(m.ballast, piece)
}

// handler is the door to the mishaps.
func (m *mishaps) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /mishap/hang", func(http.ResponseWriter, *http.Request) { m.hang(true) })
	mux.HandleFunc("POST /mishap/go", func(http.ResponseWriter, *http.Request) { m.hang(false) })
	mux.HandleFunc("POST /mishap/eat", func(http.ResponseWriter, *http.Request) { m.eat(16 << 20) })
	return mux
}

// dropping is the way to a subsystem that panics at what its caller asks it to.
type dropping struct{ *subsystem.Client }

// Do panics at a poisonous request, and otherwise makes the attempt.
func (d dropping) Do(ctx context.Context, call command.Call) command.Result {
	if string(call.Request) == `{"value":"drop"}` {
		panic("dropped " + call.Key)
	}
	return d.Client.Do(ctx, call)
}
