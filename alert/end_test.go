package alert_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/alert"
)

func TestTheEnd(t *testing.T) {
	slow := func(_ int, q *http.Request) (*http.Response, error) {
		select {
		case <-time.After(3 * time.Second):
			return status(http.StatusOK), nil
		case <-q.Context().Done():
			return nil, q.Context().Err()
		}
	}
	back := func(n int, _ *http.Request) (*http.Response, error) {
		if n < 8 {
			return down(n, nil)
		}
		return status(http.StatusOK), nil
	}
	hangs := func(_ int, q *http.Request) (*http.Response, error) {
		<-q.Context().Done()
		return nil, q.Context().Err()
	}
	for _, c := range []struct {
		reason string
		answer func(int, *http.Request) (*http.Response, error)
		before time.Duration
		groups int
		want   error
		took   time.Duration // 0: any
	}{
		{"nothing is pending", nil, time.Second, 0, nil, 0},
		{"what is pending goes out", nil, 0, 20, nil, 0},
		{"an attempt under way is not cut off", slow, time.Second, 1, nil, 2 * time.Second},
		{"what is not done in the grace period is counted", slow, time.Second, 9, alert.ErrUnsent, 5 * time.Second},
		{"a long backoff does not use up the grace period", back, 40 * time.Second, 1, nil, 0},
		{"a receiver that is away does not hold up the end", down, time.Minute, 1, alert.ErrUnsent, 5 * time.Second},
		{"a receiver that hangs does not either", hangs, time.Second, 1, alert.ErrUnsent, 5 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &receiver{answer: c.answer}
			s := webhook(t, r, nil)
			end := run(s)
			for i := range c.groups {
				put(t, s, change(alert.Raised, alert.Cause(fmt.Sprintf("Cause%d", i)), 1, alert.Warning))
			}
			time.Sleep(c.before)
			from := time.Now()
			if err := end(); !errors.Is(err, c.want) {
				t.Errorf("%s: Run says %v, want %v", c.reason, err, c.want)
			}
			if took := time.Since(from); c.took != 0 && took != c.took {
				t.Errorf("%s: the end took %v, want %v", c.reason, took, c.took)
			}
			if err := s.Put(change(alert.Raised, "Late", 1, alert.Warning)); !errors.Is(err, alert.ErrStopped) {
				t.Errorf("%s: Put after the end says %v", c.reason, err)
			}
			if err := s.Run(t.Context()); !errors.Is(err, alert.ErrRunning) {
				t.Errorf("%s: a second Run says %v", c.reason, err)
			}
		})
	}
}

// TestAnAttemptUnderWayAtTheEndIsRepeatedSoon: however long the backoff has become.
func TestAnAttemptUnderWayAtTheEndIsRepeatedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sixth := make(chan struct{})
		r := &receiver{}
		r.answer = func(n int, q *http.Request) (*http.Response, error) {
			switch {
			case n < 6:
				return down(n, q)
			case n == 6:
				close(sixth)
				time.Sleep(time.Second)
				return down(n, q)
			}
			return status(http.StatusOK), nil
		}
		s := webhook(t, r, nil)
		end := run(s)
		put(t, s, change(alert.Raised, "NoAddress", 1, alert.Warning))
		<-sixth
		wantEnd(t, end, nil)
		if n := len(r.requests()); n != 7 || r.closed != 1 {
			t.Errorf("%d attempts; connections closed %d times", n, r.closed)
		}
	})
}

// TestTheGracePeriodIsForWhatIsPending: a firing group that the receiver knows is the next node's to repeat.
func TestTheGracePeriodIsForWhatIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		s := alertmanager(t, r)
		end := run(s)
		put(t, s, change(alert.Raised, "NoAddress", 1, alert.Warning))
		time.Sleep(58 * time.Second)
		r.set(down)
		put(t, s, change(alert.Raised, "NoRoute", 1, alert.Warning))
		wantEnd(t, end, alert.ErrUnsent)
		for _, q := range r.requests() {
			if n := len(decode[[]posted](t, q.body)); n != 1 {
				t.Errorf("%d alerts, want the pending one: %s", n, q.body)
			}
		}
	})
}
