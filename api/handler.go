package api

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Handler serves the dialect. Make one with [New].
type Handler struct {
	Options
	requests, watches chan struct{} // a token for each one that is served
	cuts              cuts
	schemas           schemas
	drained           chan struct{}
	drain             sync.Once
}

// New makes a handler for a plane.
func New(o Options) *Handler {
	o.defaults()
	return &Handler{
		Options:  o,
		requests: make(chan struct{}, o.MaxRequests),
		watches:  make(chan struct{}, o.MaxWatches),
		drained:  make(chan struct{}),
	}
}

// Drain ends all watches, now and from now on, as their time-out would. Give it to [http.Server.RegisterOnShutdown]: a server that
// shuts down waits for requests, and a watch would not end by itself.
func (h *Handler) Drain() { h.drain.Do(func() { close(h.drained) }) }

// ServeHTTP answers a request. A panic on the way fails this request only.
func (h *Handler) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w := &response{ResponseWriter: rw}
	defer h.contain(w, r)
	w.Header().Set("Cache-Control", "no-cache, private")
	c := &call{h: h, w: w, r: r, ctx: r.Context()}
	if err := c.serve(); err != nil {
		c.fail(err)
	}
}

// contain turns a panic into a 500, or, when part of an answer is out already, breaks the connection, so that no client takes
// the part for the whole.
func (h *Handler) contain(w *response, r *http.Request) {
	reason := recover()
	if reason == nil {
		return
	}
	if reason == http.ErrAbortHandler {
		panic(reason)
	}
	h.Logger.Error("request panicked", "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
	if w.begun {
		panic(http.ErrAbortHandler)
	}
	c := &call{h: h, w: w, r: r, ctx: r.Context()}
	c.fail(apierrors.NewInternalError(fmt.Errorf("panic while serving the request: %v", reason)))
}

// response remembers whether an answer has begun.
type response struct {
	http.ResponseWriter
	begun bool
}

func (w *response) WriteHeader(code int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(code)
}

func (w *response) Write(b []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// call is one request on its way.
type call struct {
	h    *Handler
	w    *response
	r    *http.Request
	ctx  context.Context
	user string
	// target is what the request is about; its definition is nil for what is not a resource.
	target target
}

func (c *call) serve() error {
	if c.probe() {
		return nil
	}
	user, err := c.h.Authenticate(c.r)
	if err != nil {
		return apierrors.NewUnauthorized(err.Error())
	}
	c.user = user
	lane := c.h.requests
	if c.isWatch() {
		lane = c.h.watches
	}
	select {
	case lane <- struct{}{}:
		defer func() { <-lane }()
	default:
		return apierrors.NewTooManyRequests("too many requests are being served, try again", 1)
	}
	return c.route()
}

// probe answers what must be answered to anybody and under any load.
func (c *call) probe() bool {
	var err error
	switch c.r.URL.Path {
	case "/livez", "/healthz":
		err = c.h.Plane.Live()
	case "/readyz":
		err = c.h.Plane.Ready()
	default:
		return false
	}
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	c.w.Header().Set("X-Content-Type-Options", "nosniff")
	if err != nil {
		c.w.WriteHeader(http.StatusServiceUnavailable)
		c.write([]byte(err.Error() + "\n"))
		return true
	}
	c.write([]byte("ok"))
	return true
}

// write sends bytes. A client that is gone is no failure of ours.
func (c *call) write(body []byte) {
	if _, err := c.w.Write(body); err != nil {
		c.h.Logger.Debug("client gone", "path", c.r.URL.Path, "error", err)
	}
}
