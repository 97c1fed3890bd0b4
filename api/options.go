package api

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// Options configure [New]. Only Plane is required; every other zero value takes the default named beside it.
type Options struct {
	Plane Plane
	// Logger hears of failures that are not the client's. Default: nothing is said.
	Logger *slog.Logger
	// Metrics answers /metrics. Default: there is no such path.
	Metrics http.Handler
	// Version is that of the program, "0.1.0". Default "0.0.0".
	Version string
	// Authenticate names the user of a request; an error is answered with 401. Default: everybody is "anonymous". The probes
	// /livez, /readyz and /healthz are answered without it.
	Authenticate func(*http.Request) (user string, err error)
	// Authorize judges every request for resources; an error is answered with 403. Default: everything is allowed.
	Authorize func(r *http.Request, a Access) error
	// MaxBody is the largest request body in bytes. Default 3 MiB, of which an object may have [resource.MaxBytes].
	MaxBody int64
	// MaxRequests is how many requests are served at once, watches not counted; further ones are told to come again (429). Default 400.
	MaxRequests int
	// MaxWatches is how many watches are served at once. Default 10,000.
	MaxWatches int
	// WatchTimeout ends watches for which the client has named no time, after so long and up to half as long again. Default 30 min.
	WatchTimeout time.Duration
	// BookmarkInterval is how often a watch that allows it is told the revision it has reached. Default 1 min.
	BookmarkInterval time.Duration
	// WriteTimeout is how long a client may take to receive one chunk of a watch. Default 30 s.
	WriteTimeout time.Duration
	// FreshTimeout is how long a read of a revision that is not seen yet waits for it. Default 3 s.
	FreshTimeout time.Duration
}

// Access is what a request is about to do, for [Options.Authorize].
type Access struct {
	User string
	// Verb is one of those of Kubernetes: get, list, watch, create, update, patch, delete, deletecollection.
	Verb string
	Kind resource.KindID
	// Namespace is empty for cluster-scoped kinds, and for requests about all namespaces.
	Namespace resource.Namespace
	// Name is empty for requests about a collection.
	Name resource.Name
	// Subresource is "", "status", "signal", "signals", "actions", "availability", "why" or "history".
	Subresource string
}

func (o *Options) defaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Version == "" {
		o.Version = "0.0.0"
	}
	if o.Authenticate == nil {
		o.Authenticate = func(*http.Request) (string, error) { return "anonymous", nil }
	}
	if o.Authorize == nil {
		o.Authorize = func(*http.Request, Access) error { return nil }
	}
	o.MaxBody = or(o.MaxBody, 3<<20)
	o.MaxRequests = or(o.MaxRequests, 400)
	o.MaxWatches = or(o.MaxWatches, 10_000)
	o.WatchTimeout = or(o.WatchTimeout, 30*time.Minute)
	o.BookmarkInterval = or(o.BookmarkInterval, time.Minute)
	o.WriteTimeout = or(o.WriteTimeout, 30*time.Second)
	o.FreshTimeout = or(o.FreshTimeout, 3*time.Second)
}

func or[T int | int64 | time.Duration](value, otherwise T) T {
	if value > 0 {
		return value
	}
	return otherwise
}
