package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/server"
)

// serveVariable makes the test binary a server on the database that it names, until it is told to stop. It says where it listens on standard output.
const serveVariable = "SETPOINT_TEST_SERVE"

func TestMain(m *testing.M) {
	if database := os.Getenv(serveVariable); database != "" {
		if err := serve(database); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	pg.Main(m)
}

func serve(database string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	o := options(database)
	o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	o.Listening = func(url string) error { fmt.Println("serving at", url); return nil }
	return server.Run(ctx, o)
}

type noteSpec struct {
	Text string `json:"text"`
}

type noteStatus struct {
	Length int `json:"length,omitempty"`
}

type note = setpoint.Resource[noteSpec, noteStatus]

var notes = setpoint.MustDefine(setpoint.KindOptions[noteSpec, noteStatus]{
	Group: "test.example", Version: "v1", Kind: "Note",
	Validate: func(_, n *note) error {
		switch {
		case n.Spec.Text == "panic":
			panic("a bug in a rule")
		case len(n.Spec.Text) > 20:
			return setpoint.Refuse("spec.text", "want at most 20 letters, got %d", len(n.Spec.Text))
		}
		return nil
	},
})

func measure(_ *setpoint.Turn, n *note) setpoint.Outcome {
	n.Status.Length = len(n.Spec.Text)
	return setpoint.Done()
}

// options are those of a server of notes.
func options(database string) server.Options {
	return server.Options{
		Listen: "127.0.0.1:0", Store: database, Migrate: true, Version: "1.2.3",
		Kinds: []*setpoint.Definition{notes.Definition}, Controllers: []setpoint.Controller{notes.Driver("note", measure)},
	}
}
