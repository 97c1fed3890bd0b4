package subsystem

import (
	"log/slog"
	"time"
)

// Options configures a server. Dir and Handler must be set; every other zero value takes the default named beside it.
type Options struct {
	// Dir is the folder of the journal and the ledger. It is made when missing. One server at a time may use it.
	Dir     string
	Handler Handler
	// Scope names the scope of epochs that an object belongs to. Epochs of different scopes are not compared. By default it is the one that the call names: a plane
	// that divides its work among nodes names one for each shard. With it, a restoration teaches intents only: the epochs of a scope are known again from its first call on.
	Scope func(Object) string
	// MaxTombstones bounds how many fences of deleted keys are kept. Default 100,000.
	MaxTombstones int
	// MaxLosses bounds how many announced losses are kept. Default 10,000.
	MaxLosses int
	// MaxQueue bounds how many calls of one key wait for each other. Default 32.
	MaxQueue int
	// MaxCalls bounds how many calls are under way. Default 512.
	MaxCalls int
	// Hold is how long a question for changes is held open. Default 25 s.
	Hold time.Duration
	// Now is the clock of the ledger's lines. Default time.Now.
	Now func() time.Time
	// Log receives what an operator should know. Default slog.Default().
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *int
		value int
	}{{&o.MaxTombstones, 100_000}, {&o.MaxLosses, 10_000}, {&o.MaxQueue, 32}, {&o.MaxCalls, 512}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.Hold <= 0 {
		o.Hold = 25 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}
