package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/examples/postgres"
	"github.com/setpointhq/setpoint/examples/postgres/demo"
)

// databases runs one subsystem of the PostgreSQL example until ctx ends.
func databases(ctx context.Context, name, folder string) error {
	known, err := demo.RunSubsystem(ctx, name, folder)
	if !known {
		return fmt.Errorf("want one of: %v; got %q", demo.Names, name)
	}
	return err
}

// managed are the kinds and controllers of the PostgreSQL example, for a node that is told where its subsystems are.
func managed(c NodeConfig) ([]*setpoint.Definition, []setpoint.Controller) {
	if len(c.Databases) == 0 {
		return nil, nil
	}
	// The passwords of a test are no secret, and those of all its nodes are the same.
	return postgres.Kinds(), postgres.Controllers(postgres.Secrets{Key: []byte("the key of a test")})
}

// withDatabases adds the ways to the databases' host agent and to their endpoints. Both examples call an adapter "hosts", and each has its own: what is called is told apart by the group of who calls.
func withDatabases(all []setpoint.Adapter, c NodeConfig, log *slog.Logger) []setpoint.Adapter {
	if len(c.Databases) == 0 {
		return all
	}
	for _, a := range demo.Adapters(c.Databases, log) {
		shared := false
		for i := range all {
			if all[i].Name == a.Name {
				all[i].Adapter = switchboard{own: all[i].Adapter.(agent), ownTime: all[i].Policy.Timeout, databases: a.Adapter.(agent)}
				all[i].Policy.Timeout, all[i].Policy.Concurrency = a.Policy.Timeout, 64
				shared = true
			}
		}
		if !shared {
			all = append(all, a)
		}
	}
	return all
}

// agent is what both sides of a switchboard can do.
type agent interface {
	command.Adapter
	command.LookUp
	command.Observer
}

// switchboard is one adapter of a name that two services use.
type switchboard struct {
	own, databases agent
	ownTime        time.Duration
}

// group is that of the databases' kinds.
const group = "." + postgres.Group

func (s switchboard) of(call command.Call) (agent, time.Duration) {
	if strings.HasSuffix(string(call.Object.Kind), group) {
		return s.databases, 0
	}
	return s.own, s.ownTime
}

// Do makes the attempt at whom it is for.
func (s switchboard) Do(ctx context.Context, call command.Call) command.Result {
	to, limit := s.of(call)
	if limit > 0 {
		bounded, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		ctx = bounded
	}
	return to.Do(ctx, call)
}

// LookUp asks whom it was for.
func (s switchboard) LookUp(ctx context.Context, call command.Call) (command.Result, bool, error) {
	to, _ := s.of(call)
	return to.LookUp(ctx, call)
}

// Observe observes both, each of which expects its own only.
func (s switchboard) Observe(ctx context.Context, desk command.Desk) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.own.Observe(ctx, half{desk, false}); cancel() }()
	err := s.databases.Observe(ctx, half{desk, true})
	cancel()
	if own := <-ended; own != nil {
		return own
	}
	return err
}

// half is the part of a desk that is about the databases, or about everything else.
type half struct {
	command.Desk
	databases bool
}

// Expected is what one side has acknowledged.
func (h half) Expected(destination string) (mine []command.Expectation) {
	for _, e := range h.Desk.Expected(destination) {
		if strings.HasSuffix(string(e.Object.Kind), group) == h.databases {
			mine = append(mine, e)
		}
	}
	return mine
}

var _ agent = (*subsystem.Client)(nil)
