package host

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
)

// Request is a wish for an instance.
type Request struct {
	// Image names what to run, see [Options.Images].
	Image string `json:"image"`
}

// Result describes a running instance.
type Result struct {
	// PID is 0 when the instance is simulated.
	PID  int    `json:"pid,omitempty"`
	Boot string `json:"boot"`
	// Admin is the URL below which the instance is configured.
	Admin string `json:"admin"`
}

// Options configures a host.
type Options struct {
	// Listen is "host:port"; port 0 chooses one. Default "127.0.0.1:0".
	Listen string
	// Dir holds the journal, the ledger, the host's identity, and the output of instances.
	Dir string
	// Images maps an image's name to the command line that runs it. Default: "proxy" is this program with the argument
	// "demo-proxy".
	Images map[string][]string
	// Grace is how long an instance may take to end when it is asked to. Default 5 s.
	Grace time.Duration
	// StopInstances terminates all instances when the host itself ends in order.
	StopInstances bool
	// Simulated runs no processes.
	Simulated bool
	// Ready is told the bound address.
	Ready func(net.Addr)
	// Log receives what an operator should know. Default slog.Default().
	Log *slog.Logger
	// Kit configures the rest; its Dir, Handler and Log are ignored.
	Kit subsystem.Options
}

// machine is what runs instances: really, or as objects.
type machine interface {
	// find lists what runs already and belongs to this host.
	find() ([]*instance, error)
	start(image string, i *instance) error
	// stop ends an instance and returns when it is gone.
	stop(ctx context.Context, i *instance, grace time.Duration) error
	close() error
}

// instance is one running process or object. Its fields are set before it is shared, but for token.
type instance struct {
	key   string
	image string
	// started is the token that has started it; token is the one that it stands for now, guarded by the host's lock.
	started, token command.Token
	Result
	// gone is closed when it has ended.
	gone chan struct{}
}

// Host is the subsystem.Handler. Use [Open].
type Host struct {
	options Options
	machine machine
	server  *subsystem.Server
	lose    subsystem.LoseFunc

	mu      sync.Mutex
	running map[string]*instance // by key
	// stopping marks boots whose end is wanted, and is no loss.
	stopping map[string]bool
}

// Run serves until ctx ends.
func Run(ctx context.Context, o Options) error {
	h, listener, err := Open(ctx, o)
	if err != nil {
		return err
	}
	if o.Ready != nil {
		o.Ready(listener.Addr())
	}
	return h.Serve(ctx, listener)
}

// Open finds what runs already and makes a host that is ready to serve on the listener that it returns.
func Open(ctx context.Context, o Options) (h *Host, listener net.Listener, err error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Grace <= 0 {
		o.Grace = 5 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("host: %w", err)
	}
	h = &Host{options: o, running: map[string]*instance{}, stopping: map[string]bool{}}
	if o.Simulated {
		h.machine = newSimulation("http://"+listener.Addr().String()+"/instances/", h.ended)
	} else if h.machine, err = newProcesses(o, h.ended); err != nil {
		return nil, nil, errors.Join(err, listener.Close())
	}
	o.Kit.Dir, o.Kit.Handler, o.Kit.Log = o.Dir, h, o.Log
	if h.server, err = subsystem.Open(o.Kit); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("host: %w", err), h.machine.close(), listener.Close())
	}
	return h, listener, nil
}

// Kit is the server that keeps the host's memory.
func (h *Host) Kit() *subsystem.Server { return h.server }

// Serve answers on listener until ctx ends, and then ends the instances when [Options.StopInstances] says so.
func (h *Host) Serve(ctx context.Context, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("/v1/", h.server.Handler())
	if s, ok := h.machine.(*simulation); ok {
		mux.Handle("/instances/", s)
	}
	err := subsystem.ServeHTTP(ctx, listener, mux, h.server.Close)
	if h.options.StopInstances {
		err = errors.Join(err, h.stopAll(context.WithoutCancel(ctx), h.options.Grace))
	}
	return errors.Join(err, h.machine.close())
}

