package alert_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/alert"
)

// webhook makes a webhook's sender on a receiver without a network.
func webhook(t *testing.T, r *receiver, adjust func(*alert.WebhookOptions)) *alert.Sender {
	t.Helper()
	o := alert.WebhookOptions{URL: "http://chat.example/hook/s3cret", Plane: "edge", Delivery: alert.Delivery{Transport: r}}
	if adjust != nil {
		adjust(&o)
	}
	s, err := alert.NewWebhook(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs a sender; end stops it and returns what Run says.
func run(s interface{ Run(context.Context) error }) (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return func() error { cancel(); return <-ended }
}

func put(t *testing.T, s *alert.Sender, changes ...alert.Change) {
	t.Helper()
	for _, c := range changes {
		if err := s.Put(c); err != nil {
			t.Fatal(err)
		}
	}
}

func wantEvents(t *testing.T, r *receiver, want ...string) {
	t.Helper()
	if got := events(t, r.requests()); !slices.Equal(got, want) {
		t.Errorf("the receiver got %q, want %q", got, want)
	}
}

func wantEnd(t *testing.T, end func() error, want error) {
	t.Helper()
	if err := end(); !errors.Is(err, want) {
		t.Errorf("Run says %v, want %v", err, want)
	}
}

func TestAReceiverThatWasAwayForAnHourGetsTheLatestStateOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: down}
		s := webhook(t, r, nil)
		end := run(s)
		for minute := range 60 {
			put(t, s, change(alert.Changed, "NoAddress", minute+1, alert.Warning), change(alert.Raised, "NoRoute", 5, alert.Warning))
			time.Sleep(30 * time.Second) // virtual
			put(t, s, change(alert.Cleared, "NoRoute", 0, alert.Warning))
			time.Sleep(30 * time.Second)
		}
		tries := r.requests()
		if len(tries) < 60 || len(tries) > 150 {
			t.Errorf("%d attempts in an hour, want about one per 30 to 60 s", len(tries))
		}
		if got := s.Stats(); got.Pending != 1 || got.Delivered != 0 || int(got.Failed) != len(tries) {
			t.Errorf("stats %+v after %d attempts", got, len(tries))
		}
		r.set(nil)
		time.Sleep(2 * time.Minute)
		wantEvents(t, r, "raised NoAddress 60")
		put(t, s, change(alert.Cleared, "NoAddress", 0, alert.Warning))
		synctest.Wait()
		wantEvents(t, r, "raised NoAddress 60", "cleared NoAddress 0")
		wantEnd(t, end, nil)
	})
}

func TestAReceiverThatFlapsGetsEveryLatestState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(n int, _ *http.Request) (*http.Response, error) {
			if n%3 != 0 {
				return down(n, nil)
			}
			return status(http.StatusOK), nil
		}}
		s := webhook(t, r, nil)
		end := run(s)
		for i := range 30 {
			put(t, s, change(alert.Changed, "NoAddress", i+1, alert.Warning))
			time.Sleep(time.Minute)
		}
		if got := s.Stats(); got.Delivered != 30 || got.Failed != 60 || got.Pending != 0 {
			t.Errorf("stats %+v", got)
		}
		for i, n := range notices(t, r.requests()) {
			if n.Count != i/3+1 {
				t.Errorf("attempt %d tells a count of %d", i, n.Count)
			}
		}
		wantEnd(t, end, nil)
	})
}

func TestARefusedGroupIsToldOfWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: always(403)}
		var log strings.Builder
		s := webhook(t, r, func(o *alert.WebhookOptions) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		end := run(s)
		put(t, s, change(alert.Raised, "NoAddress", 3, alert.Warning), change(alert.Raised, "NoRoute", 1, alert.Warning))
		synctest.Wait()
		r.set(nil)
		put(t, s, change(alert.Changed, "NoAddress", 6, alert.Warning), change(alert.Cleared, "NoRoute", 0, alert.Warning))
		time.Sleep(time.Hour)
		wantEvents(t, r, "raised NoAddress 6") // it never heard that NoRoute was raised
		wantEnd(t, end, nil)
		if said := log.String(); !strings.Contains(said, "status 403") || !strings.Contains(said, "chat.example") || strings.Contains(said, "s3cret") {
			t.Errorf("the log must name the receiver and its answer, and not the secret in its path: %s", said)
		}
	})
}

// TestAGroupKeepsItsPlaceInTheQueue: one that changes all the time is not put off for ever.
func TestAGroupKeepsItsPlaceInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		s := webhook(t, r, nil)
		put(t, s, change(alert.Raised, "NoAddress", 1, alert.Warning), change(alert.Raised, "NoRoute", 1, alert.Warning), change(alert.Changed, "NoAddress", 2, alert.Warning))
		end := run(s)
		synctest.Wait()
		wantEvents(t, r, "raised NoAddress 2", "raised NoRoute 1")
		wantEnd(t, end, nil)
	})
}

func TestASenderIsBoundedAndNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: down}
		s := webhook(t, r, func(o *alert.WebhookOptions) { o.Capacity = 3 })
		for i := range 3 { // nobody runs it
			put(t, s, change(alert.Raised, alert.Cause(fmt.Sprintf("Cause%d", i)), 1, alert.Warning))
		}
		if err := s.Put(change(alert.Raised, "Cause3", 1, alert.Warning)); !errors.Is(err, alert.ErrFull) || !strings.Contains(err.Error(), "chat.example") {
			t.Errorf("the fourth group: %v", err)
		}
		put(t, s, change(alert.Changed, "Cause2", 2, alert.Warning), // a newer state of one that is there
			change(alert.Cleared, "Cause3", 0, alert.Warning), // one that is not
			change(alert.Cleared, "Cause0", 0, alert.Warning), // came and went unheard, and makes room
			change(alert.Raised, "Cause4", 1, alert.Warning))
		r.set(nil)
		end := run(s)
		synctest.Wait()
		wantEvents(t, r, "raised Cause1 1", "raised Cause2 2", "raised Cause4 1")
		wantEnd(t, end, nil)
	})
}

// TestAClearIsToldWhenTheReceiverMayHaveHeard: a request without an answer may have been taken.
func TestAClearIsToldWhenTheReceiverMayHaveHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: first(down)}
		s := webhook(t, r, nil)
		end := run(s)
		put(t, s, change(alert.Raised, "NoAddress", 3, alert.Warning))
		synctest.Wait()
		put(t, s, change(alert.Cleared, "NoAddress", 0, alert.Warning), change(alert.Cleared, "NoAddress", 0, alert.Warning))
		time.Sleep(time.Minute)
		wantEvents(t, r, "raised NoAddress 3", "cleared NoAddress 0")
		put(t, s, change(alert.Raised, "NoAddress", 1, alert.Warning))
		synctest.Wait()
		wantEvents(t, r, "raised NoAddress 3", "cleared NoAddress 0", "raised NoAddress 1")
		wantEnd(t, end, nil)
	})
}

// TestARefusalDoesNotTakeBackWhatMayHaveBeenHeard: the attempt before it may have been taken, so the clear is told.
func TestARefusalDoesNotTakeBackWhatMayHaveBeenHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(n int, q *http.Request) (*http.Response, error) {
			if n == 1 {
				return down(n, q)
			}
			return status(http.StatusBadRequest), nil
		}}
		s := webhook(t, r, nil)
		end := run(s)
		put(t, s, change(alert.Raised, "NoAddress", 3, alert.Warning))
		time.Sleep(time.Minute)
		r.set(nil)
		put(t, s, change(alert.Cleared, "NoAddress", 0, alert.Warning))
		synctest.Wait()
		wantEvents(t, r, "cleared NoAddress 0")
		wantEnd(t, end, nil)
	})
}

// TestAStateThatIsOvertakenOnItsWayIsFollowedByTheNewerOne: what was acknowledged is the older one.
func TestAStateThatIsOvertakenOnItsWayIsFollowedByTheNewerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(int, *http.Request) (*http.Response, error) { time.Sleep(time.Second); return status(200), nil }}
		s := webhook(t, r, nil)
		end := run(s)
		put(t, s, change(alert.Raised, "NoAddress", 1, alert.Warning))
		synctest.Wait()
		put(t, s, change(alert.Cleared, "NoAddress", 0, alert.Warning))
		put(t, s, change(alert.Raised, "NoAddress", 7, alert.Warning))
		time.Sleep(time.Minute)
		wantEvents(t, r, "raised NoAddress 1", "changed NoAddress 7")
		put(t, s, change(alert.Cleared, "NoAddress", 0, alert.Warning))
		synctest.Wait()
		put(t, s, change(alert.Raised, "NoAddress", 8, alert.Warning)) // while the clear is on its way
		time.Sleep(time.Minute)
		wantEvents(t, r, "raised NoAddress 1", "changed NoAddress 7", "cleared NoAddress 0", "raised NoAddress 8")
		wantEnd(t, end, nil)
	})
}

func TestOptionsThatDoNotFit(t *testing.T) {
	for _, c := range []struct{ reason, url, says string }{
		{"a URL has a scheme", "alertmanager:9093", "http(s)://"},
		{"we speak HTTP", "ftp://alertmanager/s3cret", "http(s)://"},
		{"a URL has a host", "http:///s3cret", "http(s)://"},
		{"what is no URL may still be a secret", "http://a b/s3cret", "http(s)://"},
	} {
		_, hook := alert.NewWebhook(alert.WebhookOptions{URL: c.url})
		_, manager := alert.NewAlertmanager(alert.AlertmanagerOptions{URL: c.url})
		for _, err := range []error{hook, manager} {
			if !errors.Is(err, alert.ErrOptions) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: %v", c.reason, err)
			}
		}
	}
	for _, d := range []alert.Delivery{{Timeout: -1}, {Base: -1}, {Cap: -1}, {Grace: -1}, {Capacity: -1}} {
		if _, err := alert.NewWebhook(alert.WebhookOptions{URL: "http://chat.example", Delivery: d}); !errors.Is(err, alert.ErrOptions) {
			t.Errorf("%+v: %v", d, err)
		}
	}
	if _, err := alert.NewAlertmanager(alert.AlertmanagerOptions{URL: "http://am.example", Resend: -1}); !errors.Is(err, alert.ErrOptions) {
		t.Errorf("a negative Resend: %v", err)
	}
}
