package lease_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/setpointhq/setpoint/lease"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// A nightly import runs in every process of a fleet, and works in one. What it writes is fenced, so that one that wakes up late changes nothing.
func ExampleDo() {
	folder, err := os.MkdirTemp("", "lease")
	if err != nil {
		fmt.Println(err)
		return
	}
	st, err := sqlite.Open(context.Background(), sqlite.Options{Path: filepath.Join(folder, "setpoint.db")})
	if err != nil {
		fmt.Println(err)
		return
	}
	write := func(ctx context.Context, epoch resource.Epoch) error {
		_, err := st.Commit(ctx, store.Transaction{
			Writer: store.Writer{Name: "import"},
			Fences: []store.Fence{lease.Fence("import", epoch)},
		})
		return err
	}
	var former resource.Epoch
	for _, holder := range []string{"first", "second"} {
		err := lease.Do(context.Background(), st, "import", lease.Options{Holder: holder}, func(ctx context.Context, epoch resource.Epoch) error {
			if former != (resource.Epoch{}) {
				fmt.Println("the former one writes late:", errors.Is(write(ctx, former), store.ErrFenced))
			}
			former = epoch
			fmt.Println(holder, "holds it at epoch", epoch)
			return write(ctx, epoch)
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	if err := errors.Join(st.Close(), os.RemoveAll(folder)); err != nil {
		fmt.Println(err)
	}
	// Output:
	// first holds it at epoch 1.1
	// the former one writes late: true
	// second holds it at epoch 1.2
}

// A poller works for as long as its process has the lease, and asks again when it was lost.
func ExampleHold() {
	poll := func(ctx context.Context, st store.Store) error {
		held, err := lease.Hold(ctx, st, "poller", lease.Options{})
		if err != nil {
			return err
		}
		select {
		case <-held.Lost():
			err = held.Err()
		case <-ctx.Done(): // poll here, while held.Trusted, with held.Epoch
		}
		return errors.Join(err, held.Release(context.WithoutCancel(ctx)))
	}
	folder, err := os.MkdirTemp("", "lease")
	if err != nil {
		fmt.Println(err)
		return
	}
	st, err := sqlite.Open(context.Background(), sqlite.Options{Path: filepath.Join(folder, "setpoint.db")})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	fmt.Println(errors.Is(poll(ctx, st), context.Canceled))
	if err := errors.Join(st.Close(), os.RemoveAll(folder)); err != nil {
		fmt.Println(err)
	}
	// Output: true
}
