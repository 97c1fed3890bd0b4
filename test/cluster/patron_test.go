package cluster

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/setpointhq/setpoint/examples/postgres"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/test/internal/fleet"
)

// patron has a database, changes what it asks of it, and raises signals. Its requests go to any node, and are repeated until they are answered.
type patron struct {
	estate      *estate
	name        string
	random      *rand.Rand
	pace        time.Duration
	least, most int  // replicas
	observed    bool // somebody writes into the database, and keeps a ledger

	wish     postgres.DatabaseSpec
	done     map[string]int
	repeated int
}

// newPatron makes one who asks for as few replicas as it ever will, and no fewer than two where it has more than one.
func newPatron(e *estate, i int, random *rand.Rand, least, most int, observed bool, pace time.Duration) *patron {
	return &patron{
		estate: e, name: fmt.Sprintf("d%d", i), random: rand.New(rand.NewPCG(random.Uint64(), 2)), pace: pace, least: least, most: most, observed: observed,
		wish: postgres.DatabaseSpec{Replicas: least, Parameters: maps.Clone(economy)}, done: map[string]int{},
	}
}

// work goes on until ctx ends, and ends between two wishes.
func (p *patron) work(ctx, whole context.Context) error {
	for pause(ctx, p.pace/2+time.Duration(p.random.Int64N(int64(p.pace)))) {
		if err := p.deed(whole); err != nil {
			return err
		}
	}
	return nil
}

// deed does one thing.
func (p *patron) deed(ctx context.Context) error {
	switch choice := p.random.IntN(6); {
	case choice == 0:
		p.wish.Parameters = maps.Clone(p.wish.Parameters)
		p.wish.Parameters["work_mem"] = strconv.Itoa(1024+p.random.IntN(1024)) + "kB"
		p.done["other parameters"]++
		return p.ask(ctx)
	case choice == 1:
		p.wish.Parameters = maps.Clone(p.wish.Parameters)
		p.wish.Parameters["max_connections"] = strconv.Itoa(30 + p.random.IntN(10))
		p.done["parameters that need a restart"]++
		if err := p.ask(ctx); err != nil {
			return err
		}
		return p.raise(ctx, postgres.NeedsParameters)
	case choice == 2 && p.most > p.least:
		p.wish.Replicas = p.least + p.random.IntN(p.most-p.least+1)
		p.done["other replicas"]++
		return p.ask(ctx)
	case choice >= 3 && p.wish.Replicas > 0:
		return p.raise(ctx, postgres.NeedsPromote)
	}
	return p.raise(ctx, postgres.NeedsRestart)
}

// ask asks for the wish until that is acknowledged.
func (p *patron) ask(ctx context.Context) error {
	for {
		err := p.estate.town.apply(ctx, p.estate.Databases, p.name, p.wish)
		if err == nil {
			return nil
		}
		if settled(err) || !pause(ctx, 50*time.Millisecond) {
			return fmt.Errorf("database %s: %w", p.name, err)
		}
		p.repeated++
	}
}

func (p *patron) raise(ctx context.Context, signal lifecycle.SignalName) error {
	for {
		err := p.estate.town.raise(ctx, p.estate.Databases, p.name, signal, "patron")
		if err == nil {
			p.done[string(signal)]++
			return nil
		}
		if settled(err) || !pause(ctx, 50*time.Millisecond) {
			return fmt.Errorf("%s of database %s: %w", signal, p.name, err)
		}
		p.repeated++
	}
}

// unlike says in what a database is not what its patron has asked for last, "" when it is.
func (p *patron) unlike(d fleet.Database, all map[string]fleet.Server) string {
	if d.Spec.Replicas != p.wish.Replicas || !maps.Equal(d.Spec.Parameters, p.wish.Parameters) {
		return fmt.Sprintf("database %s is asked to be %v, and was to be %v", p.name, d.Spec, p.wish)
	}
	if n := len(fleet.Replicas(d, all)); n != p.wish.Replicas {
		return fmt.Sprintf("database %s has %d replicas, want %d", p.name, n, p.wish.Replicas)
	}
	for name, v := range all {
		rows, err := p.estate.Ask(p.estate.town.Context(), v, "SELECT pg_size_bytes(current_setting('work_mem')) = pg_size_bytes('"+p.workMemory()+"'), current_setting('max_connections')::int >= "+p.wish.Parameters["max_connections"])
		if err != nil {
			return fmt.Sprintf("%s does not say its settings: %v", name, err)
		}
		// What needs a restart is in force, or known to need one. It may be more: one that has followed keeps what its primary had.
		if rows[0][0] != "t" || rows[0][1] != "t" && !slices.Contains(v.Status.PendingRestart, "max_connections") {
			return fmt.Sprintf("%s has %v, want %v; it says that a restart is needed for %v", name, rows[0], p.wish.Parameters, v.Status.PendingRestart)
		}
	}
	return ""
}

func (p *patron) workMemory() string {
	if text := p.wish.Parameters["work_mem"]; text != "" {
		return text
	}
	return "4MB"
}
