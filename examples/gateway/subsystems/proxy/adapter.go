package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
)

// Request is what a command for this adapter stores. The private key is not in it: it is fetched when the call is made.
type Request struct {
	// Boot names the process that the configuration is for, so that another process at the same address makes it another request.
	Boot              string   `json:"boot,omitempty"`
	Hostname          string   `json:"hostname"`
	Listen            []string `json:"listen"`
	Routes            []Route  `json:"routes"`
	CertificateSerial string   `json:"certificateSerial"`
}

// AdapterOptions configures an adapter.
type AdapterOptions struct {
	// Certificates finds a certificate and its key by serial. It must be set. An error is retried.
	Certificates func(serial string) (certPEM, keyPEM []byte, err error)
	// HTTP makes the calls. Default: a client of its own.
	HTTP *http.Client
}

// Adapter pushes configurations. A call's destination is the admin URL of a process, which must not be empty.
type Adapter struct{ options AdapterOptions }

var (
	_ command.Adapter  = (*Adapter)(nil)
	_ command.LookUp   = (*Adapter)(nil)
	_ command.Observer = (*Adapter)(nil)
)

// NewAdapter makes an adapter.
func NewAdapter(o AdapterOptions) *Adapter {
	if o.HTTP == nil {
		// Instances come and go, so connections to them are not kept for long.
		o.HTTP = &http.Client{
			Transport:     &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 1, IdleConnTimeout: 5 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &Adapter{options: o}
}

// Do pushes a configuration, or unloads it. A process that does not exist any more has nothing loaded.
func (a *Adapter) Do(ctx context.Context, call command.Call) command.Result {
	push := Push{Token: call.Token, Epoch: call.Epoch, Intent: call.Intent}
	if call.Request != nil {
		config, refusal := a.config(call.Request)
		if refusal != nil {
			return *refusal
		}
		push.Config = config
	}
	body, err := json.Marshal(push)
	if err != nil {
		return refuse(command.Terminal, "the configuration cannot be encoded: %v", err)
	}
	request, err := a.request(ctx, http.MethodPut, call.Destination, "/config", body)
	if err != nil {
		return refuse(command.Terminal, "%v", err)
	}
	client, gone := a.detecting()
	text, result, ok := subsystem.Exchange(client, request)
	if !ok {
		if call.Request == nil && gone.gone {
			return command.Result{Outcome: command.OutcomeDone, Message: "the process is gone, and its configuration with it"}
		}
		if gone.gone { // also a 410, which otherwise looks final: the owner will name another process
			return refuse(command.Retry, "no process at %s: %s", call.Destination, result.Message)
		}
		return result
	}
	var answer subsystem.ApplyAnswer
	if err := json.Unmarshal(text, &answer); err != nil {
		return command.Result{Outcome: command.OutcomeUnknown, Class: command.Ambiguous, Message: "the answer is malformed: " + err.Error()}
	}
	return answer.Judge()
}

func (a *Adapter) config(text []byte) (*Config, *command.Result) {
	var r Request
	if err := json.Unmarshal(text, &r); err != nil {
		refusal := refuse(command.Terminal, "the request is not a configuration: %v", err)
		return nil, &refusal
	}
	certificate, key, err := a.options.Certificates(r.CertificateSerial)
	if err != nil {
		refusal := refuse(command.Retry, "certificate %s is not at hand: %v", r.CertificateSerial, err)
		return nil, &refusal
	}
	return &Config{
		Hostname: r.Hostname, Listen: r.Listen, Routes: r.Routes,
		Certificate: Certificate{Serial: r.CertificateSerial, CertPEM: string(certificate), KeyPEM: string(key)},
	}, nil
}

func (a *Adapter) request(ctx context.Context, method, base, path string, body []byte) (*http.Request, error) {
	if u, err := url.Parse(base); err != nil || u.Host == "" {
		return nil, fmt.Errorf("destination %q: want the admin URL of a proxy, like http://127.0.0.1:7100", base)
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(base, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("destination %q: %w", base, err)
	}
	request.Header.Set("Content-Type", "application/json")
	return request, nil
}

// LookUp asks the process whether the call's configuration is the one it has. A process that does not exist any more has none, and to
// unload it is done: that is for Do to find, which an error would keep from being called.
func (a *Adapter) LookUp(ctx context.Context, call command.Call) (command.Result, bool, error) {
	status, err := a.status(ctx, call.Destination)
	if errors.Is(err, errGone) || err == nil && status.Token != call.Token {
		return command.Result{}, false, nil
	}
	if err != nil {
		return command.Result{}, false, err
	}
	body, err := json.Marshal(Result{Version: status.Version, Boot: status.Boot})
	return command.Result{Outcome: command.OutcomeDone, Body: body}, err == nil, err
}

// errGone: no process is there.
var errGone = errors.New("the process is gone")

// status asks a process what it has loaded.
func (a *Adapter) status(ctx context.Context, destination string) (status Status, err error) {
	request, err := a.request(ctx, http.MethodGet, destination, "/status", nil)
	if err != nil {
		return status, err
	}
	client, gone := a.detecting()
	text, result, ok := subsystem.Exchange(client, request)
	switch {
	case gone.gone:
		return status, fmt.Errorf("look up %s: %w", destination, errGone)
	case !ok:
		return status, fmt.Errorf("look up %s: %s", destination, result.Message)
	}
	if err := json.Unmarshal(text, &status); err != nil {
		return status, fmt.Errorf("look up %s: the answer is malformed: %w", destination, err)
	}
	return status, nil
}

func refuse(class command.Class, format string, arguments ...any) command.Result {
	return command.Result{Outcome: command.OutcomeRefused, Class: class, Message: fmt.Sprintf(format, arguments...)}
}

// goneDetector notices that there is no process: the connection is refused, or something in its place answers 410.
type goneDetector struct {
	next http.RoundTripper
	gone bool
}

// detecting is the client for one call, with what it notices.
func (a *Adapter) detecting() (*http.Client, *goneDetector) {
	gone := &goneDetector{next: a.options.HTTP.Transport}
	client := *a.options.HTTP
	client.Transport = gone
	return &client, gone
}

func (g *goneDetector) RoundTrip(r *http.Request) (*http.Response, error) {
	next := g.next
	if next == nil {
		next = http.DefaultTransport
	}
	response, err := next.RoundTrip(r)
	var dial *net.OpError
	switch {
	case err == nil:
		g.gone = response.StatusCode == http.StatusGone
	case errors.As(err, &dial) && dial.Op == "dial":
		g.gone = errors.Is(err, syscall.ECONNREFUSED)
	}
	return response, err
}
