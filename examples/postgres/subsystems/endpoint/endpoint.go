package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
)

// Request is a wish for an endpoint. The call's key is its name.
type Request struct {
	// Listen is "host:port"; port 0 chooses one, and keeps it. Default: port 0 of [Options.Address].
	Listen string `json:"listen,omitempty"`
	// Backend is the "host:port" of the server behind it; "" is none.
	Backend string `json:"backend"`
}

// Result says where an endpoint listens, and what is behind it.
type Result struct {
	Address string `json:"address"`
	Backend string `json:"backend,omitempty"`
	// Cut is the number of connections to the former backend that were cut.
	Cut int `json:"cut,omitempty"`
}

// Options configures the process. Dir must be set; every other zero value takes the default named beside it.
type Options struct {
	// Listen is "host:port" for the plane; port 0 chooses one. Default "127.0.0.1:0".
	Listen string
	// Dir holds the journal and the ledger.
	Dir string
	// Address is where endpoints listen that do not say. Default "127.0.0.1".
	Address string
	// Wait is how long a connection waits for a backend. Default 15 s.
	Wait time.Duration
	// MaxConnections bounds the connections of one endpoint; more are refused with the error 53300. Default 1000.
	MaxConnections int
	// Ready is told the bound address.
	Ready func(net.Addr)
	// Log receives what an operator should know. Default slog.Default().
	Log *slog.Logger
	// Kit configures the rest; its Dir, Handler and Log are ignored.
	Kit subsystem.Options
}

func (o Options) withDefaults() Options {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Address == "" {
		o.Address = "127.0.0.1"
	}
	if o.Wait <= 0 {
		o.Wait = 15 * time.Second
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = 1000
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// Endpoints is the subsystem.Handler. Use [Run] or [Open].
type Endpoints struct {
	options Options
	kit     *subsystem.Server

	mu   sync.Mutex
	open map[string]*endpoint
}

// Run serves until ctx ends.
func Run(ctx context.Context, o Options) error {
	e, listener, err := Open(ctx, o)
	if err != nil {
		return err
	}
	if o.Ready != nil {
		o.Ready(listener.Addr())
	}
	return e.Serve(ctx, listener)
}

// Open opens the endpoints that are remembered, and returns them with a listener for the plane, ready to serve.
func Open(ctx context.Context, o Options) (*Endpoints, net.Listener, error) {
	if o.Dir == "" {
		return nil, nil, errors.New("endpoint: Options.Dir must be set")
	}
	o = o.withDefaults()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("endpoint: %w", err)
	}
	e := &Endpoints{options: o, open: map[string]*endpoint{}}
	o.Kit.Dir, o.Kit.Handler, o.Kit.Log = o.Dir, e, o.Log
	if e.kit, err = subsystem.Open(o.Kit); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("endpoint: %w", err), listener.Close(), e.closeAll())
	}
	return e, listener, nil
}

// Kit is the server that keeps the endpoints' memory.
func (e *Endpoints) Kit() *subsystem.Server { return e.kit }

// Serve answers the plane until ctx ends, and then closes all endpoints.
func (e *Endpoints) Serve(ctx context.Context, listener net.Listener) error {
	return errors.Join(e.kit.Serve(ctx, listener), e.closeAll())
}

