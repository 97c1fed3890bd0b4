package lease

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Leases is the part of a [store.Store] that this package needs.
type Leases interface {
	Acquire(ctx context.Context, scope store.Scope, holder string, ttl time.Duration) (store.Lease, error)
	Release(ctx context.Context, lease store.Lease) error
}

// Options configure [Hold], [Do] and a [Keeper]. The zero value is ready for use.
type Options struct {
	// Holder names who holds, to people and to the store, which takes equal ones for the same: it must differ from that of every other holder there is or ever was. The default
	// is the name of the process and a random text.
	Holder string
	// TTL is how long a holder that died keeps others waiting. The default is [DefaultTTL], the least [LeastTTL].
	TTL time.Duration
	// Logger hears what changes: held, held by another, not to be renewed, lost. Default: nothing is said.
	Logger *slog.Logger
	// Seed starts the generator of jitter: a seam for simulation. The default is a random one.
	Seed uint64
}

func (o Options) withDefaults(scope store.Scope) (Options, error) {
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.TTL < LeastTTL {
		return o, fmt.Errorf("%w: the time to live of lease %s is %s; the least is %s", store.ErrInvalid, scope, o.TTL, LeastTTL)
	}
	if o.Holder == "" {
		o.Holder = store.ProcessName() + "/" + rand.Text()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Seed == 0 {
		o.Seed = mathrand.Uint64()
	}
	return o, nil
}

// Scope is that of an author's lease in the store: "author/" and its name.
func Scope(name string) store.Scope { return store.Scope("author/" + name) }

// Fence is the condition of a transaction that the lease of a name is at an epoch still: with it, nothing of a former holder is written after another has the lease.
func Fence(name string, epoch resource.Epoch) store.Fence {
	return store.Fence{Scope: Scope(name), Epoch: epoch}
}
