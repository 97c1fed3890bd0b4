package cluster

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// gauges are what a node says it holds (I9).
type gauges struct {
	goroutines, bytes, files int
	// queued are objects that are ready or being worked on, calling the units of order whose commands are to be sent or are under way. What waits for a moment is not counted.
	queued, calling int
}

// read asks a node for its metrics.
func (n *node) read(ctx context.Context) (g gauges, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.address()+"/metrics", nil)
	if err != nil {
		return g, err
	}
	answer, err := web.Do(request)
	if err != nil {
		return g, err
	}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, text, ok := strings.Cut(lines.Text(), " ")
		value, err := strconv.ParseFloat(text, 64)
		if !ok || err != nil {
			continue // a comment
		}
		delayed := strings.Contains(name, `state="delayed"`)
		switch what, _, _ := strings.Cut(name, "{"); {
		case what == "go_goroutines":
			g.goroutines = int(value)
		case what == "process_resident_memory_bytes":
			g.bytes = int(value)
		case what == "process_open_fds":
			g.files = int(value)
		case what == "setpoint_queue_depth" && !delayed:
			g.queued += int(value)
		case what == "setpoint_command_queue_depth" && !delayed:
			g.calling += int(value)
		}
	}
	if err := lines.Err(); err != nil {
		return g, err
	}
	return g, answer.Body.Close()
}

func (g gauges) most(o gauges) gauges {
	return gauges{max(g.goroutines, o.goroutines), max(g.bytes, o.bytes), max(g.files, o.files), max(g.queued, o.queued), max(g.calling, o.calling)}
}

func (g gauges) String() string {
	return fmt.Sprintf("%d goroutines, %d MB, %d files, %d queued, %d calling", g.goroutines, g.bytes>>20, g.files, g.queued, g.calling)
}

// watchdog reads the metrics of all nodes once in a while.
type watchdog struct {
	town    *town
	before  gauges // of the node that held most, before there was anything to do
	peak    gauges
	looks   int
	shift   sync.WaitGroup
	dismiss context.CancelFunc
}

// The bounds. They are generous: what they are to find grows without one.
const (
	mostGoroutines  = 5000    // of a node, at any time
	mostBytes       = 2 << 30 // of a node, at any time
	moreGoroutines  = 150     // at rest, than before there was anything to do
	moreFiles       = 100
	connectionsEach = 10 // of a node: see postgres.Options.Readers
)

// watchdog begins to look.
func (w *town) watchdog(every time.Duration) *watchdog {
	w.Helper()
	ctx, dismiss := context.WithCancel(w.Context())
	d := &watchdog{town: w, dismiss: dismiss}
	for _, n := range w.alive() {
		g, err := n.read(ctx)
		if err != nil {
			w.Fatal(err)
		}
		d.before = d.before.most(g)
	}
	d.shift.Go(func() {
		for pause(ctx, every) {
			for _, n := range w.alive() {
				d.look(ctx, n)
			}
		}
	})
	return d
}

// look reads a node that may be dead, frozen or not there yet.
func (d *watchdog) look(ctx context.Context, n *node) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if g, err := n.read(ctx); err == nil {
		d.peak, d.looks = d.peak.most(g), d.looks+1
	}
}

// bounded ends the watchdog. The nodes have nothing to do any more: each holds about as much as one did before there was anything, and none has ever held more than it may.
func (d *watchdog) bounded() {
	d.town.Helper()
	d.dismiss()
	d.shift.Wait()
	nodes, after := d.town.alive(), gauges{}
	d.town.await("the nodes let go of what they needed", func() (string, bool) {
		after = gauges{}
		for _, n := range nodes {
			g, err := n.read(d.town.Context())
			if err != nil {
				return err.Error(), false
			}
			after = after.most(g)
		}
		return after.String(), after.goroutines <= d.before.goroutines+moreGoroutines && after.files <= d.before.files+moreFiles && after.queued == 0 && after.calling == 0
	})
	if d.peak.goroutines > mostGoroutines || d.peak.bytes > mostBytes {
		d.town.Errorf("a node has had %s; the bounds are %d goroutines and %d MB", d.peak, mostGoroutines, mostBytes>>20)
	}
	whose := make([]string, len(nodes))
	for i, n := range nodes {
		whose[i] = "application_name LIKE 'setpoint % " + n.name + "'"
	}
	connections := d.town.number("SELECT count(*) FROM pg_stat_activity WHERE " + strings.Join(whose, " OR "))
	if most := connectionsEach * len(nodes); connections > most {
		d.town.Errorf("%d nodes have %d connections to the database, at most %d are allowed", len(nodes), connections, most)
	}
	d.town.Logf("nodes held, before there was anything to do: %s; at most, of %d looks: %s; at rest afterwards: %s, and %d connections to the database", d.before, d.looks, d.peak, after, connections)
}
