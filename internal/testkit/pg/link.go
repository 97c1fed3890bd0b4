package pg

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
)

// errCut ends the way of messages that has been cut.
var errCut = errors.New("cut by the proxy")

// link is one client's connection through a proxy.
type link struct {
	proxy          *Proxy
	number         int
	client, server *net.TCPConn
	once           sync.Once
	cut            chan struct{} // closed by reset
	key            string        // by which the session may be cancelled; guarded by the proxy's mutex
}

// reset resets both ends; held messages are lost.
func (l *link) reset() {
	l.once.Do(func() { close(l.cut) })
	l.proxy.reset(l.client)
	l.proxy.reset(l.server)
}

// run carries messages both ways until both have ended.
func (l *link) run() {
	var back sync.WaitGroup
	back.Go(func() { l.carry(ToClient, l.server, l.client) })
	l.carry(ToServer, l.client, l.server)
	back.Wait()
	l.proxy.expected(l.client.Close())
	l.proxy.expected(l.server.Close())
}

// carry carries messages one way until its sender has ended or it is cut, and passes the end on. If the receiver has
// gone, what the sender still sends is thrown away until it ends too.
func (l *link) carry(way Direction, from, to *net.TCPConn) {
	stream := reader(from)
	typed := way == ToClient
	for {
		message, err := readMessage(stream, typed)
		if err == nil {
			typed, err = l.handle(way, typed, message, from, to)
		} else if failed := l.deliver(way, message, to); failed == nil {
			l.proxy.expected(to.CloseWrite())
		}
		if err != nil {
			l.drain(stream, err)
			return
		}
	}
}

// drain ends the way of messages after an error.
func (l *link) drain(stream *bufio.Reader, because error) {
	if errors.Is(because, errCut) {
		return
	}
	_, err := io.Copy(io.Discard, stream)
	l.proxy.expected(because)
	l.proxy.expected(err)
}

// handle does with a message what the hook says. It returns whether the next one has a type.
func (l *link) handle(way Direction, typed bool, m Message, from, to *net.TCPConn) (bool, error) {
	if !typed && (m.code() == codeTLS || m.code() == codeGSSAPI) {
		_, err := from.Write([]byte{'N'}) // not here; the server has not been told, and says nothing meanwhile
		return false, err
	}
	return true, l.act(l.decide(way, typed, m), way, m, from, to)
}

// decide asks the hook, unless the message would cancel what is to be executed.
func (l *link) decide(way Direction, typed bool, m Message) Action {
	key := m.key(typed)
	l.proxy.mu.Lock()
	hook, refused := l.proxy.hooks[way], key != "" && way == ToServer && l.proxy.deaf[key]
	if key != "" && way == ToClient {
		l.key = key
	}
	l.proxy.mu.Unlock()
	switch {
	case refused:
		return Cut()
	case hook == nil:
		return Pass()
	}
	return hook(l.number, m)
}

// protect has requests to cancel the session refused.
func (l *link) protect() {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	l.proxy.deaf[l.key] = true
}

func (l *link) act(a Action, way Direction, m Message, from, to *net.TCPConn) error {
	switch a.kind {
	case drop:
		return nil
	case cut:
		l.reset()
		return errCut
	case cutWithin:
		l.proxy.reset(from)
		if err := l.deliver(way, m[:min(a.bytes, len(m))], to); err != nil {
			return err
		}
		l.proxy.expected(to.CloseWrite())
		return errCut
	case cutThenDeliver:
		l.protect()
		l.proxy.reset(from) // first, so that no reply can be faster
	}
	if a.until != nil {
		select {
		case <-a.until:
		case <-l.cut:
			return errCut
		}
	}
	return l.deliver(way, m, to)
}

// deliver sends a message on, once there is no pause.
func (l *link) deliver(way Direction, m Message, to *net.TCPConn) error {
	for {
		l.proxy.mu.Lock()
		gate := l.proxy.gates[way]
		l.proxy.mu.Unlock()
		if gate == nil {
			_, err := to.Write(m)
			return err
		}
		select {
		case <-gate:
		case <-l.cut:
			return errCut
		}
	}
}
