package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// endpoint is one listener and what is behind it.
type endpoint struct {
	name     string
	address  string
	listener *net.TCPListener
	options  Options
	log      *slog.Logger
	// ctx ends with the endpoint; all are its goroutines.
	ctx  context.Context
	stop context.CancelFunc
	all  sync.WaitGroup

	mu sync.Mutex
	// now is the backend of the moment.
	now *era
	// open counts connections, those that wait among them.
	open int
}

// era is the time of one backend. Nothing of it is left when the next one begins.
type era struct {
	backend string
	// over is closed when another backend takes its place.
	over chan struct{}
	// pairs are guarded by the endpoint's lock; forwarding are their goroutines.
	pairs      map[*pair]bool
	forwarding sync.WaitGroup
}

// pair is a client's connection and the one to the backend.
type pair struct{ client, server *net.TCPConn }

func newEra(backend string) *era {
	return &era{backend: backend, over: make(chan struct{}), pairs: map[*pair]bool{}}
}

func newEndpoint(name string, listener *net.TCPListener, backend string, o Options) *endpoint {
	p := &endpoint{name: name, address: listener.Addr().String(), listener: listener, options: o, log: o.Log, now: newEra(backend)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.all.Go(p.accept)
	return p
}

func (p *endpoint) backend() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now.backend
}

// listensAt says whether an endpoint is where it is wished for; port 0 is wherever it is.
func (p *endpoint) listensAt(wish string) bool {
	host, port, err := net.SplitHostPort(wish)
	if err != nil {
		return false
	}
	ownHost, ownPort, err := net.SplitHostPort(p.address)
	return err == nil && (port == "0" || port == ownPort) && (host == ownHost || host == "" || host == "localhost")
}

// point changes the backend. When it returns, the former one has no connection left.
func (p *endpoint) point(backend string) (cut int, changed bool) {
	p.mu.Lock()
	former := p.now
	if former.backend == backend {
		p.mu.Unlock()
		return 0, false
	}
	p.now = newEra(backend)
	p.mu.Unlock()
	return p.end(former), true
}

// end cuts all connections of an era, and returns when they are closed.
func (p *endpoint) end(e *era) (cut int) {
	p.mu.Lock()
	close(e.over)
	for pair := range e.pairs {
		pair.close(p.log)
		cut++
	}
	p.mu.Unlock()
	e.forwarding.Wait()
	return cut
}

// close closes the listener and all connections, and returns when nothing is left.
func (p *endpoint) close() error {
	p.stop()
	err := p.listener.Close()
	p.point("closed") // no backend's name; nobody waits for one any more
	p.all.Wait()
	if err != nil {
		return fmt.Errorf("close endpoint %q: %w", p.name, err)
	}
	return nil
}

// accept takes connections until the listener is closed.
func (p *endpoint) accept() {
	for failures := 0; ; {
		client, err := p.listener.AcceptTCP()
		if p.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			if err == nil {
				p.closed(client.Close())
			}
			return
		}
		if err != nil { // out of file handles, perhaps
			failures++
			p.log.Warn("an endpoint cannot accept", "endpoint", p.name, "error", err)
			wait(p.ctx, min(time.Duration(failures)*10*time.Millisecond, time.Second), nil)
			continue
		}
		failures = 0
		p.all.Go(func() { p.serve(client) })
	}
}

// enter counts a connection, and returns which it is.
func (p *endpoint) enter() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open++
	return p.open
}

func (p *endpoint) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open--
}

// serve sees to one client's connection, from its beginning to its end.
func (p *endpoint) serve(client *net.TCPConn) {
	number := p.enter()
	defer p.leave()
	if number > 2*p.options.MaxConnections { // too many to be told why
		p.closed(client.Close())
		return
	}
	if number > p.options.MaxConnections {
		p.refuse(client, "53300", "too many clients already at this endpoint")
		return
	}
	pair, e := p.reach(client)
	if pair == nil {
		p.refuse(client, "57P03", "cannot connect now: no server is behind this endpoint")
		return
	}
	defer e.forwarding.Done()
	pair.forward(p.log)
	p.mu.Lock()
	delete(e.pairs, pair)
	p.mu.Unlock()
}

// reach connects to the backend of the moment, waiting for one that can be reached. With a pair the caller is one of its era's.
func (p *endpoint) reach(client *net.TCPConn) (*pair, *era) {
	ctx, cancel := context.WithTimeout(p.ctx, p.options.Wait)
	defer cancel()
	for tries := 0; ctx.Err() == nil; tries++ {
		p.mu.Lock()
		e := p.now
		p.mu.Unlock()
		if e.backend == "" {
			wait(ctx, p.options.Wait, e.over)
			continue
		}
		server, err := dial(ctx, e)
		if err != nil {
			wait(ctx, min(20*time.Millisecond<<min(tries, 5), 500*time.Millisecond), e.over)
			continue
		}
		if made := p.join(e, client, server); made != nil {
			return made, e
		}
		p.closed(server.Close()) // another backend has taken its place meanwhile
	}
	return nil, nil
}

// dial connects to an era's backend while it lasts.
func dial(ctx context.Context, e *era) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	ended := make(chan struct{})
	defer func() { cancel(); <-ended }()
	go func() {
		defer close(ended)
		select {
		case <-e.over:
			cancel()
		case <-ctx.Done():
		}
	}()
	var dialer net.Dialer
	made, err := dialer.DialContext(ctx, "tcp", e.backend)
	if err != nil {
		return nil, err
	}
	return made.(*net.TCPConn), nil
}

// join makes a pair part of an era, unless that is over.
func (p *endpoint) join(e *era, client, server *net.TCPConn) *pair {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != e {
		return nil
	}
	made := &pair{client, server}
	e.pairs[made] = true
	e.forwarding.Add(1)
	return made
}

// wait waits, until ctx ends or the channel is closed.
func wait(ctx context.Context, d time.Duration, until <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-until:
	}
}

// forward carries bytes both ways until both have ended, and passes each end on.
func (c *pair) forward(log *slog.Logger) {
	var back sync.WaitGroup
	back.Go(func() { carry(c.client, c.server, log) })
	carry(c.server, c.client, log)
	back.Wait()
	c.close(log)
}

// carry carries one way. When the receiver fails, the sender is cut off, because nobody hears it any more.
func carry(to, from *net.TCPConn, log *slog.Logger) {
	_, err := io.Copy(to, from)
	if err != nil {
		closed(log, from.Close())
		closed(log, to.Close())
		return
	}
	if err := to.CloseWrite(); err != nil {
		closed(log, to.Close())
	}
}

func (c *pair) close(log *slog.Logger) {
	closed(log, c.client.Close())
	closed(log, c.server.Close())
}

func (p *endpoint) closed(err error) { closed(p.log, err) }

// closed notes what went wrong with closing something that may be closed already.
func closed(log *slog.Logger, err error) {
	if err != nil && !errors.Is(err, net.ErrClosed) {
		log.Debug("a connection could not be closed in order", "error", err)
	}
}
