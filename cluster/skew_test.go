package cluster_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// offClock is a database as a node sees it whose clock is wrong.
type offClock struct {
	store.Sharded
	by atomic.Int64
}

func (o *offClock) Beat(ctx context.Context, b store.Beat) (store.Standing, error) {
	b.Clock = b.Clock.Add(time.Duration(o.by.Load()))
	return o.Sharded.Beat(ctx, b)
}

// nothing is work that never has anything under way.
type nothing struct{}

func (nothing) Gained([]store.Assignment, resource.Revision) {}
func (nothing) Release(context.Context, []int) error         { return nil }
func (nothing) Lost([]int)                                   {}

// TestAMemberKnowsHowWrongItsClockIs: from the next beat on, and a little is nothing.
func TestAMemberKnowsHowWrongItsClockIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "setpoint.db")})
		if err != nil {
			t.Fatal(err)
		}
		off := &offClock{Sharded: st}
		m, err := cluster.New(cluster.Options{Store: off, Node: "n"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx, nothing{}) }()
		for _, c := range []struct{ by, want time.Duration }{
			{0, 0}, {200 * time.Millisecond, 0}, {3 * time.Hour, 3 * time.Hour}, {3*time.Hour + 300*time.Millisecond, 3 * time.Hour}, {-time.Hour, -time.Hour}, {-10 * time.Millisecond, 0},
		} {
			off.by.Store(int64(c.by))
			time.Sleep(interval + time.Second)
			if got := m.Skew(); got.Round(time.Millisecond) != c.want {
				t.Errorf("a clock that is %s ahead is said to be %s ahead, want %s", c.by, got, c.want)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
}
