package alert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

var (
	// ErrOptions: a sender cannot be made with these options. Correct the one that the message names.
	ErrOptions = errors.New("options do not fit")
	// ErrRunning: the sender has been run already. Make one for every run.
	ErrRunning = errors.New("a sender runs once")
	// ErrUnsent: the sender ended with alerts that the receiver has not acknowledged. Nothing need be done when another node goes on: it tells what is still so.
	ErrUnsent = errors.New("not everything was delivered")
)

// Delivery is how a sender treats its receiver. Every zero value stands for the default that is named.
type Delivery struct {
	// Name is used in logs and errors: the host of the URL when empty.
	Name string
	// Header is added to every request, for credentials.
	Header http.Header
	// Timeout bounds one attempt: 10 s.
	Timeout time.Duration
	// Base and Cap bound the wait after a failure, which doubles and is jittered: 1 s and 1 min. A receiver's Retry-After may lengthen it, to Cap at most.
	Base, Cap time.Duration
	// Grace is for how long Run still tries to deliver what is pending once its context has ended: 5 s.
	Grace time.Duration
	// Capacity is how many groups are kept for the receiver: 4,096.
	Capacity int
	// Transport carries the requests, for a certificate authority or a test. The default knows the system's authorities and the proxy of the environment.
	Transport http.RoundTripper
	// Random jitters the waits; it is used by Run only.
	Random *rand.Rand
	Logger *slog.Logger
}

