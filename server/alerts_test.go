package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/alert"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/server"
)

type poolSpec struct {
	Free int `json:"free"`
}

type none struct{}

// A pool has addresses, or has none; devices need one. Without any, each of them fails for good, until the pool changes.
var (
	pools = setpoint.MustDefine(setpoint.KindOptions[poolSpec, none]{
		Group: "alert.example", Version: "v1", Kind: "Pool",
	})
	devices = setpoint.MustDefine(setpoint.KindOptions[none, none]{
		Group: "alert.example", Version: "v1", Kind: "Device",
		Lifecycle: setpoint.Lifecycle{
			{State: "Provisioning", Budget: time.Hour, To: setpoint.To("Available")},
			{State: "Available", Healthy: true, Stable: true, To: setpoint.To("Provisioning")},
		},
	})
)

var errNoAddress = errors.New("the pool has no address left")

func address(t *setpoint.Turn, d *setpoint.Resource[none, none]) setpoint.Outcome {
	pool, ok := pools.Get(t, "edge")
	if !ok || pool.Spec.Free == 0 {
		return setpoint.Fail(setpoint.Terminal(errNoAddress))
	}
	if d.State == "Provisioning" {
		t.Transition("Available", "HasAddress")
	}
	return setpoint.Done()
}

// alertmanager is a receiver of version 2 of an Alertmanager's API: of every alert, told apart by its labels as an Alertmanager does, it keeps the newest state.
type alertmanager struct {
	t      *testing.T
	mu     sync.Mutex
	alerts map[string]postedAlert
	posts  int
	news   chan struct{}
}

type postedAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

func newAlertmanager(t *testing.T) (*alertmanager, string) {
	a := &alertmanager{t: t, alerts: map[string]postedAlert{}, news: make(chan struct{}, 1)}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	return a, s.URL
}

func (a *alertmanager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var posted []postedAlert
	if err == nil {
		err = json.Unmarshal(body, &posted)
	}
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/api/v2/alerts" {
		a.t.Errorf("%s %s: %v %s", r.Method, r.URL, err, body)
		http.Error(w, "want alerts", http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.posts++
	for _, p := range posted {
		a.alerts[fmt.Sprint(p.Labels)] = p // fmt sorts the keys of a map
	}
	select {
	case a.news <- struct{}{}:
	default:
	}
}

// await waits until the receiver knows exactly one alert, which is as wanted.
func (a *alertmanager) await(what string, wanted func(postedAlert) bool) (postedAlert, error) {
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		found, known := a.only(wanted)
		if found != nil {
			return *found, nil
		}
		select {
		case <-a.news:
		case <-limit.C:
			return postedAlert{}, fmt.Errorf("%s: not within a minute; the receiver knows %s", what, known)
		}
	}
}

// only is the one alert that the receiver knows, if there is one and it is as wanted; and what it knows, for people.
func (a *alertmanager) only(wanted func(postedAlert) bool) (found *postedAlert, known string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.alerts {
		if len(a.alerts) == 1 && wanted(p) {
			found = &p
		}
	}
	return found, fmt.Sprint(a.alerts)
}

// TestAThousandFailuresOfOneCauseAreOneAlert: through a real plane on a real database, to a real receiver.
func TestAThousandFailuresOfOneCauseAreOneAlert(t *testing.T) {
	const many = 1000
	receiver, url := newAlertmanager(t)
	ctx, stop := context.WithCancel(t.Context())
	ended, told := make(chan error, 1), make(chan error, 1)
	go func() {
		ended <- server.Run(ctx, server.Options{
			Listen: "127.0.0.1:0", Store: filepath.Join(t.TempDir(), "setpoint.db"),
			Kinds: []*setpoint.Definition{pools.Definition, devices.Definition}, Controllers: []setpoint.Controller{devices.Driver("device", address)},
			// A count that is seen half-way is put right at once, so that the last one told is that of all.
			Alerts: server.Alerts{Alertmanagers: []string{url}, Plane: "edge", Every: 50 * time.Millisecond, Rules: alert.Rules{Refresh: time.Millisecond}},
			Running: func(ctx context.Context, p *setpoint.Plane) error {
				go func() { told <- fail(ctx, t, p, receiver, many) }()
				return nil
			},
		})
	}()
	select {
	case err := <-told:
		if err != nil {
			t.Error(err)
		}
	case err := <-ended:
		t.Fatalf("the server ended: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the server ended with %v", err)
	}
	receiver.mu.Lock()
	defer receiver.mu.Unlock()
	t.Logf("%d objects failed and recovered: %d alert, told by %d requests", many, len(receiver.alerts), receiver.posts)
	if receiver.posts >= many {
		t.Errorf("%d requests for one alert", receiver.posts)
	}
}

// fail lets many devices fail for one cause, and ends the cause.
func fail(ctx context.Context, t *testing.T, p *setpoint.Plane, receiver *alertmanager, many int) error {
	pool := &setpoint.Object{}
	pool.Key = pools.Key("default", "edge")
	pool.Spec = []byte(`{"free":0}`)
	if _, err := p.Create(ctx, "test", pool, false); err != nil {
		return err
	}
	if err := createDevices(ctx, p, many); err != nil {
		return err
	}
	firing, err := receiver.await("all of them in one alert", func(a postedAlert) bool {
		return a.EndsAt.IsZero() && a.Annotations["count"] == fmt.Sprint(many)
	})
	if err != nil {
		return err
	}
	want := map[string]string{
		"alertname": alert.AlertName, "plane": "edge", "kind": "Device.alert.example", "state": "Provisioning", "cause": "Error", "severity": "critical",
	}
	if fmt.Sprint(firing.Labels) != fmt.Sprint(want) {
		t.Errorf("labels %v, want %v", firing.Labels, want)
	}
	if d := firing.Annotations["description"]; strings.Count(d, errNoAddress.Error()) != alert.MaxExamples || !strings.Contains(d, fmt.Sprintf("and %d more", many-alert.MaxExamples)) {
		t.Errorf("description: %s", d)
	}
	if _, err := p.Update(ctx, "test", pool.Key, func(o *setpoint.Object) (*setpoint.Object, error) {
		next := o.Clone()
		next.Spec = []byte(`{"free":1}`)
		return next, nil
	}, false); err != nil {
		return err
	}
	_, err = receiver.await("its end", func(a postedAlert) bool { return !a.EndsAt.IsZero() && !a.EndsAt.Before(a.StartsAt) })
	return err
}

// createDevices creates them through many doors at once, as the database commits such writes together.
func createDevices(ctx context.Context, p *setpoint.Plane, many int) error {
	const doors = 50
	problems := make([]error, doors)
	var all sync.WaitGroup
	for door := range doors {
		all.Go(func() {
			for i := door; i < many; i += doors {
				d := &setpoint.Object{}
				d.Key = devices.Key("default", resource.Name(fmt.Sprintf("d%04d", i)))
				d.Spec = []byte(`{}`)
				if _, err := p.Create(ctx, "test", d, false); err != nil {
					problems[door] = err
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(problems...)
}
