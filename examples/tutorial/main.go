// Command tutorial publishes pages and keeps them published. It is the program of docs/tutorial/first-controller.md.
package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/cli"
	"github.com/setpointhq/setpoint/server"
)

func main() { os.Exit(cli.Main(program)) }

// program is the server of this service, and the command line to it.
var program = cli.Program{Serve: serve}

func serve(ctx context.Context, c cli.ServeConfig) error {
	kinds, controllers := parts()
	return server.Run(ctx, server.Options{
		Listen: c.Listen, Store: c.Store, Logger: c.Logger, Grace: c.Grace, Listening: c.Listening,
		Kinds: kinds, Controllers: controllers,
		Adapters: []setpoint.Adapter{{Name: "files", Adapter: Files{Root: filepath.Join(c.Directory, "public")}}},
	})
}
