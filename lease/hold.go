package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// ErrReleased is the cause of [Held.Problem] after a release.
var ErrReleased = errors.New("lease was given up")

// Held is a lease that this process has, from [Hold] until Release. Its methods may be called concurrently.
type Held struct {
	keeper *Keeper
	name   string
	epoch  resource.Epoch

	stop  context.CancelFunc // ends the renewal
	ended chan struct{}      // closed when it has ended
	lost  chan struct{}

	mu  sync.Mutex
	err error // why it was lost
}

// Hold waits until this process has the lease of a name, and keeps it renewed until [Held.Release], which every Held needs, or until it is lost. Names are for all programs on one database: an
// author's lease "import" is the store's "author/import".
//
// It fails when ctx ends, which bounds the waiting only, and with what no waiting can mend: store.ErrInvalid, store.ErrClosed, a lack of permission.
func Hold(ctx context.Context, st Leases, name string, o Options) (*Held, error) {
	if name == "" {
		return nil, fmt.Errorf("hold lease: %w: a name is required", store.ErrInvalid)
	}
	k, err := NewKeeper(st, Scope(name), o)
	if err != nil {
		return nil, fmt.Errorf("hold lease %s: %w", name, err)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("hold lease %s: %w", name, context.Cause(ctx))
	}
	epoch, err := k.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("hold lease %s: %w", name, err)
	}
	h := &Held{keeper: k, name: name, epoch: epoch, ended: make(chan struct{}), lost: make(chan struct{})}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.stop = stop
	go h.keep(background)
	return h, nil
}

// Epoch is the fencing token, to be passed on to whatever must be protected. It never changes.
func (h *Held) Epoch() resource.Epoch { return h.epoch }

// Fence is [Fence] for this lease.
func (h *Held) Fence() store.Fence { return Fence(h.name, h.epoch) }

// Trusted reports whether nobody else can have the lease yet, and what is closed when that may have changed; it is not closed by time passing.
func (h *Held) Trusted() (now bool, changed <-chan struct{}) { return h.keeper.trust.Trusted() }

// Lost is closed when another has the lease or had it, or when the store was closed: there is nothing left to renew. [Held.Err] says why. An outage of the database is no loss.
func (h *Held) Lost() <-chan struct{} { return h.lost }

// Err is nil until the lease is lost; then it is store.ErrFenced with what is known of the other, or store.ErrClosed.
func (h *Held) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// Problem describes what is wrong with the lease, nil when nothing is: the renewal fails, it is lost, it was given up.
func (h *Held) Problem() error { return h.keeper.trust.Problem() }

// Release ends the renewal and gives the lease up: others may take it at once. It is no error when it is lost already. When it fails, with store.ErrUnavailable for example, the lease
// runs out by itself, and Release may be called again.
func (h *Held) Release(ctx context.Context) error {
	h.stop()
	<-h.ended
	h.keeper.trust.Void(ErrReleased)
	if err := h.keeper.Release(ctx); err != nil && !errors.Is(err, store.ErrClosed) {
		return fmt.Errorf("give up lease %s; it runs out in %s at the latest: %w", h.name, h.keeper.o.TTL, err)
	}
	return nil
}

// keep renews the lease until ctx ends or the lease is lost.
func (h *Held) keep(ctx context.Context) {
	defer close(h.ended)
	why := h.keeper.Keep(ctx)
	if why == nil {
		return
	}
	why = fmt.Errorf("lease %s is lost; stop what it protects, and hold it again: %w", h.name, why)
	h.mu.Lock()
	h.err = why
	h.mu.Unlock()
	h.keeper.trust.Void(why)
	h.keeper.o.Logger.Error("the lease is lost", "lease", string(h.keeper.scope), "holder", h.keeper.o.Holder, "epoch", h.epoch.String(), "error", why)
	close(h.lost)
}
