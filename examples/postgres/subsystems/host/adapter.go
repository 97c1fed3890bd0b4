package host

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// AdapterOptions configures the plane's side. Client must say where the hosts are; every other zero value takes the default named
// beside it.
type AdapterOptions struct {
	// Client is as for any subsystem. Its Destinations, by default "" with a URL, are the hosts whose check-ins are read from the start;
	// others are from the first call that names them, and all that the desk expects something of.
	Client subsystem.ClientOptions
	// Object finds the object of a server. Default: the owner of the command whose key is the server's name.
	Object func(server string) (resource.Key, bool)
	// Missing says whether the plane takes a server for missing already. It is asked once per server and life of the observer, so that what changed
	// while no observer ran is raised once, and what did not is not. Default: none is missing.
	Missing func(server string) bool
	// Unsure says that nobody knows what the plane takes for missing: what is found out first of a server is raised, whatever it is.
	Unsure bool
	// Missed is raised when a server does not answer that should: default "Missed". Seen when it answers again: default "Seen". Adrift, when set, when a standby
	// receives from nobody, and Seen when it is not adrift any more. Changed, when set, when something else about its health has changed. The payload is a
	// [Health]. Dedupe is the server's name and a number of its own for each turn of events: a server that goes a second time is told of a second time.
	Missed, Seen, Adrift, Changed lifecycle.SignalName
	// Silence is how long a host may be silent before all its servers count as missed: their check-ins are. Default 5 s.
	Silence time.Duration
	// Beat is how often a host is asked, when nothing changes. Default 1 s.
	Beat time.Duration
	// Log receives what an operator should know. Default slog.Default().
	Log *slog.Logger
}

// Adapter is a subsystem.Client whose Observe also reads check-ins. Use [NewAdapter].
type Adapter struct {
	*subsystem.Client
	options AdapterOptions
	http    *http.Client

	mu           sync.Mutex
	destinations map[string]bool
	fresh        chan struct{}
}

var (
	_ command.Adapter  = (*Adapter)(nil)
	_ command.LookUp   = (*Adapter)(nil)
	_ command.Observer = (*Adapter)(nil)
)

// maxHosts bounds how many hosts one adapter reads check-ins of.
const maxHosts = 1024

// NewAdapter makes an adapter. It does nothing until it is called.
func NewAdapter(o AdapterOptions) *Adapter {
	o.Missed, o.Seen = cmp.Or(o.Missed, "Missed"), cmp.Or(o.Seen, "Seen")
	o.Silence, o.Beat = cmp.Or(o.Silence, 5*time.Second), cmp.Or(o.Beat, time.Second)
	if o.Missing == nil {
		o.Missing = func(string) bool { return false }
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Client.Resolve == nil {
		base := o.Client.URL
		o.Client.Resolve = func(destination string) (string, error) {
			if destination = cmp.Or(destination, base); destination == "" {
				return "", errors.New("no address is known for the default host: set AdapterOptions.Client.URL")
			}
			return destination, nil
		}
	}
	if o.Client.Destinations == nil && o.Client.URL != "" {
		o.Client.Destinations = []string{""}
	}
	a := &Adapter{Client: subsystem.NewClient(o.Client), options: o, destinations: map[string]bool{}, fresh: make(chan struct{}, 1)}
	a.http = &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, d := range o.Client.Destinations {
		a.destinations[d] = true
	}
	return a
}

// Do makes one attempt.
func (a *Adapter) Do(ctx context.Context, call command.Call) command.Result {
	a.note(call.Destination)
	return a.Client.Do(ctx, call)
}

// note remembers a host.
func (a *Adapter) note(destination string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.destinations[destination] || len(a.destinations) >= maxHosts {
		return
	}
	a.destinations[destination] = true
	select {
	case a.fresh <- struct{}{}:
	default:
	}
}

// Observe reads the check-ins of all hosts for as long as ctx lasts, and what else the client observes.
func (a *Adapter) Observe(ctx context.Context, desk command.Desk) error {
	ctx, cancel := context.WithCancel(ctx)
	defer a.http.CloseIdleConnections()
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	ended := make(chan error, 1)
	running.Go(func() { ended <- a.Client.Observe(ctx, desk) })
	for _, e := range desk.Expected("") {
		a.note(e.Destination)
	}
	reading := map[string]bool{}
	for {
		for _, destination := range a.unread(reading) {
			reading[destination] = true
			r := newReader(a, desk, destination)
			running.Go(func() { r.run(ctx) })
		}
		select {
		case <-a.fresh:
		case err := <-ended:
			return err
		}
	}
}

func (a *Adapter) unread(reading map[string]bool) (destinations []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for destination := range a.destinations {
		if !reading[destination] {
			destinations = append(destinations, destination)
		}
	}
	return destinations
}

// ask asks a host for its check-ins.
func (a *Adapter) ask(ctx context.Context, destination, agent string, since uint64) (c CheckIns, err error) {
	base, err := a.options.Client.Resolve(destination)
	if err != nil {
		return c, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.options.Beat+a.options.Silence)
	defer cancel()
	address := fmt.Sprintf("%s/v1/checkins?agent=%s&since=%d&hold=%d", strings.TrimSuffix(base, "/"), agent, since, a.options.Beat.Milliseconds())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return c, err
	}
	text, result, ok := subsystem.Exchange(a.http, request)
	if !ok {
		return c, errors.New(result.Message)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("%s: these are no check-ins: %w", base, err)
	}
	if c.Agent == "" {
		return c, fmt.Errorf("%s: these are no check-ins: they name no agent", base)
	}
	return c, nil
}
