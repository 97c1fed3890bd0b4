package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
	edge "github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/proxy"
	"github.com/setpointhq/setpoint/server"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/postgres"
	"github.com/setpointhq/setpoint/telemetry"
)

// NodeConfig is what a node is.
type NodeConfig struct {
	Name  string
	Store string
	// Listen is "host:port" of the door, and Admin that of the administrator's.
	Listen, Admin string
	// Dir takes NAME.evidence and, when the node serves, NAME.address and NAME.admin.
	Dir string
	TTL time.Duration
	// At are the addresses of the subsystems, by name. Via says through what each of these addresses is reached, for this node.
	At, Via map[string]string
	// Databases are the addresses of the subsystems of the PostgreSQL example for this node, by name; none, and the node does not know its kinds.
	Databases map[string]string
	// Old is the version of the program that wrote another status.
	Old bool
}

// serve runs a node until ctx ends.
func serve(ctx context.Context, c NodeConfig) (err error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("n", c.Name)
	journal, err := openJournal(filepath.Join(c.Dir, c.Name+".evidence"))
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return err
	}
	n, err := assembled(ctx, c, journal, listener.Addr().String(), log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, n.store.Close()) }()
	return n.attend(ctx, c, listener, log)
}

// node is what a process is made of.
type node struct {
	store   *postgres.Store
	plane   *setpoint.Plane
	mishaps *mishaps
	metrics *telemetry.Metrics
}

// assembled makes the parts of a node, as often as it takes: the database may be away just now. In production whoever supervises the process starts it again.
func assembled(ctx context.Context, c NodeConfig, journal *journal, address string, log *slog.Logger) (*node, error) {
	for {
		n, err := assemble(ctx, c, journal, address, log)
		if err == nil || !errors.Is(err, store.ErrUnavailable) {
			return n, err
		}
		log.Info("the database is away", "error", err)
		pause := time.NewTimer(100 * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, err
		}
	}
}

func assemble(ctx context.Context, c NodeConfig, journal *journal, address string, log *slog.Logger) (n *node, err error) {
	n = &node{mishaps: &mishaps{}, metrics: telemetry.New()}
	n.store, err = postgres.Open(ctx, postgres.Options{URL: c.Store, Name: c.Name, Logger: log, Observe: func(g store.GroupStats) { n.metrics.Group(g.Members, g.Duration) }})
	if err != nil {
		return nil, err
	}
	kinds, controllers := parts(c, n.mishaps)
	n.plane, err = setpoint.New(ctx, setpoint.Config{
		Store: &witnessed{Store: n.store, name: c.Name, journal: journal, seen: map[store.Fence]bool{}},
		Kinds: kinds, Controllers: controllers, Adapters: adapters(c, log),
		Logger: log, Meter: n.metrics, Name: c.Name, Version: "test", Address: address, LeaseTTL: c.TTL, Grace: 2 * time.Second,
	})
	if err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	n.metrics.Watch(n.plane)
	return n, nil
}

// attend runs the plane and its doors until ctx ends.
func (n *node) attend(ctx context.Context, c NodeConfig, listener net.Listener, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	admin, err := openLane(ctx, c.Admin, n.plane, n.metrics.Handler(), log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	doors := server.Handler(n.plane, server.Options{Logger: log, Metrics: n.metrics.Handler()})
	mux := http.NewServeMux()
	mux.Handle("/mishap/", n.mishaps.handler())
	mux.Handle("/", doors)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	web.RegisterOnShutdown(doors.Drain)
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ends := make(chan error, 2)
	go func() { ends <- n.plane.Run(working); cancel() }()
	go func() {
		err := web.Serve(listener)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		ends <- err
		cancel()
	}()
	select {
	case <-n.plane.Loaded():
		for file, at := range map[string]net.Listener{".admin": admin.listener, ".address": listener} {
			if err := writeFile(filepath.Join(c.Dir, c.Name+file), []byte(at.Addr().String())); err != nil {
				return err
			}
		}
	case <-ctx.Done():
	}
	<-ctx.Done()
	grace, release := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer release()
	stopped := errors.Join(web.Shutdown(grace), admin.close(grace))
	stop()
	return errors.Join(stopped, <-ends, <-ends)
}

// parts are the kinds and their controllers: the examples', and the node's own.
func parts(c NodeConfig, m *mishaps) ([]*setpoint.Definition, []setpoint.Controller) {
	order, driveOrder := orders(c.Old, m)
	job, driveJob := jobs(m)
	bell, driveBell := alarms()
	kinds, controllers := managed(c)
	return append(kinds, append(edge.Kinds(), order, job, bell, registers.Definition)...), append(controllers, append(edge.Controllers(), driveOrder, driveJob, driveBell)...)
}

// adapters are the ways to the subsystems, each by the address that this node reaches it at.
func adapters(c NodeConfig, log *slog.Logger) (all []setpoint.Adapter) {
	dialer := &net.Dialer{Timeout: 2 * time.Second}
	web := &http.Client{
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 64, IdleConnTimeout: 20 * time.Second,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				via, ok := c.Via[address]
				if !ok {
					return nil, fmt.Errorf("no way to %s is known to node %s", address, c.Name)
				}
				return dialer.DialContext(ctx, network, via)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	policy := setpoint.Policy{Timeout: 2 * time.Second, Cap: 2 * time.Second}
	for _, name := range Names {
		var a setpoint.Adapter
		client := subsystem.NewClient(subsystem.ClientOptions{URL: "http://" + c.At[name], HTTP: web, Log: log})
		a.Name, a.Adapter, a.Policy = command.AdapterName(name), dropping{client}, policy
		all = append(all, a)
	}
	proxies := proxy.NewAdapter(proxy.AdapterOptions{HTTP: web, Certificates: func(string) (certificate, key []byte, err error) {
		return []byte("a certificate"), []byte("a key"), nil
	}})
	return withDatabases(append(all, setpoint.Adapter{Name: "proxies", Adapter: proxies, Policy: policy}), c, log)
}
