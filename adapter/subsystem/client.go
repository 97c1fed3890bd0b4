package subsystem

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// ClientOptions configures a client. URL or Resolve must be set; every other zero value takes the default named beside it.
type ClientOptions struct {
	// URL of the one server, for example "http://127.0.0.1:7001".
	URL string
	// Resolve finds the URL of a destination. Default: URL for the destination "", and otherwise the destination itself.
	Resolve func(destination string) (string, error)
	// Destinations are observed from the start; others are from the first call that names them, or at the latest one Audit after the desk
	// expects something there. Default: "".
	Destinations []string
	// HTTP makes the calls. Default: a client of its own. It must not follow redirections.
	HTTP *http.Client
	// Audit is how often what is expected is compared with the whole inventory. Default 5 min; negative: only after a
	// server came back with another memory.
	Audit time.Duration
	// Base and Cap bound the backoff of observing. Defaults 100 ms and 10 s.
	Base, Cap time.Duration
	// Log receives what an operator should know. Default slog.Default().
	Log *slog.Logger
}

// Client is a command.Adapter, command.LookUp and command.Observer over the package's protocol. Use [NewClient].
type Client struct {
	options ClientOptions

	mu sync.Mutex
	// epoch is the highest that the plane is known to have acted under.
	epoch resource.Epoch
	// destinations are those to observe; fresh tells Observe of the ones that were added.
	destinations map[string]bool
	fresh        chan struct{}
}

var (
	_ command.Adapter  = (*Client)(nil)
	_ command.LookUp   = (*Client)(nil)
	_ command.Observer = (*Client)(nil)
)

const defaultAudit = 5 * time.Minute

// maxDestinations bounds the observers that one client runs.
const maxDestinations = 4096

// NewClient makes a client. It does nothing until it is called.
func NewClient(o ClientOptions) *Client {
	if o.HTTP == nil {
		o.HTTP = &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, Proxy: nil},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if o.Resolve == nil {
		o.Resolve = func(destination string) (string, error) {
			if destination == "" {
				destination = o.URL
			}
			if destination == "" {
				return "", fmt.Errorf("subsystem: no address is known for the default destination: set ClientOptions.URL")
			}
			return destination, nil
		}
	}
	if o.Destinations == nil && o.URL != "" {
		o.Destinations = []string{""}
	}
	if o.Audit == 0 {
		o.Audit = defaultAudit
	}
	if o.Base <= 0 {
		o.Base = 100 * time.Millisecond
	}
	if o.Cap <= 0 {
		o.Cap = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	c := &Client{options: o, destinations: map[string]bool{}, fresh: make(chan struct{}, 1)}
	for _, d := range o.Destinations {
		c.destinations[d] = true
	}
	return c
}

// Do makes one attempt. See [Exchange] for how the ends of an HTTP call are classified.
func (c *Client) Do(ctx context.Context, call command.Call) command.Result {
	if call.Scope == "" {
		c.raise(call.Epoch)
	}
	c.note(call.Destination)
	wish := ApplyRequest{
		Token: call.Token, Scope: call.Scope, Epoch: call.Epoch, Intent: call.Intent, Key: call.Key, Request: call.Request,
		Previous: validOrNothing(call.Previous), Handle: call.Handle,
		Object: Object{Kind: call.Object.Kind, Namespace: call.Object.Namespace, Name: call.Object.Name},
	}
	body, err := json.Marshal(wish)
	if err == nil && len(body) > MaxBody {
		wish.Previous = nil // a hint that does not fit must not forbid the call
		body, err = json.Marshal(wish)
	}
	if err == nil && call.Request != nil && absent(call.Request) == nil {
		err = fmt.Errorf("a request of null would ask for absence")
	}
	if err != nil {
		return terminal("the request for key %q is not the JSON that this adapter sends: %v", call.Key, err)
	}
	if len(body) > MaxBody {
		return terminal("the request for key %q takes %d bytes: at most %d are sent", call.Key, len(body), MaxBody)
	}
	base, err := c.options.Resolve(call.Destination)
	if err != nil {
		return command.Result{Outcome: command.OutcomeRefused, Class: command.Retry, Message: err.Error()}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, join(base, "/v1/apply"), bytes.NewReader(body))
	if err != nil {
		return terminal("destination %q: %v", base, err)
	}
	request.Header.Set("Content-Type", "application/json")
	text, result, ok := Exchange(c.options.HTTP, request)
	if !ok {
		return result
	}
	var answer ApplyAnswer
	if err := decode("the answer is malformed", text, &answer); err != nil {
		return unknown("%s: %v", base, err)
	}
	return answer.Judge()
}

// Judge turns an answer into the end of an attempt; one that makes no sense leaves the caller not knowing.
func (a ApplyAnswer) Judge() command.Result {
	r := command.Result{
		Outcome: a.Outcome, Class: a.Class, Body: absent(a.Result), Handle: a.Handle, Message: a.Message,
		RetryAfter: time.Duration(min(max(a.RetryAfterMillis, 0), time.Hour.Milliseconds())) * time.Millisecond,
	}
	switch a.Outcome {
	case command.OutcomeDone, command.OutcomeAccepted:
		r.Class = ""
		return r
	case command.OutcomeRefused, command.OutcomeFailed:
		switch a.Class {
		case command.Retry, command.Throttled, command.Terminal, command.Stale:
			return r
		}
	}
	return unknown("the answer makes no sense: outcome %q, class %q", a.Outcome, a.Class)
}

// LookUp asks what became of a call's token.
func (c *Client) LookUp(ctx context.Context, call command.Call) (command.Result, bool, error) {
	base, err := c.options.Resolve(call.Destination)
	if err != nil {
		return command.Result{}, false, err
	}
	var answer TokenAnswer
	if err := c.get(ctx, base, "/v1/tokens/"+url.PathEscape(string(call.Token)), &answer); err != nil {
		return command.Result{}, false, fmt.Errorf("look up token %s of key %q: %w", call.Token, call.Key, err)
	}
	if !answer.Known {
		return command.Result{}, false, nil
	}
	result := answer.Judge()
	if result.Outcome == command.OutcomeUnknown {
		return command.Result{}, false, fmt.Errorf("look up token %s of key %q: %s", call.Token, call.Key, result.Message)
	}
	return result, true, nil
}

func (c *Client) get(ctx context.Context, base, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, join(base, path), nil)
	if err != nil {
		return err
	}
	return c.exchange(request, into)
}

