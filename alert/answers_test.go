package alert_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/alert"
)

func TestAnswers(t *testing.T) {
	broken := func(code int) func(int, *http.Request) (*http.Response, error) {
		return func(int, *http.Request) (*http.Response, error) {
			answer := status(code)
			answer.Body = io.NopCloser(io.MultiReader(strings.NewReader("<html>\x00"), failing{}))
			return answer, nil
		}
	}
	endless := func(code int) func(int, *http.Request) (*http.Response, error) {
		return func(int, *http.Request) (*http.Response, error) {
			answer := status(code)
			answer.Body = io.NopCloser(endless{})
			return answer, nil
		}
	}
	hangs := func(_ int, q *http.Request) (*http.Response, error) {
		<-q.Context().Done()
		return nil, q.Context().Err()
	}
	for _, c := range []struct {
		reason string
		answer func(int, *http.Request) (*http.Response, error)
		want   alert.Stats
	}{
		{"any 2xx will do", always(204), alert.Stats{Delivered: 1}},
		{"what it says beside the status does not matter", broken(200), alert.Stats{Delivered: 1}},
		{"nor does how long it is", endless(202), alert.Stats{Delivered: 1}},
		{"a redirect would carry credentials elsewhere", always(307), alert.Stats{Refused: 1}},
		{"repeating what is wrong cannot help", always(400), alert.Stats{Refused: 1}},
		{"nor can wrong credentials", always(403), alert.Stats{Refused: 1}},
		{"nor when the answer breaks off", broken(404), alert.Stats{Refused: 1}},
		{"nor when it does not end", endless(404), alert.Stats{Refused: 1}},
		{"it took too long for us to say it", first(always(408)), alert.Stats{Delivered: 1, Failed: 1}},
		{"too many at a time", first(always(429)), alert.Stats{Delivered: 1, Failed: 1}},
		{"its own trouble passes", first(always(500)), alert.Stats{Delivered: 1, Failed: 1}},
		{"the trouble of who stands before it too", first(broken(503)), alert.Stats{Delivered: 1, Failed: 1}},
		{"nobody is there", first(down), alert.Stats{Delivered: 1, Failed: 1}},
		{"it takes the request and says nothing", first(hangs), alert.Stats{Delivered: 1, Failed: 1}},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &receiver{answer: c.answer}
			s := webhook(t, r, nil)
			end := run(s)
			put(t, s, change(alert.Raised, "NoAddress", 3, alert.Warning))
			time.Sleep(10 * time.Minute)
			if got := s.Stats(); got != c.want {
				t.Errorf("%s: %+v, want %+v", c.reason, got, c.want)
			}
			bodies := r.requests()
			if last := len(bodies) - 1; string(bodies[0].body) != string(bodies[last].body) {
				t.Errorf("%s: attempts differ: %s and %s", c.reason, bodies[0].body, bodies[last].body)
			}
			wantEnd(t, end, nil)
		})
	}
}

func TestRetryAfterIsKeptWithinTheCap(t *testing.T) {
	for _, c := range []struct {
		reason, value string
		least, most   time.Duration
	}{
		{"seconds are kept", "30", 30 * time.Second, 30 * time.Second},
		{"a date is kept", "Sat, 01 Jan 2000 00:00:40 GMT", 40 * time.Second, 40 * time.Second},
		{"a day is not", "86400", time.Minute, time.Minute},
		{"nor are centuries", "18446744074", time.Minute, time.Minute},
		{"what cannot be read is not there", "soon", 500 * time.Millisecond, time.Second},
		{"the past is not there", "-5", 500 * time.Millisecond, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) { // begins on 2000-01-01
			r := &receiver{answer: func(n int, _ *http.Request) (*http.Response, error) {
				answer := status(http.StatusTooManyRequests)
				if n > 1 {
					answer.StatusCode = http.StatusOK
				}
				answer.Header.Set("Retry-After", c.value)
				return answer, nil
			}}
			s := webhook(t, r, nil)
			end := run(s)
			put(t, s, change(alert.Raised, "NoAddress", 3, alert.Warning))
			time.Sleep(time.Hour)
			got := r.requests()
			if len(got) != 2 {
				t.Fatalf("%s: %d attempts", c.reason, len(got))
			}
			if wait := got[1].at.Sub(got[0].at); wait < c.least || wait > c.most {
				t.Errorf("%s: waited %v, want %v to %v", c.reason, wait, c.least, c.most)
			}
			wantEnd(t, end, nil)
		})
	}
}

// first answers the first request in its way, and all others with 200.
func first(answer func(int, *http.Request) (*http.Response, error)) func(int, *http.Request) (*http.Response, error) {
	return func(n int, q *http.Request) (*http.Response, error) {
		if n == 1 {
			return answer(n, q)
		}
		return status(http.StatusOK), nil
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