// prepare fills in what was left out, and reports what is wrong.
func (d *Delivery) prepare(target *url.URL) error {
	d.Name = cmp.Or(d.Name, target.Host)
	if min(d.Timeout, d.Base, d.Cap, d.Grace) < 0 || d.Capacity < 0 {
		return fmt.Errorf("receiver %s: %w: no time and no capacity may be negative", d.Name, ErrOptions)
	}
	d.Timeout = cmp.Or(d.Timeout, 10*time.Second)
	d.Base = cmp.Or(d.Base, time.Second)
	d.Cap = max(cmp.Or(d.Cap, time.Minute), d.Base)
	d.Grace = cmp.Or(d.Grace, 5*time.Second)
	d.Capacity = cmp.Or(d.Capacity, 4096)
	if d.Transport == nil {
		d.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxConnsPerHost: 1, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: answerRead,
		}
	}
	if d.Random == nil {
		d.Random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// dialect is what one kind of receiver understands.
type dialect struct {
	// batch is how many groups fit into one request.
	batch  int
	encode func([]letter) ([]byte, error)
	sign   func(http.Header, []byte)
}

// Stats counts what a sender has done since it was made.
type Stats struct {
	// Pending is how many groups are in a state that is not acknowledged yet.
	Pending int
	// Delivered and Refused count states of groups, Failed counts attempts that are repeated.
	Delivered, Refused, Failed uint64
}

// Sender tells one receiver what becomes of the groups. [NewAlertmanager] and [NewWebhook] make one. Put may be called by many goroutines.
type Sender struct {
	target  string
	options Delivery
	dialect dialect
	box     *outbox
	client  *http.Client

	ran                        atomic.Bool
	delivered, refused, failed atomic.Uint64
}

func newSender(target *url.URL, d Delivery, speak dialect, box *outbox) *Sender {
	return &Sender{
		target: target.String(), options: d, dialect: speak, box: box,
		client: &http.Client{
			Transport: d.Transport,
			// A redirect would turn the request into another one, and carry credentials elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// parseTarget checks the URL of a receiver. Its error does not show the URL, which may be a secret.
func parseTarget(text string) (*url.URL, error) {
	target, err := url.Parse(text)
	if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Host == "" {
		return nil, fmt.Errorf("receiver: %w: URL must be http(s)://host/path", ErrOptions)
	}
	return target, nil
}

// Name is the receiver's, for logs.
func (s *Sender) Name() string { return s.options.Name }

// Put takes a change to be delivered, in the place of what is pending of the same group. It never waits. Errors: [ErrFull], [ErrStopped].
func (s *Sender) Put(c Change) error {
	if err := s.box.put(c); err != nil {
		return fmt.Errorf("alert %q for %s: %w", c.Group.Summary(), s.options.Name, err)
	}
	return nil
}

// Stats may be called at any time.
func (s *Sender) Stats() Stats {
	return Stats{Pending: s.box.pending(), Delivered: s.delivered.Load(), Refused: s.refused.Load(), Failed: s.failed.Load()}
}

// Run delivers until ctx ends, and then for the grace period what is still pending. It returns nil, or what has gone wrong: [ErrUnsent], [ErrRunning]. A firing group
// stays firing at the receiver when Run ends, because another node goes on.
func (s *Sender) Run(ctx context.Context) error {
	return s.run(ctx, func() bool { return false })
}

// run is Run that asks, before each attempt, whether somebody else tells: who says so has taken away what was to be delivered.
func (s *Sender) run(ctx context.Context, silent func() bool) error {
	if s.ran.Swap(true) {
		return fmt.Errorf("sender to %s: %w", s.options.Name, ErrRunning)
	}
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.loop(ctx, hard, silent)
	}()
	<-ctx.Done()
	s.box.stop()
	grace := time.NewTimer(s.options.Grace)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
		cancel()
		<-done
	}
	s.client.CloseIdleConnections()
	if left := s.box.pending(); left > 0 {
		return fmt.Errorf("sender to %s: %w: %d groups", s.options.Name, ErrUnsent, left)
	}
	return nil
}

// loop sends what there is. Once ctx has ended it returns when nothing is pending, and when hard ends in any case.
func (s *Sender) loop(ctx, hard context.Context, silent func() bool) {
	failures, ending := 0, ctx.Done()
	for hard.Err() == nil {
		if ctx.Err() != nil {
			s.box.stop()
		}
		batch, next := s.box.take(time.Now(), s.dialect.batch)
		if len(batch) > 0 && silent() {
			batch, failures, next = nil, 0, time.Time{}
		}
		if len(batch) == 0 {
			if ctx.Err() != nil {
				return
			}
			s.idle(ctx, next)
			continue
		}
		after, err := s.send(hard, batch)
		if err == nil {
			failures = 0
			continue
		}
		failures++
		if ending != nil && ctx.Err() != nil {
			failures, ending = 1, nil // in the grace period waits begin at the shortest again
		}
		wait := max(backoff(s.options.Base, s.options.Cap, failures, s.options.Random), min(after, s.options.Cap))
		s.options.Logger.Warn("alerts not delivered; trying again", "receiver", s.options.Name, "failures", failures, "wait", wait, "cause", err)
		if rest(ending, hard, wait) {
			failures, ending = 0, nil // and there is one more attempt at once
		}
	}
}

// send makes one attempt to deliver a batch. An error means that it has to be repeated.
func (s *Sender) send(hard context.Context, batch []letter) (after time.Duration, err error) {
	body, err := s.dialect.encode(batch)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrRefused, err)
	} else {
		after, err = s.post(hard, body)
	}
	switch {
	case err == nil:
		s.delivered.Add(uint64(len(batch)))
		s.box.delivered(batch, time.Now())
	case errors.Is(err, ErrRefused):
		s.refused.Add(uint64(len(batch)))
		s.box.refused(batch, time.Now())
		s.options.Logger.Error("alerts refused", "receiver", s.options.Name, "groups", len(batch), "first", batch[0].change.Group.Summary(), "cause", err)
		return 0, nil
	default:
		s.failed.Add(1)
	}
	return after, err
}

// idle waits until there may be something to send.
func (s *Sender) idle(ctx context.Context, next time.Time) {
	var due <-chan time.Time
	if !next.IsZero() {
		timer := time.NewTimer(time.Until(next))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-s.box.wake:
	case <-due:
	case <-ctx.Done():
	}
}

// rest waits after a failure. It returns early when hard ends, and also, with true, when ending is closed.
func rest(ending <-chan struct{}, hard context.Context, wait time.Duration) (ended bool) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-hard.Done():
		return false
	case <-ending:
		return true
	}
}
