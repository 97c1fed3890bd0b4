package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/internal/wait"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// ErrReleased is the cause of [Held.Problem] after a release.
var ErrReleased = errors.New("lease was given up")

// Held is a lease that this process has, from [Hold] until Release. Its methods may be called concurrently.
type Held struct {
	store  Leases
	name   string
	scope  store.Scope
	o      Options
	random *rand.Rand // of the goroutine that asks
	said   error      // the reason that the log knows; likewise
	mine   resource.Epoch
	trust  *Trust

	stop  context.CancelFunc // ends the renewal
	ended chan struct{}      // closed when it has ended
	lost  chan struct{}

	mu   sync.Mutex
	last store.Lease // as it was given last: also one that came back at another epoch
	err  error       // why it was lost
}

// Hold waits until this process has the lease of a name, and keeps it renewed until [Held.Release], which every Held needs, or until it is lost. Names are for all programs on one database: an
// author's lease "import" is the store's "author/import".
//
// It fails when ctx ends, which bounds the waiting only, and with what no waiting can mend: store.ErrInvalid, store.ErrClosed, a lack of permission.
func Hold(ctx context.Context, st Leases, name string, o Options) (*Held, error) {
	o, err := o.withDefaults(name)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("hold lease %s: %w", name, context.Cause(ctx))
	}
	h := &Held{
		store: st, name: name, scope: Scope(name), o: o, random: rand.New(rand.NewPCG(o.Seed, 0x1ea5e)),
		trust: NewTrust("lease "+string(Scope(name)), o.TTL), ended: make(chan struct{}), lost: make(chan struct{}),
		said: ErrReleased, // as before it was held
	}
	sent, err := h.acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("hold lease %s: %w", name, err)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.stop = stop
	go h.keep(background, sent)
	return h, nil
}

// Epoch is the fencing token, to be passed on to whatever must be protected. It never changes.
func (h *Held) Epoch() resource.Epoch { return h.mine }

// Fence is [Fence] for this lease.
func (h *Held) Fence() store.Fence { return Fence(h.name, h.mine) }

// Trusted reports whether nobody else can have the lease yet, and what is closed when that may have changed; it is not closed by time passing.
func (h *Held) Trusted() (now bool, changed <-chan struct{}) { return h.trust.Trusted() }

// Lost is closed when another has the lease or had it, or when the store was closed: there is nothing left to renew. [Held.Err] says why. An outage of the database is no loss.
func (h *Held) Lost() <-chan struct{} { return h.lost }

// Err is nil until the lease is lost; then it is store.ErrFenced with what is known of the other, or store.ErrClosed.
func (h *Held) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// Problem describes what is wrong with the lease, nil when nothing is: the renewal fails, it is lost, it was given up.
func (h *Held) Problem() error { return h.trust.Problem() }

// Release ends the renewal and gives the lease up: others may take it at once. It is no error when it is lost already. When it fails, with store.ErrUnavailable for example, the lease
// runs out by itself, and Release may be called again.
func (h *Held) Release(ctx context.Context) error {
	h.stop()
	<-h.ended
	h.trust.Void(ErrReleased)
	h.mu.Lock()
	last := h.last
	h.mu.Unlock()
	if err := h.store.Release(ctx, last); err != nil && !errors.Is(err, store.ErrClosed) {
		return fmt.Errorf("give up lease %s; it runs out in %s at the latest: %w", h.name, h.o.TTL, err)
	}
	return nil
}

// acquire waits until the lease is there, and returns when it was asked for.
func (h *Held) acquire(ctx context.Context) (sent time.Time, err error) {
	for failures := 1; ; failures++ {
		sent = time.Now()
		lease, err := h.ask(ctx)
		switch {
		case err == nil:
			h.mine = lease.Epoch
			h.trust.Note(sent)
			return sent, nil
		case ctx.Err() != nil:
			return sent, errors.Join(context.Cause(ctx), err)
		case !errors.Is(err, store.ErrHeld) && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknown):
			return sent, err
		case !wait.For(ctx, Backoff(h.o.TTL, failures, h.random)):
			return sent, errors.Join(context.Cause(ctx), err)
		}
	}
}

// keep renews the lease until ctx ends or the lease is lost.
func (h *Held) keep(ctx context.Context, sent time.Time) {
	defer close(h.ended)
	rest := time.Until(sent.Add(Interval(h.o.TTL)))
	for failures := 0; wait.For(ctx, rest); {
		sent = time.Now()
		lease, err := h.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, store.ErrClosed):
			h.lose(err)
			return
		case errors.Is(err, store.ErrHeld):
			h.lose(fmt.Errorf("%w: %w", store.ErrFenced, err))
			return
		case err == nil && lease.Epoch != h.mine:
			h.lose(fmt.Errorf("%w: it was acquired at epoch %s, and when it was renewed it was at %s: somebody had it in between", store.ErrFenced, h.mine, lease.Epoch))
			return
		case err == nil:
			h.trust.Note(sent)
			failures, rest = 0, time.Until(sent.Add(Interval(h.o.TTL)))
		default:
			failures++
			rest = Backoff(h.o.TTL, failures, h.random)
		}
	}
}

func (h *Held) lose(why error) {
	why = fmt.Errorf("lease %s is lost; stop what it protects, and hold it again: %w", h.name, why)
	h.mu.Lock()
	h.err = why
	h.mu.Unlock()
	h.trust.Void(why)
	h.o.Logger.Error("the lease is lost", "lease", string(h.scope), "holder", h.o.Holder, "epoch", h.mine.String(), "error", why)
	close(h.lost)
}

// ask makes one attempt to take or to renew the lease, no longer than an interval.
func (h *Held) ask(ctx context.Context) (store.Lease, error) {
	lease, err := Bounded(ctx, Interval(h.o.TTL), func(ctx context.Context) (store.Lease, error) {
		return h.store.Acquire(ctx, h.scope, h.o.Holder, h.o.TTL)
	})
	if ctx.Err() == nil {
		h.say(err)
	}
	if err != nil {
		h.trust.Fail(err)
		return lease, err
	}
	h.mu.Lock()
	h.last = lease
	h.mu.Unlock()
	return lease, nil
}

// Bounded calls f for at most a time. When that has passed, and not ctx ended, the error is store.ErrUnavailable, too: who asked must ask again, whatever became of it.
func Bounded[T any](ctx context.Context, limit time.Duration, f func(context.Context) (T, error)) (T, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	v, err := f(limited)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = fmt.Errorf("%w: no answer within %s: %w", store.ErrUnavailable, limit, err)
	}
	return v, err
}

// say tells the log what has changed: not every attempt.
func (h *Held) say(err error) {
	was, is := h.said, reason(err)
	h.said = is
	log := h.o.Logger.With(slog.String("lease", string(h.scope)), slog.String("holder", h.o.Holder))
	switch {
	case was == is:
	case is == nil:
		log.Info("the lease is held")
	case is == store.ErrHeld:
		log.Info("the lease is held by another; it is waited for", "error", err)
	default:
		log.Error("the lease cannot be acquired or renewed; it is tried again", "error", err)
	}
}

// reason is what kind of trouble an error is: nil, store.ErrHeld, or any other.
func reason(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrHeld):
		return store.ErrHeld
	}
	return store.ErrUnavailable
}
