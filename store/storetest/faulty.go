package storetest

import (
	"context"
	"sync/atomic"

	"github.com/setpointhq/setpoint/store"
)

// Faulty is a store whose commits go wrong where a test wants it. Everything but Commit goes through.
type Faulty struct {
	store.Store
	// Before runs before the n'th commit (from 1); an error is returned instead, and nothing is written.
	Before func(n uint64, tx store.Transaction) error
	// After runs after the n'th commit with its result, which it may replace: a nil error by one that says the acknowledgement was lost,
	// for example.
	After func(n uint64, tx store.Transaction, r store.Receipt, err error) (store.Receipt, error)

	commits atomic.Uint64
}

// Commit commits, unless Before does not want it.
func (f *Faulty) Commit(ctx context.Context, tx store.Transaction) (store.Receipt, error) {
	n := f.commits.Add(1)
	if f.Before != nil {
		if err := f.Before(n, tx); err != nil {
			return store.Receipt{}, err
		}
	}
	r, err := f.Store.Commit(ctx, tx)
	if f.After != nil {
		return f.After(n, tx, r, err)
	}
	return r, err
}

// Commits is how many were begun.
func (f *Faulty) Commits() uint64 { return f.commits.Load() }

// Lost is an error for a commit whose acknowledgement did not arrive.
func Lost() error {
	return &store.CommitError{Err: store.ErrUnknown, Detail: "the acknowledgement was lost (injected)"}
}

// Failed is an error for a commit that was not made.
func Failed() error {
	return &store.CommitError{Err: store.ErrUnavailable, Detail: "the database is away (injected)"}
}
