// Command tutorial publishes a page and keeps it published. It is the program of docs/tutorial/first-controller.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
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

// ask is the customer: it creates the page, changes it, or deletes it.
func ask(ctx context.Context, plane *setpoint.Plane, title string, remove bool) error {
	select {
	case <-plane.Loaded(): // what exists is known
	case <-ctx.Done():
		return nil
	}
	spec := PageSpec{Title: title, Text: "Kept by Setpoint."}
	page, err := Pages.New("default", "home", spec, resource.Birth{})
	if err != nil {
		return err
	}
	if remove {
		_, _, err = plane.Delete(ctx, "api:me", page.Key, setpoint.Preconditions{}, false)
		return err
	}
	_, err = plane.Create(ctx, "api:me", page, false)
	if errors.Is(err, setpoint.ErrExists) {
		_, err = plane.Update(ctx, "api:me", page.Key, func(old *setpoint.Object) (*setpoint.Object, error) {
			next := old.Clone()
			next.Spec = page.Spec
			return next, nil
		}, false)
	}
	return err
}

// report prints every commit from now on: what changed, and who changed it.
func report(ctx context.Context, db *sqlite.Store, out io.Writer) error {
	stream, err := db.Watch(ctx, db.Revision())
	if err != nil {
		return err
	}
	for {
		commit, err := stream.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				err = nil // told to stop
			}
			return errors.Join(err, stream.Close())
		}
		if _, err := io.WriteString(out, describe(commit)); err != nil {
			return errors.Join(err, stream.Close())
		}
	}
}

// describe is one line for each thing in a commit.
func describe(commit store.Batch) (lines string) {
	for _, c := range commit.Objects {
		lines += fmt.Sprintf("@%d %s: %s is %s, ready: %t\n", commit.Revision, commit.Writer.Name, c.Object.Key, c.Object.State, c.Object.Ready())
	}
	for _, c := range commit.Commands {
		if !c.Removed {
			lines += fmt.Sprintf("@%d %s: command %s is %s %s\n", commit.Revision, commit.Writer.Name, c.Command.Slot, c.Command.Phase, c.Command.Message)
		}
	}
	return lines
}
