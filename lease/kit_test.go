package lease_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ttl = 10 * time.Second

// disturbed is a store whose leases can be made to go wrong.
type disturbed struct {
	*sqlite.Store

	mu    sync.Mutex
	fault func(ctx context.Context) error // before a lease is asked for; an error is the answer
	after func(store.Lease) (store.Lease, error)
	asked int
}

func (d *disturbed) failWith(f func(context.Context) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = f
}

func (d *disturbed) answerWith(f func(store.Lease) (store.Lease, error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.after = f
}

func (d *disturbed) attempts() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

func (d *disturbed) Acquire(ctx context.Context, scope store.Scope, holder string, ttl time.Duration) (store.Lease, error) {
	d.mu.Lock()
	d.asked++
	fault, after := d.fault, d.after
	d.mu.Unlock()
	if fault != nil {
		if err := fault(ctx); err != nil {
			return store.Lease{}, err
		}
	}
	lease, err := d.Store.Acquire(ctx, scope, holder, ttl)
	if err == nil && after != nil {
		return after(lease)
	}
	return lease, err
}

// onStore runs f in virtual time, with a database.
func onStore(t *testing.T, f func(t *testing.T, st *disturbed)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "setpoint.db")
	synctest.Test(t, func(t *testing.T) {
		st, err := sqlite.Open(context.Background(), sqlite.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		f(t, &disturbed{Store: st})
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
}

// advance lets time pass.
func advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// closed reports whether a channel is.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
