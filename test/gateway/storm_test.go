package gateway

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	edge "github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/test/internal/follower"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// storm is what a run goes through.
type storm struct {
	customers, gateways int
	// lasts is how long customers work under it.
	lasts time.Duration
	// stops, kills: how often the database is stopped at once, and Setpoint is killed. Every second stop is followed by another during the recovery.
	stops, kills time.Duration
	// gusts are the times in which sessions are ended, each a quarter of the time between two stops long.
	terminate time.Duration
}

// TestStorm: customers create, change and delete gateways on PostgreSQL, while the database is stopped again and again, also in the midst of its recovery, its sessions
// are ended every 200 ms for a while, and Setpoint is killed. In the end there is what the customers have asked for last, by the subsystems' own files; no token had two effects; every
// transition was legal; a watcher has seen every commit once and in order; and nothing is written any more.
func TestStorm(t *testing.T) {
	t.Parallel()
	w := storm{customers: 3, gateways: 24, lasts: 24 * time.Second, stops: 8 * time.Second, kills: 13 * time.Second, terminate: 200 * time.Millisecond}
	if program.Soak() {
		w = storm{customers: 20, gateways: 2000, lasts: 10 * time.Minute, stops: time.Minute, kills: 20 * time.Second, terminate: 200 * time.Millisecond}
	}
	random := program.Seeded(t)
	d := newDemo(t, "SETPOINT_DEMO_SIMULATED=1")
	d.postgres = pg.Start(t, pg.Setting("max_connections", "50"))
	d.Store = d.postgres.Database(t)
	d.Start()
	d.introduced()
	watcher := follower.Start(t, d.Store, nil)
	crowd := newCrowd(d, random, w)
	crowd.rage(w)

	all := d.awaitWishes(crowd.wishes())
	d.agree(all)
	d.once()
	t.Logf("%s; %d addresses granted, %d instances started; %s commits", crowd, count(d.ledger("allocator"), subsystem.Create), count(d.ledger("hosts"), subsystem.Create),
		d.query("SELECT revision FROM setpoint.counter")[0][0])
	d.legal()
	for name := range all {
		d.mustDelete(name)
	}
	d.awaitWishes(nil)
	d.nothingLeft(t)
	d.once()
	d.quiet()
	watcher.Agrees()
}

// crowd are customers at work.
type crowd struct {
	*demo
	customers []*customer
	random    *rand.Rand
	stops     int
	broken    int
	ended     int
	kills     int
	doubts    int
}

func newCrowd(d *demo, random *rand.Rand, w storm) *crowd {
	c := &crowd{demo: d, random: random}
	for i := range w.customers {
		c.customers = append(c.customers, newCustomer(d, random, fmt.Sprintf("c%dg", i), w.gateways/w.customers))
	}
	c.customers[0].wishes["shop"] = d.get("shop").Spec // which every start of the demo makes anew
	return c
}

func (c *crowd) String() string {
	var created, changed, deleted int
	for _, x := range c.customers {
		created, changed, deleted = created+x.created, changed+x.changed, deleted+x.deleted
	}
	return fmt.Sprintf("%d creations, %d changes, %d deletions; the database stopped %d times, %d of them in its recovery, %d sessions ended, Setpoint killed %d times; %d groups without an answer",
		created, changed, deleted, c.stops, c.broken, c.ended, c.kills, c.doubts)
}

// wishes is what everybody asked for last.
func (c *crowd) wishes() map[string]edge.GatewaySpec {
	all := map[string]edge.GatewaySpec{}
	for _, x := range c.customers {
		maps.Copy(all, x.wishes)
	}
	return all
}

// rage lets the customers work, and the storm too.
func (c *crowd) rage(w storm) {
	c.t.Helper()
	ctx, dismiss := context.WithCancel(c.t.Context())
	defer dismiss()
	var shift sync.WaitGroup
	gaveUp := make(chan error, len(c.customers))
	for _, x := range c.customers {
		shift.Go(func() {
			if err := x.work(ctx); err != nil {
				gaveUp <- err
			}
		})
	}
	began := time.Now()
	ticker := time.NewTicker(w.terminate)
	defer ticker.Stop()
	stop, kill := w.stops, w.kills
	for time.Since(began) < w.lasts {
		select {
		case <-ticker.C:
		case err := <-gaveUp:
			c.t.Fatalf("a customer: %v", err)
		}
		switch now := time.Since(began); {
		case now > stop:
			c.stopDatabase()
			stop = now + w.stops
		case now > kill:
			c.doubts += strings.Count(c.Process.Output(), "its outcome is looked up")
			c.Kill()
			c.Start()
			c.kills++
			kill = now + w.kills
		case stop-now < w.stops/4: // the gust before a stop
			c.ended += c.postgres.Terminate(c.t, "application_name LIKE 'setpoint %' AND random() < 0.5")
		}
	}
	dismiss()
	shift.Wait()
	select {
	case err := <-gaveUp:
		c.t.Fatalf("a customer: %v", err)
	default:
	}
	c.doubts += strings.Count(c.Process.Output(), "its outcome is looked up")
}

// stopDatabase stops the database at once, and every second time again while it recovers.
func (c *crowd) stopDatabase() {
	c.t.Helper()
	c.postgres.StopImmediate(c.t)
	c.postgres.Launch(c.t)
	c.stops++
	if c.stops%2 == 0 {
		pause := time.NewTimer(time.Duration(c.random.IntN(100)) * time.Millisecond)
		defer pause.Stop()
		<-pause.C
		c.postgres.StopImmediate(c.t)
		c.postgres.Launch(c.t)
		c.broken++
	}
	c.postgres.WaitReady(c.t)
}

// legal checks the history: every transition is in the table of its kind.
func (d *demo) legal() {
	d.t.Helper()
	for _, row := range d.query(`SELECT h.kind, h.name, h.from_state, h.to_state FROM setpoint.history h WHERE h.type = 'Transition'
		AND NOT EXISTS (SELECT 1 FROM setpoint.transition t WHERE t.kind = h.kind AND t.from_state = h.from_state AND t.to_state = h.to_state)`) {
		d.t.Errorf("%s %s went from %q to %q, which its table does not allow", row[0], row[1], row[2], row[3])
	}
	for _, row := range d.query("SELECT max(f.revision) - min(f.revision) + 1 - count(*) FROM setpoint.feed f HAVING count(*) > 0") {
		if row[0] != "0" {
			d.t.Errorf("the feed lacks %s commits", row[0])
		}
	}
}

// quiet checks that nothing is written any more while the node's membership is renewed three times.
func (d *demo) quiet() {
	d.t.Helper()
	revision := d.query("SELECT revision FROM setpoint.counter")[0][0]
	expires := ""
	for renewals := 0; renewals < 4; {
		d.Await("the membership is renewed", func() (string, bool) {
			now := d.query("SELECT max(expires) FROM setpoint.node")[0][0]
			moved := now != expires
			expires = now
			return now, moved
		})
		renewals++
	}
	if now := d.query("SELECT revision FROM setpoint.counter")[0][0]; now != revision {
		d.t.Errorf("commits went on, from %s to %s, when nothing was left to do", revision, now)
	}
}
