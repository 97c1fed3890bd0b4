// Command tutorial publishes a page and keeps it published. It is the program of docs/tutorial/first-controller.md.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/store/sqlite"
)

func main() {
	dir := flag.String("dir", "site", "where the database and the pages are kept")
	title := flag.String("title", "Hello", "title of the page")
	remove := flag.Bool("delete", false, "delete the page instead")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, *title, *remove, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run assembles the service, asks for the page, and works until ctx ends.
func run(ctx context.Context, dir, title string, remove bool, out io.Writer) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	db, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, "setpoint.db")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	kinds, controllers := parts()
	plane, err := setpoint.New(ctx, setpoint.Config{
		Store: db, Kinds: kinds, Controllers: controllers,
		Adapters: []setpoint.Adapter{{Name: "files", Adapter: Files{Root: filepath.Join(dir, "public")}}},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 2)
	go func() { ended <- plane.Run(ctx); cancel() }()
	go func() { ended <- report(ctx, db, out); cancel() }()

	err = ask(ctx, plane, title, remove)
	if err == nil {
		<-ctx.Done() // now the plane does the rest
	}
	cancel()
	return errors.Join(err, <-ended, <-ended)
}
