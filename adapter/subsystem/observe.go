package subsystem

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/command"
)

// Observe listens to every destination for as long as ctx lasts: one question held open per destination, whatever the
// number of effects there. A server that comes back without a memory is taught what it should have; one that has a memory
// this client did not know is compared with what is expected; what is lost is reported to the desk. It returns nil when
// ctx ends.
func (c *Client) Observe(ctx context.Context, desk command.Desk) error {
	var watches sync.WaitGroup
	defer watches.Wait()
	running := map[string]bool{}
	ended := make(chan string)
	for _, e := range desk.Expected("") {
		c.note(e.Destination, c.highest())
	}
	for {
		for _, destination := range c.unwatched(running) {
			running[destination] = true
			w := &watch{client: c, desk: desk, destination: destination, pending: map[string]*pendingLoss{}}
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
		}
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
	// pageBytes bounds a page of a restoration.
	pageBytes = MaxBody / 2
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
	pending map[string]*pendingLoss
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
		pause := time.NewTimer(command.Backoff(w.client.options.Base, w.client.options.Cap, w.failures, random))
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
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

// round asks once for changes and deals with the answer.
func (w *watch) round(ctx context.Context) error {
	base, err := w.client.options.Resolve(w.destination)
	if err != nil {
		return err
	}
	changes, err := w.poll(ctx, base)
	if err != nil {
		return err
	}
	if changes.Memory != w.memory {
		if changes.Blank {
			if err := w.restore(ctx, base, changes.Memory); err != nil {
				return err
			}
		}
		w.memory, w.since, w.auditAt, w.again = changes.Memory, 0, time.Time{}, afterAmnesia
		clear(w.pending)
	}
	for _, l := range changes.Lost {
		w.pending[l.Key] = &pendingLoss{loss: command.Loss{Key: l.Key, Token: l.Token, Reason: l.Reason}}
	}
	w.since = changes.Sequence
	if changes.Truncated {
		w.auditAt = time.Time{}
	}
	if w.auditDue() {
		if err := w.audit(ctx, base); err != nil {
			return err
		}
	}
	return w.report(ctx)
}

func (w *watch) poll(ctx context.Context, base string) (c Changes, err error) {
	hold := w.hold()
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
	hold := longestPoll
	if !w.auditAt.IsZero() {
		hold = min(hold, time.Until(w.auditAt))
	}
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

// restore teaches a blank server, in pages.
func (w *watch) restore(ctx context.Context, base, memory string) error {
	page := RestoreRequest{Memory: memory, Epoch: w.client.highest(), Items: []RestoreItem{}}
	size := 0
	send := func(more bool) error {
		var answer RestoreAnswer
		page.More = more
		if err := w.client.post(ctx, base, "/v1/restore", page, &answer); err != nil {
			return fmt.Errorf("restore %s: %w", base, err)
		}
		page.Items, size = page.Items[:0], 0
		return nil
	}
	for _, e := range w.expected() {
		item := RestoreItem{
			Key: e.Key, Token: e.Token, Intent: e.Intent, Request: e.Request, Result: validOrNothing(e.Result),
			Object: Object{Kind: e.Object.Kind, Namespace: e.Object.Namespace, Name: e.Object.Name},
		}
		item.Request = validOrNothing(e.Request)
		grow := len(item.Key) + len(item.Request) + len(item.Result) + 512
		if size > 0 && size+grow > pageBytes {
			if err := send(true); err != nil {
				return err
			}
		}
		page.Items = append(page.Items, item)
		size += grow
	}
	return send(false)
}

// auditDue reports whether it is time; the zero auditAt is due.
func (w *watch) auditDue() bool { return !time.Now().Before(w.auditAt) }

// scheduleAudit plans the next one.
func (w *watch) scheduleAudit() {
	pause := w.client.options.Audit
	switch {
	case len(w.again) > 0:
		pause, w.again = w.again[0], w.again[1:]
	case pause <= 0:
		pause = math.MaxInt64 // only after another change of memory
	default:
		pause = max(pause, time.Second)
	}
	w.auditAt = time.Now().Add(pause)
}

// audit compares what is expected, taken first, with the inventory. Something that was acknowledged and is not there is
// lost; what was replaced in between the desk sorts out by its token.
func (w *watch) audit(ctx context.Context, base string) error {
	expected := w.expected()
	after := ""
	for {
		var page Inventory
		if err := w.client.get(ctx, base, "/v1/inventory?after="+url.QueryEscape(after), &page); err != nil {
			return fmt.Errorf("compare with the inventory of %s: %w", base, err)
		}
		if page.Memory != w.memory {
			return errors.New("the subsystem lost its memory while its inventory was read")
		}
		for _, item := range page.Items {
			if e, ok := expected[item.Key]; ok && e.Token == item.Token && item.Lost == "" {
				delete(expected, item.Key)
			}
		}
		if page.Next == "" || page.Next <= after {
			break
		}
		after = page.Next
	}
	for key, e := range expected {
		if _, known := w.pending[key]; e.Request != nil && !known {
			w.pending[key] = &pendingLoss{loss: command.Loss{Key: key, Token: e.Token, Reason: "not in the subsystem's inventory"}}
		}
	}
	w.scheduleAudit()
	return nil
}

// report tells the desk of the pending losses that it can judge.
func (w *watch) report(ctx context.Context) error {
	if len(w.pending) == 0 {
		return nil
	}
	expected, now := w.expected(), time.Now()
	var losses []command.Loss
	for key, p := range w.pending {
		switch {
		case expected[key].Token == p.loss.Token:
			losses = append(losses, p.loss)
		case now.Before(p.next):
		case p.tries >= lossTries:
			delete(w.pending, key)
		default:
			p.tries++
			p.next = now.Add(min(50*time.Millisecond<<p.tries, 5*time.Second))
		}
	}
	if len(losses) == 0 {
		return nil
	}
	if err := w.desk.Lost(ctx, losses); err != nil {
		return fmt.Errorf("report %d losses: %w", len(losses), err)
	}
	for _, l := range losses {
		delete(w.pending, l.Key)
	}
	return nil
}
