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
)

// NodeConfig is what a node is.
type NodeConfig struct {
	Name  string
	Store string
	// Listen is "host:port" of the door.
	Listen string
	// Dir takes NAME.evidence and, when the node serves, NAME.address.
	Dir string
	TTL time.Duration
	// At are the addresses of the subsystems, by name. Via says through what each of these addresses is reached, for this node.
	At, Via map[string]string
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
	st, err := open(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return err
	}
	m := &mishaps{}
	kinds, controllers := parts(c, m)
	plane, err := setpoint.New(ctx, setpoint.Config{
		Store: &witnessed{Store: st, name: c.Name, journal: journal, seen: map[store.Fence]bool{}},
		Kinds: kinds, Controllers: controllers, Adapters: adapters(c, log),
		Logger: log, Name: c.Name, Version: "test", Address: listener.Addr().String(), LeaseTTL: c.TTL, Grace: 2 * time.Second,
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	return attend(ctx, c, plane, listener, m, log)
}

// open opens the database, which may be away just now.
func open(ctx context.Context, c NodeConfig, log *slog.Logger) (*postgres.Store, error) {
	for {
		st, err := postgres.Open(ctx, postgres.Options{URL: c.Store, Name: c.Name, Logger: log})
		if err == nil || !errors.Is(err, store.ErrUnavailable) {
			return st, err
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

// attend runs the plane and its doors until ctx ends.
func attend(ctx context.Context, c NodeConfig, plane *setpoint.Plane, listener net.Listener, m *mishaps, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	doors := server.Handler(plane, server.Options{Logger: log})
	mux := http.NewServeMux()
	mux.Handle("/mishap/", m.handler())
	mux.Handle("/", doors)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	web.RegisterOnShutdown(doors.Drain)
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ends := make(chan error, 2)
	go func() { ends <- plane.Run(working); cancel() }()
	go func() {
		err := web.Serve(listener)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		ends <- err
		cancel()
	}()
	select {
	case <-plane.Loaded():
		if err := writeFile(filepath.Join(c.Dir, c.Name+".address"), []byte(listener.Addr().String())); err != nil {
			return err
		}
	case <-ctx.Done():
	}
	<-ctx.Done()
	grace, release := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer release()
	stopped := web.Shutdown(grace)
	stop()
	return errors.Join(stopped, <-ends, <-ends)
}

// parts are the kinds and their controllers: the gateway example's, and the node's own.
func parts(c NodeConfig, m *mishaps) ([]*setpoint.Definition, []setpoint.Controller) {
	order, driveOrder := orders(c.Old, m)
	job, driveJob := jobs(m)
	return append(edge.Kinds(), order, job, registers.Definition), append(edge.Controllers(), driveOrder, driveJob)
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
	return append(all, setpoint.Adapter{Name: "proxies", Adapter: proxies, Policy: policy})
}
