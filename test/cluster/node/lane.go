package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/server"
	"github.com/setpointhq/setpoint/store"
)

// lane is the administrator's way in, as `setpoint serve --admin-listen` has it: doors with slots of their own, whose requests are an administrator's for the store.
type lane struct {
	listener net.Listener
	web      *http.Server
	served   chan error
}

// openLane serves administrators at an address.
func openLane(ctx context.Context, address string, plane *setpoint.Plane, metrics http.Handler, log *slog.Logger) (*lane, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	lasting := context.WithoutCancel(ctx)
	doors := server.Handler(plane, server.Options{Logger: log, Metrics: metrics})
	l := &lane{listener: listener, served: make(chan error, 1), web: &http.Server{
		Handler: doors, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return store.AsAdministrator(lasting) },
	}}
	l.web.RegisterOnShutdown(doors.Drain)
	go func() { l.served <- l.web.Serve(listener) }()
	return l, nil
}

// close answers what came in, until ctx ends.
func (l *lane) close(ctx context.Context) error {
	err := l.web.Shutdown(ctx)
	if ended := <-l.served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}
