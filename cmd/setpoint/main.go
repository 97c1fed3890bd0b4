// Command setpoint is the server and the command line of Setpoint.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/cli"
	"github.com/setpointhq/setpoint/examples/gateway/demo"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/proxy"
	pgdemo "github.com/setpointhq/setpoint/examples/postgres/demo"
	"github.com/setpointhq/setpoint/server"
	"github.com/setpointhq/setpoint/store/postgres"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// version is the program's, until a build sets it: -ldflags "-X main.version=…".
var version = "0.1.0-dev"

func main() {
	os.Exit(cli.Main(cli.Program{
		Version: version,
		Serve: func(ctx context.Context, c cli.ServeConfig) error {
			return classified(server.Run(ctx, options(c)))
		},
		Schema: schema{},
		Demos: map[string]cli.Demo{
			"gateway":  {Summary: "an API gateway service: addresses, certificates, processes, DNS records", Start: gateway},
			"postgres": {Summary: "a managed PostgreSQL: servers, replicas, failover, backups, credentials", Start: managed},
		},
		Restore: func(ctx context.Context, backup, target string) error {
			restored, err := sqlite.Restore(ctx, backup, target)
			if err == nil && restored.Kept != "" {
				fmt.Fprintf(os.Stderr, "The database that was there is kept as %s\n", restored.Kept)
			}
			return err
		},
		Hidden: []*cobra.Command{subsystem(), proxyProcess(), stopDemo()},
	}))
}

func options(c cli.ServeConfig) server.Options {
	return server.Options{
		Listen: c.Listen, AdminListen: c.Admin.Listen, Store: c.Store, Migrate: c.Migrate, Logger: c.Logger, LeaseTTL: c.LeaseTTL, Grace: c.Grace, Version: version, Listening: c.Listening,
		Alerts:             server.Alerts{Alertmanagers: c.Alertmanagers, Webhooks: c.Alert.Webhooks, WebhookKey: c.Alert.WebhookKey, Plane: c.Alert.Plane},
		AvailabilityWindow: c.Availability.Window,
		Postgres: postgres.Options{
			Name: c.Postgres.Name, Readers: c.Postgres.Readers, RetainRevisions: c.Postgres.RetainRevisions, RetainHistory: c.Postgres.RetainHistory,
			LockTimeout: c.Postgres.LockTimeout, StatementTimeout: c.Postgres.StatementTimeout, Patience: c.Postgres.Patience, Heartbeat: c.Postgres.Heartbeat,
		},
	}
}

func gateway(ctx context.Context, c cli.ServeConfig) error {
	return classified(demo.Run(ctx, demo.Options{Directory: c.Directory, Server: options(c), Output: c.Stdout, Logger: c.Logger}))
}

func managed(ctx context.Context, c cli.ServeConfig) error {
	return classified(pgdemo.Run(ctx, pgdemo.Options{Directory: c.Directory, Server: options(c), Output: c.Stdout, Logger: c.Logger}))
}

// subsystem and proxyProcess are what the demo starts as processes of their own.
func subsystem() *cobra.Command {
	return &cobra.Command{
		Use: demo.Command + " NAME DIRECTORY", Args: cobra.ExactArgs(2), Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGTERM)
			defer stop()
			if known, err := pgdemo.RunSubsystem(ctx, args[0], args[1]); known {
				return err
			}
			return demo.RunSubsystem(ctx, args[0], args[1])
		},
	}
}

func proxyProcess() *cobra.Command {
	return &cobra.Command{
		Use: demo.ProxyCommand, Args: cobra.NoArgs, Hidden: true,
		RunE: func(c *cobra.Command, _ []string) error { return proxy.Main(c.Context()) },
	}
}

func stopDemo() *cobra.Command {
	return &cobra.Command{
		Use: "demo-stop [DIRECTORY]", Args: cobra.MaximumNArgs(1), Hidden: true,
		Short: "End the subsystems that a demo left running, and their proxies",
		RunE: func(c *cobra.Command, args []string) error {
			directory := filepath.Join(".", ".setpoint")
			if len(args) > 0 {
				directory = args[0]
			}
			return errors.Join(demo.Stop(c.Context(), directory), pgdemo.Stop(c.Context(), directory))
		},
	}
}
