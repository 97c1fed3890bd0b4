package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/api"
	"github.com/setpointhq/setpoint/store"
)

// The slots of the administrator's lane: enough for people and their tools.
const (
	adminRequests = 16
	adminWatches  = 8
)

// adminLane is a second way in. A nil one is none.
type adminLane struct{ listener net.Listener }

// administrators opens the lane, if one is asked for.
func (o Options) administrators(ctx context.Context) (*adminLane, error) {
	if o.AdminListen == "" {
		return nil, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.AdminListen)
	if err != nil {
		return nil, fmt.Errorf("listen for administrators: %w", err)
	}
	return &adminLane{listener}, nil
}

func (l *adminLane) close() error {
	if l == nil {
		return nil
	}
	return l.listener.Close()
}

// serve serves until ctx ends, and returns when all that came in has been answered, or the grace period is over.
func (l *adminLane) serve(ctx context.Context, plane *setpoint.Plane, o Options) error {
	if l == nil {
		<-ctx.Done()
		return nil
	}
	d := doors(plane, o, api.Options{
		Plane: backend{plane}, Logger: o.Logger, Metrics: o.Metrics, Version: o.Version, MaxRequests: adminRequests, MaxWatches: adminWatches,
	})
	lasting := context.WithoutCancel(ctx)
	web := &http.Server{
		Handler: d, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return store.AsAdministrator(lasting) },
	}
	web.RegisterOnShutdown(d.Drain)
	o.Logger.Info("administrators are served", "url", "http://"+l.listener.Addr().String())
	served := make(chan error, 1)
	go func() { served <- web.Serve(l.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("the administrator's lane: %w", err)
	case <-ctx.Done():
	}
	grace, release := context.WithTimeout(lasting, max(o.Grace, time.Second))
	defer release()
	err := web.Shutdown(grace)
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}
