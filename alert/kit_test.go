package alert_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/alert"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func device(i int) resource.Key {
	return resource.Key{Kind: "Device.edge.example", Namespace: "acme", Name: resource.Name(fmt.Sprintf("d%04d", i))}
}

// noAddress is what the devices of most tests suffer from: the i-th since i seconds.
func noAddress(i int) alert.Trouble {
	return alert.Trouble{
		Object: device(i), Source: "Budget", State: "Provisioning", Cause: "NoAddress", Message: "the pool is empty", Since: epoch.Add(time.Duration(i) * time.Second),
	}
}

// fill puts devices from..to-1 into trouble.
func fill(t *testing.T, set func(alert.Trouble) error, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := set(noAddress(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// change makes a change of a group of the cause.
func change(event alert.Event, cause alert.Cause, count int, severity alert.Severity) alert.Change {
	key := alert.Key{Kind: "Device.edge.example", State: lifecycle.State("Provisioning"), Cause: cause}
	group := alert.Group{Key: key, Fingerprint: key.Fingerprint(), Count: count, Severity: severity, Since: time.Now().Add(-time.Minute)}
	return alert.Change{Event: event, Group: group, At: time.Now()}
}

// request is what a receiver has got.
type request struct {
	path   string
	header http.Header
	body   []byte
	at     time.Time
}

// receiver is a receiver without a network. It records every request, and answers as it is told.
type receiver struct {
	mu     sync.Mutex
	answer func(n int, r *http.Request) (*http.Response, error) // n from 1; nil: 200
	got    []request
	closed int // how often idle connections were to be closed
}

func (r *receiver) CloseIdleConnections() { r.closed++ }

var errDown = errors.New("connection refused")

func (r *receiver) RoundTrip(q *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.got = append(r.got, request{q.URL.Path, q.Header.Clone(), body, time.Now()})
	n, answer := len(r.got), r.answer
	r.mu.Unlock()
	if answer == nil {
		return status(http.StatusOK), nil
	}
	return answer(n, q)
}

// set changes how the receiver answers from now on, and forgets what it got.
func (r *receiver) set(answer func(int, *http.Request) (*http.Response, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer, r.got = answer, nil
}

func (r *receiver) requests() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]request(nil), r.got...)
}

func status(code int) *http.Response {
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte("as it is")))}
}

func always(code int) func(int, *http.Request) (*http.Response, error) {
	return func(int, *http.Request) (*http.Response, error) { return status(code), nil }
}

func down(int, *http.Request) (*http.Response, error) { return nil, errDown }

// notices decodes what a webhook got.
func notices(t *testing.T, got []request) []alert.Notice {
	t.Helper()
	var all []alert.Notice
	for _, r := range got {
		all = append(all, decode[alert.Notice](t, r.body))
	}
	return all
}

// events lists the notices as "event cause count".
func events(t *testing.T, got []request) []string {
	t.Helper()
	var all []string
	for _, n := range notices(t, got) {
		all = append(all, fmt.Sprintf("%s %s %d", n.Event, n.Cause, n.Count))
	}
	return all
}

func decode[T any](t *testing.T, body []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}

// posted is one alert as an Alertmanager reads it.
type posted struct {
	Labels, Annotations map[string]string
	StartsAt            time.Time
	EndsAt              *time.Time
}
