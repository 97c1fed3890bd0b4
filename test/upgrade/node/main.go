package main

import (
	"context"
	"os"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/cli"
	"github.com/setpointhq/setpoint/server"
	"github.com/setpointhq/setpoint/store/postgres"
)

func main() {
	os.Exit(cli.Main(cli.Program{Version: version, Serve: serve}))
}

// serve runs the server as the configuration says.
func serve(ctx context.Context, c cli.ServeConfig) error {
	client := subsystem.NewClient(subsystem.ClientOptions{URL: os.Getenv("MACHINES"), Log: c.Logger})
	kinds, controllers := parts()
	return server.Run(ctx, server.Options{
		Listen: c.Listen, AdminListen: c.Admin.Listen, Store: c.Store, Logger: c.Logger, LeaseTTL: c.LeaseTTL, Grace: c.Grace, Version: version, Listening: c.Listening,
		Postgres: postgres.Options{Name: c.Postgres.Name}, Kinds: kinds, Controllers: controllers,
		Adapters: []setpoint.Adapter{{Name: machines.Adapter, Adapter: client, Policy: setpoint.Policy{Timeout: 5 * time.Minute, Attempts: 3}}},
	})
}
