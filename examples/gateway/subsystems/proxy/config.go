package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// Route sends what is below a path to an upstream.
type Route struct {
	// Path begins with "/". "/api" is for /api and /api/x, and not for /apix.
	Path string `json:"path"`
	// Upstream is an http or https URL.
	Upstream string `json:"upstream"`
}

// Certificate is a certificate chain and its private key.
type Certificate struct {
	Serial  string `json:"serial"`
	CertPEM string `json:"certPEM"`
	KeyPEM  string `json:"keyPEM"`
}

// Config is what a proxy serves.
type Config struct {
	Hostname    string      `json:"hostname"`
	Listen      []string    `json:"listen"`
	Routes      []Route     `json:"routes"`
	Certificate Certificate `json:"certificate"`
}

// Push is the body of PUT /config.
type Push struct {
	Token  command.Token  `json:"token"`
	Epoch  resource.Epoch `json:"epoch"`
	Intent uint64         `json:"intent"`
	// Config is nil to unload.
	Config *Config `json:"config"`
}

// Result is the result of a push.
type Result struct {
	Version string `json:"version"`
	// Boot tells a process from every other.
	Boot string `json:"boot"`
}

// Status is the answer to GET /status.
type Status struct {
	Boot              string        `json:"boot"`
	Version           string        `json:"version,omitempty"`
	Token             command.Token `json:"token,omitempty"`
	Loaded            bool          `json:"loaded"`
	Hostname          string        `json:"hostname,omitempty"`
	Listen            []string      `json:"listen,omitempty"`
	CertificateSerial string        `json:"certificateSerial,omitempty"`
}

const maxRoutes = 1000

// loaded is a checked configuration, ready to serve.
type loaded struct {
	config      Config
	certificate *tls.Certificate
	routes      []liveRoute // longest path first
}

type liveRoute struct {
	path  string
	proxy http.Handler
}

// check makes a configuration ready, or says what is wrong with it.
func check(c Config, transport http.RoundTripper) (*loaded, error) {
	if c.Hostname == "" || strings.ContainsAny(c.Hostname, " /:") {
		return nil, fmt.Errorf("hostname %q: want a DNS name", c.Hostname)
	}
	if len(c.Routes) > maxRoutes {
		return nil, fmt.Errorf("%d routes: at most %d are served", len(c.Routes), maxRoutes)
	}
	for _, address := range c.Listen {
		if _, err := netip.ParseAddrPort(address); err != nil {
			return nil, fmt.Errorf("listen address: %w", err)
		}
	}
	pair, err := tls.X509KeyPair([]byte(c.Certificate.CertPEM), []byte(c.Certificate.KeyPEM))
	if err != nil {
		return nil, fmt.Errorf("certificate %q: %w", c.Certificate.Serial, err)
	}
	l := &loaded{config: c, certificate: &pair}
	for _, r := range c.Routes {
		live, err := checkRoute(r, transport)
		if err != nil {
			return nil, err
		}
		l.routes = append(l.routes, live)
	}
	slices.SortStableFunc(l.routes, func(a, b liveRoute) int { return len(b.path) - len(a.path) })
	return l, nil
}

func checkRoute(r Route, transport http.RoundTripper) (liveRoute, error) {
	if !strings.HasPrefix(r.Path, "/") {
		return liveRoute{}, fmt.Errorf("route path %q: want it to begin with /", r.Path)
	}
	upstream, err := url.Parse(r.Upstream)
	if err == nil && (upstream.Host == "" || upstream.Scheme != "http" && upstream.Scheme != "https") {
		err = errors.New("want an http or https URL with a host")
	}
	if err != nil {
		return liveRoute{}, fmt.Errorf("upstream %q of route %s: %w", r.Upstream, r.Path, err)
	}
	return liveRoute{path: r.Path, proxy: &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(upstream)
			p.SetXForwarded()
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, fmt.Sprintf("upstream %s does not answer: %v", upstream.Host, err), http.StatusBadGateway)
		},
	}}, nil
}

// route finds the handler of a path.
func (l *loaded) route(path string) (http.Handler, bool) {
	for _, r := range l.routes {
		prefix := strings.TrimSuffix(r.path, "/")
		if rest, ok := strings.CutPrefix(path, prefix); ok && (rest == "" || rest[0] == '/') {
			return r.proxy, true
		}
	}
	return nil, false
}