func (c *Client) post(ctx context.Context, base, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, join(base, path), bytes.NewReader(text))
	if err != nil {
		return err
	}
	return c.exchange(request, into)
}

func (c *Client) exchange(request *http.Request, into any) error {
	response, err := c.options.HTTP.Do(request)
	if err != nil {
		return err
	}
	text, err := readAnswer(response)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d: %s", request.URL, response.StatusCode, firstLine(text))
	}
	return decode(request.URL.String()+": the answer is malformed", text, into)
}

// raise remembers an epoch that the plane acts under, and returns the highest so far.
func (c *Client) raise(epoch resource.Epoch) resource.Epoch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch.Compare(epoch) < 0 {
		c.epoch = epoch
	}
	return c.epoch
}

// note remembers a destination, and reports whether it will be observed.
func (c *Client) note(destination string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.destinations[destination] || len(c.destinations) >= maxDestinations {
		return c.destinations[destination]
	}
	c.destinations[destination] = true
	select {
	case c.fresh <- struct{}{}:
	default:
	}
	return true
}

func join(base, path string) string { return strings.TrimSuffix(base, "/") + path }

// validOrNothing drops a previous result that is not JSON: it is only a hint.
func validOrNothing(text []byte) json.RawMessage {
	if !json.Valid(text) {
		return nil
	}
	return text
}

// readAnswer reads a bounded answer and closes it.
func readAnswer(response *http.Response) (text []byte, err error) {
	defer func() {
		if closing := response.Body.Close(); err == nil && closing != nil {
			err = closing
		}
	}()
	text, err = io.ReadAll(io.LimitReader(response.Body, MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	if len(text) > MaxBody {
		return nil, fmt.Errorf("the answer is larger than %d bytes", MaxBody)
	}
	return text, nil
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if len(line) > 200 {
		line = line[:200] + "…"
	}
	return line
}
