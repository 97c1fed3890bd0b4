package cluster

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// way is a direction through a [line].
type way int

const (
	there way = iota // what the node sends
	back             // what it is sent
)

// line is a forwarder of TCP connections that can hold back what is sent: it is late then, and not lost, also when its sender has given up.
type line struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu     sync.Mutex
	gates  [2]chan struct{} // by way; nil is open, and closing one opens it
	held   [2][]byte        // what waits at the gates, for looking at
	links  map[net.Conn]bool
	closed bool
}

// newLine forwards what comes to an address of this machine, "host:0", to a target. It ends with the test.
func newLine(t *testing.T, listen, target string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{listener: listener, target: target, links: map[net.Conn]bool{}}
	l.running.Go(l.accept)
	t.Cleanup(l.close)
	return l
}

func (l *line) address() string { return l.listener.Addr().String() }

// hold holds back what is sent from now on, either way when none is named.
func (l *line) hold(ways ...way) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range both(ways) {
		if l.gates[w] == nil {
			l.gates[w] = make(chan struct{})
		}
	}
}

// release delivers what was held.
func (l *line) release(ways ...way) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range both(ways) {
		if l.gates[w] != nil {
			close(l.gates[w])
			l.gates[w], l.held[w] = nil, nil
		}
	}
}

// cut ends all connections; new ones are taken.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.links {
		l.end(c)
	}
}

// holds reports whether some text is among what is held back.
func (l *line) holds(w way, text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.held[w], []byte(text))
}

func both(ways []way) []way {
	if len(ways) == 0 {
		return []way{there, back}
	}
	return ways
}

func (l *line) accept() {
	for {
		c, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		l.running.Go(func() { l.link(c) })
	}
}

// link carries what one connection's ends say, until either has ended.
func (l *line) link(client net.Conn) {
	server, err := net.Dial("tcp", l.target)
	if err != nil {
		l.end(client)
		return
	}
	if l.keep(client, server) {
		var other sync.WaitGroup
		other.Go(func() { l.carry(back, server, client) })
		l.carry(there, client, server)
		other.Wait()
	}
	l.mu.Lock()
	delete(l.links, client)
	delete(l.links, server)
	l.mu.Unlock()
	l.end(client)
	l.end(server)
}

func (l *line) keep(connections ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range connections {
		l.links[c] = true
	}
	return !l.closed
}

// carry carries one way. A sender that has gone does not take back what is held.
func (l *line) carry(w way, from, to net.Conn) {
	piece := make([]byte, 64<<10)
	for {
		n, err := from.Read(piece)
		if n > 0 {
			l.pass(w, piece[:n])
			if _, failed := to.Write(piece[:n]); failed != nil {
				err = failed
			}
		}
		if err != nil {
			l.pass(w, nil)
			l.end(to)
			l.end(from)
			return
		}
	}
}

// pass returns when the gate is open.
func (l *line) pass(w way, piece []byte) {
	for {
		l.mu.Lock()
		gate := l.gates[w]
		if gate != nil {
			l.held[w] = append(l.held[w], piece...)
			piece = nil
		}
		l.mu.Unlock()
		if gate == nil {
			return
		}
		<-gate
	}
}

// end closes a connection or the listener, which may be closed already.
func (l *line) end(c io.Closer) {
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		panic(err) // closing a socket does not fail
	}
}

func (l *line) close() {
	l.release()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.end(l.listener)
	l.cut()
	l.running.Wait()
}
