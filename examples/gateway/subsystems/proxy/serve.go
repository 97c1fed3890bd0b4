package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// server is the data side of a process: listeners that share one http.Server, and an atomically replaced configuration.
type server struct {
	http      *http.Server
	transport *http.Transport
	loaded    atomic.Pointer[loaded]

	mu        sync.Mutex
	listeners map[string]net.Listener
	serving   sync.WaitGroup
}

func newServer(log *slog.Logger) *server {
	s := &server{
		listeners: map[string]net.Listener{},
		transport: &http.Transport{
			MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second, ResponseHeaderTimeout: 30 * time.Second,
			DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		},
	}
	s.http = &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog:  slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certificate},
	}
	return s
}

func (s *server) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if l := s.loaded.Load(); l != nil {
		return l.certificate, nil
	}
	return nil, errors.New("no configuration is loaded")
}

// ServeHTTP routes one request by the configuration of this moment.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l := s.loaded.Load()
	if l == nil {
		http.Error(w, "no configuration is loaded", http.StatusNotFound)
		return
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if !strings.EqualFold(strings.TrimSuffix(host, "."), l.config.Hostname) {
		http.Error(w, fmt.Sprintf("host %q is not served here", host), http.StatusNotFound)
		return
	}
	handler, ok := l.route(r.URL.Path)
	if !ok {
		http.Error(w, fmt.Sprintf("no route for %s", r.URL.Path), http.StatusNotFound)
		return
	}
	handler.ServeHTTP(w, r)
}

// load puts a configuration into service, or nothing of it. New listeners are opened first, those that are not wanted any
// more are closed last; what they have accepted goes on.
func (s *server) load(c *Config) error {
	var next *loaded
	var wanted []string
	if c != nil {
		var err error
		if next, err = check(*c, s.transport); err != nil {
			return err
		}
		wanted = c.Listen
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := map[string]net.Listener{}
	for _, address := range wanted {
		if s.listeners[address] != nil || fresh[address] != nil {
			continue
		}
		listener, err := listenShared(address)
		if err != nil {
			for _, l := range fresh {
				err = errors.Join(err, l.Close())
			}
			return fmt.Errorf("listen on %s: %w", address, err)
		}
		fresh[address] = listener
	}
	s.loaded.Store(next)
	for address, listener := range fresh {
		s.listeners[address] = listener
		s.serving.Go(func() { s.serve(address, listener) })
	}
	var errs []error
	for address, listener := range s.listeners {
		if !slices.Contains(wanted, address) {
			errs = append(errs, listener.Close())
			delete(s.listeners, address)
		}
	}
	if err := errors.Join(errs...); err != nil {
		slog.Warn("a listener did not close", "error", err)
	}
	return nil
}

func (s *server) serve(address string, listener net.Listener) {
	err := s.http.ServeTLS(listener, "", "")
	if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		slog.Error("a listener ended", "address", address, "error", err)
	}
}

// listenShared listens with SO_REUSEPORT: the kernel spreads connections over all processes that do.
func listenShared(address string) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var inner error
		outer := raw.Control(func(fd uintptr) {
			inner = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		return errors.Join(outer, inner)
	}}
	return config.Listen(context.Background(), "tcp", address)
}

// close lets the requests under way end, for up to grace.
func (s *server) close(grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, net.ErrClosed) {
		err = nil // a listener that a change of configuration had closed a moment ago
	}
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.serving.Wait()
	s.transport.CloseIdleConnections()
	return err
}
