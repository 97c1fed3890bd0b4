package host

import (
	"context"
	entropy "crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// reader turns the check-ins of one host into notices. It belongs to one goroutine.
//
// It keeps what the plane has been told of each server, and raises the difference to what the host reports. What could not be raised
// is still a difference in the next round, and what has gone back meanwhile is none.
type reader struct {
	adapter     *Adapter
	desk        command.Desk
	destination string
	random      *rand.Rand

	agent string
	since uint64
	// life names this reader, so that what it raises is not taken for what another one has raised.
	life string
	// heard is when the host last answered, and failures the number of times that it has not since.
	heard    time.Time
	failures int
	servers  map[string]*told
	// again is when servers without an object are looked at again.
	again time.Time
}

// told is what the plane knows of one server.
type told struct {
	health Health
	// missed: the plane takes it for missing. last is the health with which it was last told anything.
	missed bool
	last   Health
	// adrift: the plane takes it for adrift. edges counts what it was told, so that a second time is not taken for the first one.
	adrift bool
	edges  uint64
	// open: there may be something to tell. lost: there was no object to tell it to.
	open, lost bool
}

// lookAgain is how long a server waits whose object could not be found.
const lookAgain = 5 * time.Second

func newReader(a *Adapter, desk command.Desk, destination string) *reader {
	return &reader{
		adapter: a, desk: desk, destination: destination, heard: time.Now(), servers: map[string]*told{},
		random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), life: entropy.Text()[:8],
	}
}

