package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
	"github.com/setpointhq/setpoint/store/storetest"
)

// The first commit is not made, and of the second one the acknowledgement is lost. What tells them apart is the error, and the database.
func ExampleFaulty() {
	if err := mishaps(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// commit 1: unavailable; the store is at revision 0
	// commit 2: unknown; the store is at revision 1
	// commit 3: made; the store is at revision 2
}

func mishaps() (err error) {
	folder, err := os.MkdirTemp("", "faulty")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	ctx := context.Background()
	db, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(folder, "plane.db")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	faulty := &storetest.Faulty{
		Store: db,
		Before: func(n uint64, _ store.Transaction) error {
			if n == 1 {
				return storetest.Failed()
			}
			return nil
		},
		After: func(n uint64, _ store.Transaction, r store.Receipt, err error) (store.Receipt, error) {
			if n == 2 {
				return store.Receipt{}, errors.Join(err, storetest.Lost())
			}
			return r, err
		},
	}
	for range 3 {
		end := "made"
		_, err := faulty.Commit(ctx, note("nobody.example"))
		switch {
		case errors.Is(err, store.ErrUnavailable):
			end = "unavailable"
		case errors.Is(err, store.ErrUnknown):
			end = "unknown"
		case err != nil:
			return err
		}
		fmt.Printf("commit %d: %s; the store is at revision %d\n", faulty.Commits(), end, db.Revision())
	}
	return nil
}

// note is a transaction that leaves a line in the history of an object that need not be there.
func note(name resource.Name) store.Transaction {
	return store.Transaction{
		Writer: store.Writer{Name: "api:ada"},
		Events: []store.Event{{Object: resource.Key{Kind: "Plain.test.example", Namespace: "ns", Name: name}, Kind: "Normal", Reason: "Noted"}},
	}
}
