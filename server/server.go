package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/api"
	"github.com/setpointhq/setpoint/api/backupapi"
	"github.com/setpointhq/setpoint/api/kindsapi"
	"github.com/setpointhq/setpoint/api/nodesapi"
	"github.com/setpointhq/setpoint/store/postgres"
	"github.com/setpointhq/setpoint/telemetry"
)

// Options configure [Run].
type Options struct {
	// Listen is "host:port" of the API; port 0 chooses one.
	Listen string
	// AdminListen is "host:port" of the administrator's lane, "" for none: the same doors, with slots of their own, by which somebody gets through when the others are full. What comes in there goes
	// before everything else into the next commit, and does not wait for others' reads of the database. It is for people and their tools; keep others away from it.
	AdminListen string
	// Store says where the database is, in one of the forms of [location.Parse]: the file of a SQLite database, or the URL of a PostgreSQL one. A file is
	// made if it is not there, and brought to the newest schema.
	Store string
	// Postgres tunes the engine when Store is the URL of a PostgreSQL database. URL, Logger and Observe are set by the server.
	Postgres postgres.Options
	// Migrate brings the schema of a PostgreSQL database to the newest version first. Default: one that does not fit is an error.
	Migrate     bool
	Kinds       []*setpoint.Definition
	Controllers []setpoint.Controller
	Adapters    []setpoint.Adapter
	Logger      *slog.Logger
	// LeaseTTL is how long the work of a server that died waits for another one. It should be the same for all servers of a database. Default 10 s.
	LeaseTTL time.Duration
	// Grace bounds how long a stop waits for requests, turns and calls under way.
	Grace time.Duration
	// Version is shown to clients.
	Version string
	// Alerts say who is told of objects in trouble.
	Alerts Alerts
	// AvailabilityWindow is the length of the period up to now that the metrics about availability are about. Default 30 days.
	AvailabilityWindow time.Duration
	// Metrics answers /metrics, when [Handler] is mounted; Run has its own.
	Metrics http.Handler
	// Listening is told the URL when requests are served and everything that existed is loaded. An error ends the server.
	Listening func(url string) error
	// Running is called with the plane once everything that existed is loaded. It may be nil. Its context ends with the server, which waits
	// for it, and which an error of it ends.
	Running func(ctx context.Context, p *setpoint.Plane) error
	// Getenv reads the variables by which systemd, or what speaks its protocol, says how it is to be told that the server is ready and alive: NOTIFY_SOCKET,
	// WATCHDOG_USEC and WATCHDOG_PID. Default [os.Getenv].
	Getenv func(name string) string
}

// Run serves until ctx ends, and returns nil when it has stopped in good order.
func Run(ctx context.Context, o Options) (err error) {
	metrics := telemetry.New()
	o.Metrics = metrics.Handler()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	watcher, err := supervised(o.Getenv, o.Logger)
	if err != nil {
		return err
	}
	var plane *setpoint.Plane
	notifier, err := o.Alerts.notifier(o.Logger, func() bool { now, _ := plane.InCharge(); return !now })
	if err != nil {
		return err
	}
	st, err := o.open(ctx, metrics)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("listen for requests: %w", err)
	}
	lane, err := o.administrators(ctx)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	plane, err = setpoint.New(ctx, setpoint.Config{
		Store: st, Kinds: o.Kinds, Controllers: o.Controllers, Adapters: o.Adapters, Logger: o.Logger, Meter: metrics, Grace: o.Grace, LeaseTTL: o.LeaseTTL,
		Name: o.Postgres.Name, Version: o.Version, Address: "http://" + listener.Addr().String(),
	})
	if err != nil {
		return errors.Join(err, listener.Close(), lane.close())
	}
	metrics.Watch(plane)
	metrics.WatchAlerts(notifier)
	metrics.WatchAvailability(surveyed{backend{plane}}, telemetry.AvailabilityOptions{Window: o.AvailabilityWindow, Logger: o.Logger})
	return run(ctx, o, plane, listener, lane, watcher, func(ctx context.Context) { raise(ctx, notifier, plane, o.Logger) })
}

