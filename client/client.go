package client

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// DefaultServer is where a server listens unless it is told otherwise.
const DefaultServer = "http://127.0.0.1:7433"

// Config describes a [Client]. The zero value talks to [DefaultServer].
type Config struct {
	// Server is the base URL, "http://host:port". Default: [DefaultServer].
	Server string
	// Token, when set, is sent as a bearer token.
	Token string
	// HTTP makes the requests. It must have no overall Timeout, which would end watches. Default: a client of its own, whose idle connections
	// [Client.Close] closes.
	HTTP *http.Client
	// UserAgent is sent with every request, and recorded by the server as the writer's name. Default: "setpoint".
	UserAgent string
	// Timeout bounds one request that is not a watch, all attempts of it counted singly. Default: 30 s.
	Timeout time.Duration
	// Attempts is how often a request is tried in all. Default: 4.
	Attempts int
	// MaxPause bounds the pause between attempts, and between connections of a watch. Default: 5 s.
	MaxPause time.Duration
	// Pause waits between attempts. Default: a timer. Tests replace it.
	Pause func(ctx context.Context, d time.Duration) error
}

// Client talks to one server, or to several nodes behind one address: what it reads is no older than what it was shown before. It may be used by many goroutines at once.
type Client struct {
	config Config
	base   *url.URL
	kinds  kindCache
	seen   atomic.Uint64 // the newest revision that it was shown, 0 for none
}

// Ref addresses an object of a kind. Namespace is empty for kinds without namespaces.
type Ref struct {
	Namespace resource.Namespace
	Name      resource.Name
}

// String is "namespace/name", or "name" without a namespace.
func (r Ref) String() string {
	if r.Namespace == "" {
		return string(r.Name)
	}
	return string(r.Namespace) + "/" + string(r.Name)
}

// New returns a client. It makes no request; it fails when Server is not an http or https URL.
func New(c Config) (*Client, error) {
	c.Server = cmp.Or(c.Server, DefaultServer)
	base, err := url.Parse(c.Server)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("server %q: want a URL like %s", c.Server, DefaultServer)
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	base.RawQuery, base.Fragment = "", ""
	c.UserAgent = cmp.Or(c.UserAgent, "setpoint")
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	c.Attempts = cmp.Or(c.Attempts, 4)
	c.MaxPause = cmp.Or(c.MaxPause, 5*time.Second)
	if c.Pause == nil {
		c.Pause = pause
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 16,
			IdleConnTimeout:     90 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second,
		}}
	}
	return &Client{config: c, base: base}, nil
}

// Server is the base URL the client talks to.
func (c *Client) Server() string { return c.base.String() }

// Close closes idle connections. The client remains usable.
func (c *Client) Close() { c.config.HTTP.CloseIdleConnections() }

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
