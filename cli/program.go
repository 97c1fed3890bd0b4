package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// Program is what a command tree needs from the program that runs it. The zero value is a tree that only talks to servers.
type Program struct {
	// Serve runs a server until ctx ends, and returns when it has stopped. nil: the program has none.
	Serve func(ctx context.Context, c ServeConfig) error
	// Demos are servers with kinds and controllers to look at, by name.
	Demos map[string]Demo
	// Restore makes a database of a backup. Nothing may be running on the target. nil: the program cannot.
	Restore func(ctx context.Context, backup, target string) error
	// Schema looks after the schema of a PostgreSQL database. nil: the program leaves that to another one.
	Schema Schema
	// Hidden commands are run but not listed: helper processes of a demo, for example.
	Hidden []*cobra.Command
	// Version of the program. Default: what the Go tool chain has recorded.
	Version string

	// The rest is for tests. Defaults: those of the process.

	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Environ lists "KEY=value".
	Environ func() []string
	Now     func() time.Time
}

// Demo is a server with something to look at.
type Demo struct {
	// Summary is one line for the list of demos.
	Summary string
	// Start runs it until ctx ends, and returns when it has stopped.
	Start func(ctx context.Context, c ServeConfig) error
}

// Main runs the command line of the process and returns its exit code. The first SIGINT or SIGTERM ends the command in an orderly way, the second at once.
func Main(p Program) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal has its default effect
	return Run(ctx, p, os.Args[1:])
}

// Run runs one command line and returns its exit code.
func Run(ctx context.Context, p Program, args []string) int {
	p.defaults()
	a, root := build(p)
	defer a.close()
	root.SetArgs(args)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	code := exitCode(ctx, err)
	message := complaint(err)
	if code == ExitUsage {
		message += fmt.Sprintf("See: %s --help\n", command.CommandPath())
	}
	if _, err := io.WriteString(p.Stderr, message); err != nil {
		return ExitError
	}
	return code
}

// complaint is what is said of an error; of several, a line each.
func complaint(err error) string {
	var several failures
	if !errors.As(err, &several) {
		several = failures{err}
	}
	var b strings.Builder
	for _, e := range several {
		fmt.Fprintf(&b, "setpoint: %s\n", printable(e.Error(), true))
	}
	return b.String()
}

func (p *Program) defaults() {
	if p.Stdin == nil {
		p.Stdin = os.Stdin
	}
	if p.Stdout == nil {
		p.Stdout = os.Stdout
	}
	if p.Stderr == nil {
		p.Stderr = os.Stderr
	}
	if p.Environ == nil {
		p.Environ = os.Environ
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Version == "" {
		p.Version = "development"
		if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
			p.Version = info.Main.Version
		}
	}
}