// Start compares what is remembered with what runs.
func (h *Host) Start(remembered []subsystem.Entry, lose subsystem.LoseFunc) error {
	h.lose = lose
	if err := h.takeUp(remembered); err != nil {
		return fmt.Errorf("host: find running instances: %w", err)
	}
	for _, e := range remembered {
		boot := resultOf(e.Result).Boot
		if i := h.at(e.Key); boot == "" || i != nil && i.Boot == boot {
			continue
		}
		if err := lose(e.Key, e.Token, "the process ended while the host was down"); err != nil {
			return err
		}
	}
	return nil
}

// takeUp fills the table. One that ends meanwhile waits for the lock, and is found in the table then.
func (h *Host) takeUp(remembered []subsystem.Entry) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	found, err := h.machine.find()
	if err != nil {
		return err
	}
	standsFor := map[string]command.Token{}
	for _, e := range remembered {
		standsFor[resultOf(e.Result).Boot] = e.Token
	}
	for _, i := range found {
		if token, ok := standsFor[i.Boot]; ok {
			i.token = token
		}
		if other := h.running[i.key]; other != nil {
			h.options.Log.Warn("two processes of one instance run", "key", i.key, "pid", i.PID, "other", other.PID)
		}
		h.running[i.key] = i
	}
	return nil
}

func (h *Host) at(key string) *instance {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running[key]
}

// Apply starts, replaces or ends the process of one key.
func (h *Host) Apply(ctx context.Context, c subsystem.Change) subsystem.Answer {
	current := h.at(c.Key)
	if c.Request == nil {
		return h.remove(ctx, current)
	}
	var wish Request
	if err := json.Unmarshal(c.Request, &wish); err != nil {
		return subsystem.Refuse(command.Terminal, fmt.Sprintf("the request is not {image}: %v", err))
	}
	if !h.has(wish.Image) {
		return subsystem.Refuse(command.Terminal, fmt.Sprintf("there is no image %q", wish.Image))
	}
	if current != nil && (current.started == c.Token || current.image == wish.Image) {
		return h.keep(c, current)
	}
	if c.Standing != nil && c.Standing.Token == c.Token {
		return h.diedHalfway(c)
	}
	effect := subsystem.Create
	if current != nil {
		effect = subsystem.Update
		if err := h.stop(ctx, current); err != nil {
			return subsystem.Fail(current.json(), err.Error(), "the former process is still ending")
		}
	}
	return h.launch(c, wish, effect)
}

// keep answers for a process that is what is wished already. A process that this token has started, and that was not
// noted as an effect because of a crash or a failure half-way, is noted now.
func (h *Host) keep(c subsystem.Change, i *instance) subsystem.Answer {
	h.mu.Lock()
	i.token = c.Token
	h.mu.Unlock()
	if c.StopHalfway {
		return subsystem.Fail(i.json(), "the process runs, and was not put into service", i.detail())
	}
	if i.started != c.Token {
		return subsystem.Done(i.json(), subsystem.NoEffect, "")
	}
	return subsystem.Done(i.json(), subsystem.Create, "found running: "+i.detail())
}

// diedHalfway: this token has had its one process. It is acknowledged, and at once announced as lost.
func (h *Host) diedHalfway(c subsystem.Change) subsystem.Answer {
	r := resultOf(c.Standing.Result)
	if err := h.lose(c.Key, c.Token, fmt.Sprintf("process %d ended before it was acknowledged", r.PID)); err != nil {
		return subsystem.Refuse(command.Retry, err.Error())
	}
	return subsystem.Done(c.Standing.Result, subsystem.Create, "boot "+r.Boot+", ended since")
}