// run joins the parts: the first to end ends all, the API before the plane, so that what clients were promised is kept.
func run(ctx context.Context, o Options, plane *setpoint.Plane, listener net.Listener, lane *adminLane, watcher *supervisor, raise func(context.Context)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer watcher.watch(ctx, plane, listener.Addr())()
	doors := Handler(plane, o)
	leave := newFarewell(doors)
	web := &http.Server{Handler: leave, ConnState: leave.note, ReadHeaderTimeout: 10 * time.Second}
	web.RegisterOnShutdown(doors.Drain)
	working, stopWorking := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorking()
	ends := make(chan error, 6)
	go func() { ends <- lane.serve(ctx, plane, o); cancel() }()
	go func() { ends <- plane.Run(working); cancel() }()
	go func() {
		err := web.Serve(listener)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		ends <- err
		cancel()
	}()
	go func() {
		err := attend(ctx, o, plane, listener.Addr())
		if err != nil {
			cancel()
		}
		ends <- err
	}()
	go func() { doors.AdmitProposals(ctx); ends <- nil }()
	go func() { raise(ctx); ends <- nil }()

	<-ctx.Done()
	patience := max(o.Grace, time.Second)
	grace, release := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer release()
	leave.wait(patience)
	stopped := web.Shutdown(grace)
	stopWorking()
	return errors.Join(stopped, <-ends, <-ends, <-ends, <-ends, <-ends, <-ends)
}

// attend says where the server is, and runs what its owner wants to run beside it.
func attend(ctx context.Context, o Options, plane *setpoint.Plane, at net.Addr) error {
	select {
	case <-plane.Loaded():
	case <-ctx.Done():
		return nil
	}
	if o.Listening != nil {
		if err := o.Listening("http://" + at.String()); err != nil {
			return err
		}
	}
	if o.Running == nil {
		return nil
	}
	if err := o.Running(ctx, plane); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// Doors serves every door of a plane.
type Doors struct {
	mux    *http.ServeMux
	api    *api.Handler
	loaded <-chan struct{}
	plane  *setpoint.Plane
	log    *slog.Logger
}

// ServeHTTP answers one request. Until the view is loaded, only probes, metrics and questions about nodes are answered: a read would say that what exists
// does not. Other requests wait for it, for a moment, and are then told to come again.
func (d *Doors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !probes[r.URL.Path] && !nodesapi.Serves(r.URL.Path) && !d.await(r.Context()) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "the server is loading what exists; try again", http.StatusServiceUnavailable)
		return
	}
	d.mux.ServeHTTP(w, r)
}

var probes = map[string]bool{"/livez": true, "/readyz": true, "/healthz": true, "/metrics": true}

// loadPatience is how long a request waits for the view to be loaded.
const loadPatience = 5 * time.Second

func (d *Doors) await(ctx context.Context) bool {
	select {
	case <-d.loaded:
		return true
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, loadPatience)
	defer cancel()
	select {
	case <-d.loaded:
		return true
	case <-ctx.Done():
		return false
	}
}

// Drain ends the watches, so that a server can stop: pass it to [http.Server.RegisterOnShutdown].
func (d *Doors) Drain() { d.api.Drain() }

// Handler mounts every door of a plane: the API, the descriptions of its kinds, backups where the store can make them, metrics and
// probes, and who works. Of the options it uses Logger, Metrics, Version and Store.
func Handler(plane *setpoint.Plane, o Options) *Doors {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return doors(plane, o, api.Options{Plane: backend{plane}, Logger: o.Logger, Metrics: o.Metrics, Version: o.Version})
}

func doors(plane *setpoint.Plane, o Options, dialect api.Options) *Doors {
	d := &Doors{mux: http.NewServeMux(), loaded: plane.Loaded(), plane: plane, log: o.Logger, api: api.New(dialect)}
	d.mux.Handle("/", d.api)
	kinds := kindsapi.Handler(plane.Registry())
	d.mux.Handle(kindsapi.Path, kinds)
	d.mux.Handle(strings.TrimSuffix(kindsapi.Path, "/"), kinds)
	who := nodesapi.Handler(&nodes{plane, newExaminer(o, plane.Store())})
	for _, path := range nodesapi.Paths {
		d.mux.Handle(path, who)
	}
	if b := backups(plane.Store()); b != nil {
		d.mux.Handle(backupapi.Path, b)
	}
	return d
}
