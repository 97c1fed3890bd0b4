package alert_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/alert"
)

// TestReceiversConverge: whatever happens to groups and requests, a receiver that is well again soon knows exactly the present. Requests are lost, answered with an
// error before and after they were taken, and slow.
func TestReceiversConverge(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			random, chance := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
			r := &receiver{}
			known := map[alert.Cause]int{} // what the webhook makes of the notices it took
			well := false
			take := func(q request) {
				n := decode[alert.Notice](t, q.body)
				known[n.Cause] = n.Count
				if n.Event == alert.Cleared {
					delete(known, n.Cause)
				}
			}
			r.answer = func(n int, q *http.Request) (*http.Response, error) {
				r.mu.Lock()
				got := r.got[n-1]
				lost, late, fails := !well && chance.IntN(3) == 0, chance.IntN(3), !well && chance.IntN(3) == 0
				if !lost {
					take(got)
				}
				r.mu.Unlock()
				if lost {
					return down(n, q)
				}
				time.Sleep(time.Duration(late) * time.Second)
				if fails {
					return status(http.StatusBadGateway), nil
				}
				return status(http.StatusOK), nil
			}
			s := webhook(t, r, func(o *alert.WebhookOptions) { o.Capacity = 8 })
			end := run(s)
			truth := map[alert.Cause]int{}
			for range 60 {
				cause := alert.Cause(fmt.Sprintf("Cause%d", random.IntN(4)))
				if _, firing := truth[cause]; firing && random.IntN(2) == 0 {
					delete(truth, cause)
					put(t, s, change(alert.Cleared, cause, 0, alert.Warning))
				} else {
					truth[cause] = 1 + random.IntN(100)
					put(t, s, change(alert.Raised, cause, truth[cause], alert.Warning))
				}
				time.Sleep(time.Duration(random.IntN(5000)) * time.Millisecond)
			}
			r.mu.Lock()
			well = true
			r.mu.Unlock()
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			if !maps.Equal(known, truth) || s.Stats().Pending != 0 {
				t.Errorf("seed %d: the receiver knows %v, and %v is true; %+v", seed, known, truth, s.Stats())
			}
			wantEnd(t, end, nil)
		})
	}
}