func (h *Host) launch(c subsystem.Change, wish Request, effect subsystem.Effect) subsystem.Answer {
	i := &instance{
		key: c.Key, image: wish.Image, started: c.Token, token: c.Token,
		Result: Result{Boot: rand.Text()}, gone: make(chan struct{}),
	}
	h.mu.Lock()
	defer h.mu.Unlock() // a process that dies at once must find itself in the table
	if err := h.machine.start(wish.Image, i); err != nil {
		return subsystem.Refuse(command.Retry, fmt.Sprintf("image %q does not start: %v", wish.Image, err))
	}
	h.running[c.Key] = i
	if c.StopHalfway {
		return subsystem.Fail(i.json(), "the process runs, and was not put into service", i.detail())
	}
	return subsystem.Done(i.json(), effect, i.detail())
}

func (h *Host) remove(ctx context.Context, current *instance) subsystem.Answer {
	if current == nil {
		return subsystem.Done(nil, subsystem.NoEffect, "")
	}
	if err := h.stop(ctx, current); err != nil {
		return subsystem.Fail(current.json(), err.Error(), "still ending: "+current.detail())
	}
	return subsystem.Done(nil, subsystem.Delete, current.detail())
}

// stop ends an instance on purpose.
func (h *Host) stop(ctx context.Context, i *instance) error {
	h.mu.Lock()
	running := h.running[i.key] == i
	if running {
		h.stopping[i.Boot] = true
	}
	h.mu.Unlock()
	if !running {
		return nil
	}
	if err := h.machine.stop(ctx, i, h.options.Grace); err != nil {
		return fmt.Errorf("end %s: %w", i.detail(), err)
	}
	return nil
}

// ended is called by the machine, once per instance, when it is gone.
func (h *Host) ended(i *instance, why string) {
	h.mu.Lock()
	wanted := h.stopping[i.Boot]
	delete(h.stopping, i.Boot)
	if h.running[i.key] == i {
		delete(h.running, i.key)
	}
	token := i.token
	h.mu.Unlock()
	if !wanted {
		if err := h.lose(i.key, token, why); err != nil {
			h.options.Log.Error("a loss could not be announced", "key", i.key, "error", err)
		}
	}
	close(i.gone)
}

// Restore takes an instance up again that runs still. A process that is gone cannot be had again: another one would have
// another admin address, which only its owner can spread.
func (h *Host) Restore(_ context.Context, item subsystem.RestoreItem) error {
	wanted := resultOf(item.Result)
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.running[item.Key]
	if i == nil || i.Boot != wanted.Boot {
		return fmt.Errorf("process %d is gone with the machine that it ran on", wanted.PID)
	}
	i.token = item.Token
	return nil
}

// Forget kills everything.
func (h *Host) Forget(ctx context.Context) error { return h.stopAll(ctx, 0) }

func (h *Host) stopAll(ctx context.Context, grace time.Duration) error {
	h.mu.Lock()
	var all []*instance
	for _, i := range h.running {
		all = append(all, i)
		h.stopping[i.Boot] = true
	}
	h.mu.Unlock()
	errs := make([]error, len(all))
	var stops sync.WaitGroup
	for n, i := range all {
		stops.Go(func() { errs[n] = h.machine.stop(ctx, i, grace) })
	}
	stops.Wait()
	return errors.Join(errs...)
}

func (h *Host) has(image string) bool {
	if h.options.Images == nil {
		return image == "proxy"
	}
	_, ok := h.options.Images[image]
	return ok
}

func (i *instance) json() []byte {
	if i.PID == 0 {
		return fmt.Appendf(nil, `{"boot":%q,"admin":%q}`, i.Boot, i.Admin)
	}
	return fmt.Appendf(nil, `{"pid":%d,"boot":%q,"admin":%q}`, i.PID, i.Boot, i.Admin)
}

func (i *instance) detail() string { return fmt.Sprintf("pid %d boot %s", i.PID, i.Boot) }

// resultOf reads a result; what is none is the zero one.
func resultOf(text []byte) Result {
	var r Result
	if json.Unmarshal(text, &r) != nil {
		return Result{}
	}
	return r
}
