package pg

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"syscall"
	"testing"
)

// Direction is one of the two ways through a [Proxy].
type Direction int

const (
	ToServer Direction = iota // what clients send
	ToClient                  // what the server sends
)

// Hook decides about a message. Connections are numbered from 1 in the order in which clients made them. A hook is
// called by many connections at once, holds up its own one until it returns, may keep the message, and may call the
// proxy's methods except Close.
type Hook func(connection int, message Message) Action

// Proxy stands between clients and a server, on loopback, and does to their connections what a test asks for. Clients
// that ask for encryption are told that there is none.
type Proxy struct {
	t        testing.TB
	listener net.Listener
	context  context.Context // ends with the proxy
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu     sync.Mutex
	target string
	hooks  [2]Hook          // by direction
	gates  [2]chan struct{} // by direction; nil is open, and closing one opens it
	links  map[*link]bool
	taken  int
	deaf   map[string]bool // keys of sessions that are not to be cancelled
}

// NewProxy starts a proxy in front of a server's host and port, see [Server.Address]. It ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start a proxy: %v", err)
	}
	p := &Proxy{t: t, listener: listener, target: target, links: map[*link]bool{}, deaf: map[string]bool{}}
	p.context, p.cancel = context.WithCancel(context.Background())
	p.running.Go(p.accept)
	t.Cleanup(p.Close)
	return p
}

// Address is the proxy's host and port.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// URL is the address of a database, such as [Server.Database] returns, by way of the proxy.
func (p *Proxy) URL(database string) string {
	p.t.Helper()
	parsed, err := url.Parse(database)
	if err != nil {
		p.t.Fatalf("address of a database: %v", err)
	}
	parsed.Host = p.Address()
	return parsed.String()
}

// Retarget makes connections from now on lead to another server. Those that exist stay.
func (p *Proxy) Retarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// OnClient sets the hook for what clients send; nil is none. It holds from the next message of every connection.
func (p *Proxy) OnClient(hook Hook) { p.on(ToServer, hook) }

// OnServer sets the hook for what the server sends; nil is none. It holds from the next message of every connection.
func (p *Proxy) OnServer(hook Hook) { p.on(ToClient, hook) }

func (p *Proxy) on(way Direction, hook Hook) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hooks[way] = hook
}

// Cut resets all connections, at both ends. New ones are taken.
func (p *Proxy) Cut() {
	for _, l := range p.open() {
		l.reset()
	}
}

// Pause holds the bytes of all connections, also of new ones, until [Proxy.Resume]: what was sent then arrives, even if
// its sender has given up meanwhile. Without directions it is both.
func (p *Proxy) Pause(ways ...Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, way := range both(ways) {
		if p.gates[way] == nil {
			p.gates[way] = make(chan struct{})
		}
	}
}

// Resume ends a pause. Without directions it is both.
func (p *Proxy) Resume(ways ...Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, way := range both(ways) {
		if p.gates[way] != nil {
			close(p.gates[way])
			p.gates[way] = nil
		}
	}
}

func both(ways []Direction) []Direction {
	if len(ways) == 0 {
		return []Direction{ToServer, ToClient}
	}
	return ways
}

// Accepted is how many connections clients have made.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// Open is how many connections are open at either end.
func (p *Proxy) Open() int { return len(p.open()) }

func (p *Proxy) open() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := make([]*link, 0, len(p.links))
	for l := range p.links {
		open = append(open, l)
	}
	return open
}

// Close resets all connections, takes no more, and returns when the proxy's goroutines have ended.
func (p *Proxy) Close() {
	p.cancel()
	p.expected(p.listener.Close())
	p.Cut()
	p.running.Wait()
}

// accept takes connections until the proxy is closed.
func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			p.expected(err)
			return
		}
		p.mu.Lock()
		p.taken++
		number, target := p.taken, p.target
		p.mu.Unlock()
		p.running.Go(func() { p.serve(number, client.(*net.TCPConn), target) })
	}
}

// serve runs one connection to its end.
func (p *Proxy) serve(number int, client *net.TCPConn, target string) {
	var dialer net.Dialer
	server, err := dialer.DialContext(p.context, "tcp", target)
	if err != nil {
		p.reset(client) // the server is down, which may be what is tested
		return
	}
	l := &link{proxy: p, number: number, client: client, server: server.(*net.TCPConn), cut: make(chan struct{})}
	p.mu.Lock()
	p.links[l] = true
	p.mu.Unlock()
	if p.context.Err() != nil {
		l.reset() // closed meanwhile
	}
	l.run()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// reset closes a connection so that its other end sees a reset, and what was not sent yet is lost.
func (p *Proxy) reset(c *net.TCPConn) {
	p.expected(c.SetLinger(0))
	p.expected(c.Close())
}

// expected fails the test for an error that is no consequence of ended connections.
func (p *Proxy) expected(err error) {
	for _, usual := range []error{nil, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE, syscall.ENOTCONN} {
		if errors.Is(err, usual) {
			return
		}
	}
	p.t.Errorf("proxy %s: %v", p.Address(), err)
}
