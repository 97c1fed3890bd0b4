package alert_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/alert"
)

// TestWhoIsSilentDeliversNothing: not what it has told before and would repeat, and not what it could not deliver yet; from that moment, and not from when the notifier looks again.
func TestWhoIsSilentDeliversNothing(t *testing.T) {
	for _, c := range []struct {
		reason string
		answer func(*receiver)
	}{
		{"an Alertmanager that hears of a firing alert every minute", func(*receiver) {}},
		{"one that has not answered yet", func(r *receiver) { r.set(down) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			var silent atomic.Bool
			pager := &receiver{}
			c.answer(pager)
			n := alert.New(alert.Options{Every: time.Hour, Senders: []*alert.Sender{alertmanager(t, pager)}, Silent: silent.Load})
			end := run(n)
			fill(t, n.Set, 0, 3)
			time.Sleep(time.Hour + 10*time.Minute)
			if len(pager.requests()) < 5 {
				t.Fatalf("%s: %d requests in ten minutes", c.reason, len(pager.requests()))
			}
			silent.Store(true)
			before := len(pager.requests())
			time.Sleep(45 * time.Minute)
			pager.set(nil)
			time.Sleep(time.Minute)
			if got := len(pager.requests()); got != 0 && got != before {
				t.Errorf("%s: %d requests while somebody else tells, %d before", c.reason, got, before)
			}
			silent.Store(false) // before the notifier has looked: it has to learn from its sender that all has to be told again
			time.Sleep(2 * time.Hour)
			if len(pager.requests()) == 0 {
				t.Errorf("%s: nothing is told when the silence is over", c.reason)
			}
			wantEnd(t, end, nil)
		})
	}
}

// TestWhatClearsBetweenTwoIsToldAsCleared: one is cut off, the next begins later; whoever hears of a recovery twice can bear it, whoever never hears of it waits for ever.
func TestWhatClearsBetweenTwoIsToldAsCleared(t *testing.T) {
	for _, c := range []struct {
		reason string
		before time.Duration // from the recovery to the moment at which this one begins to tell
		again  bool          // in trouble again by then
		want   []string
	}{
		{"a moment ago: the other may not have told it", 10 * time.Second, false, []string{"cleared NoAddress 0"}},
		{"just now, and the notifier has not looked since", 0, false, []string{"cleared NoAddress 0"}},
		{"long ago: somebody told that", time.Hour, false, nil},
		{"and it is in trouble again", 10 * time.Second, true, []string{"raised NoAddress 2"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var silent atomic.Bool
			silent.Store(true)
			chat := &receiver{}
			n := alert.New(alert.Options{Senders: []*alert.Sender{webhook(t, chat, nil)}, Silent: silent.Load})
			end := run(n)
			fill(t, n.Set, 0, 2)
			time.Sleep(time.Hour + time.Second)
			n.Forget(device(0))
			n.Forget(device(1))
			time.Sleep(c.before)
			if c.again {
				fill(t, n.Set, 0, 2)
			}
			silent.Store(false)
			time.Sleep(time.Minute)
			if got := events(t, chat.requests()); len(got) != len(c.want) || len(got) > 0 && got[0] != c.want[0] {
				t.Errorf("%s: the receiver got %q, want %q", c.reason, got, c.want)
			}
			wantEnd(t, end, nil)
		})
	}
}

// TestARecoveryOutlivesAShortSilence: what was to be told as cleared, and could not be delivered before somebody else seemed to tell, is told by who begins again: there may have been nobody else.
func TestARecoveryOutlivesAShortSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var silent atomic.Bool
		silent.Store(true)
		chat := &receiver{answer: down}
		n := alert.New(alert.Options{Senders: []*alert.Sender{webhook(t, chat, nil)}, Silent: silent.Load})
		end := run(n)
		fill(t, n.Set, 0, 2)
		time.Sleep(time.Hour + time.Second)
		n.Forget(device(0))
		n.Forget(device(1))
		time.Sleep(10 * time.Second)
		for _, s := range []bool{false, true, false} { // the other has died; the database is away for a moment; this one goes on
			silent.Store(s)
			time.Sleep(30 * time.Second)
		}
		chat.set(nil)
		time.Sleep(2 * time.Minute)
		wantEvents(t, chat, "cleared NoAddress 0")
		wantEnd(t, end, nil)
	})
}