func (r *reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		if !r.listen(ctx) {
			pause(ctx, min(command.Backoff(100*time.Millisecond, r.adapter.options.Beat, r.failures, r.random), r.adapter.options.Beat))
		}
		if ctx.Err() != nil {
			return
		}
		if err := r.tell(ctx); err != nil && ctx.Err() == nil {
			r.adapter.options.Log.Warn("notices could not be raised; they will be", "host", r.destination, "error", err)
			pause(ctx, r.adapter.options.Beat)
		}
		// Changes that come in a row are told together, and a host that holds no question is not asked in a hot loop.
		pause(ctx, r.adapter.options.Beat/20-time.Since(began))
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// listen takes in one answer, and says whether there was one.
func (r *reader) listen(ctx context.Context) bool {
	c, err := r.adapter.ask(ctx, r.destination, r.agent, r.since)
	if err != nil {
		if r.failures++; r.failures == 3 && ctx.Err() == nil {
			r.adapter.options.Log.Warn("a host does not check in", "host", r.destination, "error", err)
		}
		if time.Since(r.heard) >= r.adapter.options.Silence {
			r.silent(err)
		}
		return false
	}
	silent := time.Since(r.heard) >= r.adapter.options.Silence
	r.heard, r.failures, r.agent, r.since = time.Now(), 0, c.Agent, c.Sequence
	if silent && !c.Whole {
		r.since = 0 // what it says now stands again, whether it has changed or not
		return true
	}
	r.take(c)
	return true
}

// take notes what was reported.
func (r *reader) take(c CheckIns) {
	reported := map[string]bool{}
	for _, h := range c.Health {
		reported[h.Server] = true
		t := r.server(h.Server)
		t.health, t.open, t.lost = h, true, false
		if h.Gone {
			delete(r.servers, h.Server)
		}
	}
	if c.Whole {
		maps.DeleteFunc(r.servers, func(server string, _ *told) bool { return !reported[server] })
	}
}

func (r *reader) server(name string) *told {
	t := r.servers[name]
	if t == nil {
		t = &told{missed: r.adapter.options.Missing(name)}
		r.servers[name] = t
	}
	return t
}

// silent takes all servers of a host for missed that does not check in, also those of which only the desk knows.
func (r *reader) silent(err error) {
	for _, e := range r.desk.Expected(r.destination) {
		if e.Destination != r.destination || e.Request == nil {
			continue
		}
		if w, bad := decodeWish(e.Key, e.Request); bad == nil && w.server != nil && r.servers[e.Key] == nil {
			r.server(e.Key).health = Health{Server: e.Key, Answering: true}
		}
	}
	for _, t := range r.servers {
		if t.health.Answering {
			t.health.Answering, t.health.Receiving, t.health.Adrift = false, false, false
			t.health.Problem, t.open = "its host does not check in: "+err.Error(), true
		}
	}
}

// tell raises what differs.
func (r *reader) tell(ctx context.Context) error {
	look := time.Now().After(r.again)
	var notices []command.Notice
	var about []*told
	var owners map[string]resource.Key
	for _, name := range slices.Sorted(maps.Keys(r.servers)) {
		t := r.servers[name]
		signals := r.differs(t)
		if len(signals) == 0 {
			t.open = false
			continue
		}
		if t.lost && !look {
			continue
		}
		if owners == nil {
			owners = r.owners()
		}
		object, found := r.object(name, owners)
		if t.lost = !found; t.lost {
			r.again = time.Now().Add(lookAgain)
			continue
		}
		for _, n := range signals {
			n.Object, n.Dedupe = object, fmt.Sprintf("%s/%s/%d", name, r.life, t.edges)
			notices = append(notices, n)
		}
		about = append(about, t)
	}
	if len(notices) == 0 {
		return nil
	}
	if err := r.desk.Raise(ctx, notices); err != nil {
		return fmt.Errorf("raise %d notices: %w", len(notices), err)
	}
	for _, t := range about {
		t.missed = t.health.Missed() || t.missed && !t.health.Seen()
		t.adrift = t.health.Adrift
		t.last, t.open = t.health, false
		t.edges++
	}
	return nil
}

// differs is what is to be told of a server.
func (r *reader) differs(t *told) (notices []command.Notice) {
	if !t.open {
		return nil
	}
	o, h := r.adapter.options, t.health
	first := o.Unsure && t.last.Server == ""
	payload, err := json.Marshal(h)
	if err != nil {
		return nil // a health is always JSON
	}
	switch {
	case h.Missed() && (!t.missed || first || t.last.Server != "" && h.Starts != t.last.Starts): // or it was started meanwhile, and is missed anew
		notices = append(notices, command.Notice{Signal: o.Missed, Payload: payload, Why: fmt.Sprintf("server %s does not answer: %s", h.Server, h.Problem)})
	case h.Seen() && (t.missed || first):
		notices = append(notices, command.Notice{Signal: o.Seen, Payload: payload, Why: fmt.Sprintf("server %s answers, as %s", h.Server, h.Role)})
	}
	switch told := len(notices) > 0; {
	case o.Adrift != "" && h.Adrift && !t.adrift:
		notices = append(notices, command.Notice{Signal: o.Adrift, Payload: payload, Why: fmt.Sprintf("server %s is a standby, and receives from nobody", h.Server)})
	case o.Adrift != "" && h.Seen() && t.adrift && !h.Adrift && !told:
		notices = append(notices, command.Notice{Signal: o.Seen, Payload: payload, Why: fmt.Sprintf("server %s is not adrift any more, as %s", h.Server, h.Role)})
	}
	if o.Changed != "" && h.changed(t.last) {
		notices = append(notices, command.Notice{Signal: o.Changed, Payload: payload, Why: fmt.Sprintf("the health of server %s has changed", h.Server)})
	}
	return notices
}

// owners are those of the commands that stand, by key.
func (r *reader) owners() map[string]resource.Key {
	owners := map[string]resource.Key{}
	if r.adapter.options.Object != nil {
		return owners
	}
	for _, e := range r.desk.Expected(r.destination) {
		if e.Destination == r.destination {
			owners[e.Key] = e.Object
		}
	}
	return owners
}

func (r *reader) object(server string, owners map[string]resource.Key) (resource.Key, bool) {
	if find := r.adapter.options.Object; find != nil {
		return find(server)
	}
	key, found := owners[server]
	return key, found
}