func (e *Endpoints) closeAll() error {
	e.mu.Lock()
	all := e.open
	e.open = map[string]*endpoint{}
	e.mu.Unlock()
	errs := make([]error, 0, len(all))
	for _, p := range all {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}

// Start listens where the remembered endpoints did.
func (e *Endpoints) Start(remembered []subsystem.Entry, lose subsystem.LoseFunc) error {
	for _, entry := range remembered {
		if entry.Request == nil || entry.Outcome != command.OutcomeDone || entry.Lost != "" {
			continue
		}
		if err := e.takeUp(entry.Key, entry.Request, entry.Result); err != nil {
			if err := lose(entry.Key, entry.Token, err.Error()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Restore listens where an endpoint did that was acknowledged.
func (e *Endpoints) Restore(_ context.Context, item subsystem.RestoreItem) error {
	if e.at(item.Key) != nil {
		return nil
	}
	return e.takeUp(item.Key, item.Request, item.Result)
}

func (e *Endpoints) takeUp(name string, request, result []byte) error {
	var wish Request
	var had Result
	if err := errors.Join(json.Unmarshal(request, &wish), json.Unmarshal(result, &had)); err != nil {
		return fmt.Errorf("endpoint %q cannot be read: %w", name, err)
	}
	_, err := e.listen(name, had.Address, wish.Backend)
	return err
}

// Forget closes everything.
func (e *Endpoints) Forget(context.Context) error { return e.closeAll() }

func (e *Endpoints) at(name string) *endpoint {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.open[name]
}

// listen opens an endpoint.
func (e *Endpoints) listen(name, address, backend string) (*endpoint, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", name, err)
	}
	p := newEndpoint(name, listener.(*net.TCPListener), backend, e.options)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open[name] = p
	return p, nil
}

// Apply opens, changes or closes an endpoint.
func (e *Endpoints) Apply(_ context.Context, c subsystem.Change) subsystem.Answer {
	p := e.at(c.Key)
	if c.Request == nil {
		return e.remove(c.Key, p)
	}
	wish, err := e.decode(c.Request)
	if err != nil {
		return subsystem.Refuse(command.Terminal, err.Error())
	}
	if p != nil && !p.listensAt(wish.Listen) {
		if err := e.drop(c.Key, p); err != nil {
			return subsystem.Refuse(command.Retry, err.Error())
		}
		p = nil
	}
	if p == nil {
		return e.create(c, wish)
	}
	if c.StopHalfway {
		p.point("")
		return subsystem.Fail(nil, "the endpoint has no backend", "cut")
	}
	cut, changed := p.point(wish.Backend)
	effect := subsystem.NoEffect
	if changed || c.Standing != nil && c.Standing.Token == c.Token {
		effect = subsystem.Update
	}
	return p.answer(effect, cut)
}

func (e *Endpoints) decode(text []byte) (wish Request, err error) {
	if err := json.Unmarshal(text, &wish); err != nil {
		return wish, fmt.Errorf("the request is not {listen, backend}: %w", err)
	}
	if wish.Listen == "" {
		wish.Listen = net.JoinHostPort(e.options.Address, "0")
	}
	for what, address := range map[string]string{"listen": wish.Listen, "backend": wish.Backend} {
		if _, _, err := net.SplitHostPort(address); err != nil && address != "" {
			return wish, fmt.Errorf("%s %q: want host:port: %w", what, address, err)
		}
	}
	return wish, nil
}

// create listens where the endpoint did before, if it may and the port is free, and otherwise where it is told.
func (e *Endpoints) create(c subsystem.Change, wish Request) subsystem.Answer {
	backend := wish.Backend
	if c.StopHalfway {
		backend = ""
	}
	var had Result
	_, port, err := net.SplitHostPort(wish.Listen)
	if err == nil && port == "0" && json.Unmarshal(c.Previous, &had) == nil && had.Address != "" {
		if p, err := e.listen(c.Key, had.Address, backend); err == nil {
			return e.created(c, p)
		}
	}
	p, err := e.listen(c.Key, wish.Listen, backend)
	if err != nil {
		return subsystem.Refuse(command.Retry, err.Error())
	}
	return e.created(c, p)
}

func (e *Endpoints) created(c subsystem.Change, p *endpoint) subsystem.Answer {
	if c.StopHalfway {
		return subsystem.Fail(nil, "the endpoint listens, and has no backend", "at "+p.address)
	}
	return p.answer(subsystem.Create, 0)
}

func (p *endpoint) answer(effect subsystem.Effect, cut int) subsystem.Answer {
	backend := p.backend()
	text, err := json.Marshal(Result{Address: p.address, Backend: backend, Cut: cut})
	if err != nil {
		return subsystem.Refuse(command.Terminal, err.Error())
	}
	return subsystem.Done(text, effect, fmt.Sprintf("%s to %q, %d cut", p.address, backend, cut))
}

func (e *Endpoints) remove(name string, p *endpoint) subsystem.Answer {
	if p == nil {
		return subsystem.Done(nil, subsystem.NoEffect, "")
	}
	if err := e.drop(name, p); err != nil {
		return subsystem.Refuse(command.Retry, err.Error())
	}
	return subsystem.Done(nil, subsystem.Delete, p.address)
}

func (e *Endpoints) drop(name string, p *endpoint) error {
	e.mu.Lock()
	delete(e.open, name)
	e.mu.Unlock()
	return p.close()
}
