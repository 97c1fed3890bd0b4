package subsystem

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// Fenced is the optional capability of a command.Desk to say under which epoch the plane acts now. A memory is taught under it; without it,
// under the highest epoch that the client has made a call with, which is none before the first.
type Fenced interface {
	Epoch() resource.Epoch
}

// Current is the optional capability of a command.Desk to wait until what it lists is as new as the moment of the question, at least. Several processes may work for one plane, and one that
// is cut off from its database lists what was wanted when it was not: it gets an error, and must not teach. A desk without it is taken at its word.
type Current interface {
	Current(ctx context.Context) error
}

// Observe listens to every destination for as long as ctx lasts: one question held open per destination, whatever the
// number of effects there. A server that comes back without a memory is taught what it should have; one that has a memory
// this client did not know is compared with what is expected; what is lost is reported to the desk. It returns nil when
// ctx ends.
func (c *Client) Observe(ctx context.Context, desk command.Desk) error {
	ctx, cancel := context.WithCancel(ctx)
	var watches sync.WaitGroup
	defer watches.Wait()
	defer cancel() // when the desk panics as well
	running := map[string]bool{}
	ended := make(chan string)
	survey := time.NewTicker(c.surveyEvery())
	defer survey.Stop()
	c.survey(desk)
	for {
		for _, destination := range c.unwatched(running) {
			running[destination] = true
			w := &watch{client: c, desk: desk, destination: destination, pending: map[command.Token]*pendingLoss{}}
			watches.Go(func() {
				w.run(ctx)
				select {
				case ended <- destination:
				case <-ctx.Done():
				}
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.fresh:
		case destination := <-ended:
			delete(running, destination)
		case <-survey.C:
			c.survey(desk)
		}
	}
}

// surveyEvery is how often destinations are looked for that nothing but an expectation names: the call was another node's, or was
// answered after its destination was abandoned.
func (c *Client) surveyEvery() time.Duration {
	if c.options.Audit < 0 {
		return defaultAudit
	}
	return max(c.options.Audit, time.Second)
}

func (c *Client) survey(desk command.Desk) {
	unobserved := map[string]bool{}
	for _, e := range desk.Expected("") {
		if !c.note(e.Destination) {
			unobserved[e.Destination] = true
		}
	}
	if n := len(unobserved); n > 0 {
		c.options.Log.Error("effects are not observed: one client observes so many destinations and no more", "most", maxDestinations, "not observed", n)
	}
}

func (c *Client) unwatched(running map[string]bool) (destinations []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for destination := range c.destinations {
		if !running[destination] {
			destinations = append(destinations, destination)
		}
	}
	return destinations
}

// abandon stops watching a destination that was not configured, answers no more, and has nothing that is expected of it.
func (c *Client) abandon(destination string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.destinations, destination)
}

const (
	// abandonAfter is the number of failures in a row after which an unused destination is not watched any more.
	abandonAfter = 10
	// lossTries is how often a loss is offered whose token is not acknowledged yet; about a minute.
	lossTries = 16
	// longestPoll is what a client asks a server to hold a question.
	longestPoll = 25 * time.Second
	// pageBytes bounds a page of a restoration, and of an inventory.
	pageBytes = MaxBody / 2
	// patience bounds the wait for an answer that is not held on purpose. A subsystem that works on a page of a restoration for longer
	// goes on without the client, and finds it done when it is told again.
	patience = time.Minute
)

// afterAmnesia are the pauses between the audits that follow a change of memory. What the former memory has acknowledged may still be on its way to the desk when the
// new one is taught and compared: it is expected of the subsystem only from then on, and was never there.
var afterAmnesia = []time.Duration{250 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second}

// watch follows one destination. It belongs to one goroutine.
type watch struct {
	client      *Client
	desk        command.Desk
	destination string

	memory   string
	since    uint64
	failures int
	auditAt  time.Time
	// again are the pauses before the next audits, ahead of the regular ones.
	again   []time.Duration
	pending map[command.Token]*pendingLoss
}

// pendingLoss waits until the desk lists its token as acknowledged: the news of a loss may be faster than that of the
// effect, and a report of what the desk does not know yet would be dropped.
type pendingLoss struct {
	loss  command.Loss
	tries int
	next  time.Time
}

func (w *watch) run(ctx context.Context) {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	for ctx.Err() == nil {
		err := w.round(ctx)
		if err == nil {
			w.failures = 0
			continue
		}
		w.failures++
		if ctx.Err() != nil {
			return
		}
		if w.failures == 3 {
			w.client.options.Log.Warn("a subsystem cannot be observed", "destination", w.destination, "error", err)
		}
		if w.failures >= abandonAfter && w.useless() {
			w.client.abandon(w.destination)
			return
		}
		sleep(ctx, command.Backoff(w.client.options.Base, w.client.options.Cap, w.failures, random))
	}
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	pause := time.NewTimer(d)
	defer pause.Stop()
	select {
	case <-ctx.Done():
	case <-pause.C:
	}
}

func (w *watch) useless() bool {
	for _, d := range w.client.options.Destinations {
		if d == w.destination {
			return false
		}
	}
	return len(w.expected()) == 0
}

// round looks once, and reports what is known to be lost also when looking failed. A panic of the author's Resolve fails the round.
func (w *watch) round(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while destination %q was observed: %v", w.destination, p)
			w.client.options.Log.Error("an observer panicked", "destination", w.destination, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	return errors.Join(w.look(ctx), w.report(ctx))
}

// look asks once for changes and deals with the answer.
func (w *watch) look(ctx context.Context) error {
	base, err := w.client.options.Resolve(w.destination)
	if err != nil {
		return err
	}
	asked, hold := time.Now(), w.hold()
	changes, err := w.poll(ctx, base, hold)
	if err != nil {
		return err
	}
	news := changes.Memory != w.memory || changes.Sequence != w.since
	if err := w.learn(ctx, base, changes); err != nil {
		return err
	}
	if !news && time.Since(asked) < hold { // a subsystem that holds no question must not be asked in a hot loop
		sleep(ctx, w.client.options.Base)
	}
	return nil
}

// learn deals with an answer.
func (w *watch) learn(ctx context.Context, base string, changes Changes) error {
	if changes.Memory != w.memory {
		if changes.Blank {
			if err := w.restore(ctx, base, changes.Memory); err != nil {
				return err
			}
		}
		w.memory, w.auditAt, w.again = changes.Memory, time.Time{}, afterAmnesia
		clear(w.pending)
	}
	for _, l := range changes.Lost {
		w.pending[l.Token] = &pendingLoss{loss: command.Loss{Key: l.Key, Token: l.Token, Reason: l.Reason}}
	}
	w.since = changes.Sequence
	if changes.Truncated {
		w.auditAt = time.Time{}
	}
	if w.auditDue() {
		return w.audit(ctx, base)
	}
	return nil
}

func (w *watch) poll(ctx context.Context, base string, hold time.Duration) (c Changes, err error) {
	ctx, cancel := context.WithTimeout(ctx, hold+10*time.Second)
	defer cancel()
	query := url.Values{
		"memory": {w.memory}, "since": {strconv.FormatUint(w.since, 10)},
		"hold": {strconv.FormatInt(hold.Milliseconds(), 10)},
	}
	if err := w.client.get(ctx, base, "/v1/changes?"+query.Encode(), &c); err != nil {
		return c, fmt.Errorf("ask %s for changes: %w", base, err)
	}
	if c.Memory == "" {
		return c, fmt.Errorf("ask %s for changes: the answer names no memory", base)
	}
	return c, nil
}

// hold is how long the next question may be held: until an audit or a pending loss is due.
func (w *watch) hold() time.Duration {
	hold := min(longestPoll, time.Until(w.auditAt))
	for _, p := range w.pending {
		hold = min(hold, time.Until(p.next))
	}
	return max(hold, time.Millisecond)
}

// expected is what should be at this destination, by key.
func (w *watch) expected() map[string]command.Expectation {
	byKey := map[string]command.Expectation{}
	for _, e := range w.desk.Expected(w.destination) {
		if e.Destination == w.destination {
			byKey[e.Key] = e
		}
	}
	return byKey
}
