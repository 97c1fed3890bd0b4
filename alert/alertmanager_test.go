package alert_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/alert"
)

func alertmanager(t *testing.T, r *receiver) *alert.Sender {
	t.Helper()
	s, err := alert.NewAlertmanager(alert.AlertmanagerOptions{
		URL: "http://am.example/prefix/", Plane: "edge",
		Delivery: alert.Delivery{Transport: r, Header: http.Header{"Authorization": {"Bearer s3cret"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// lines lists what an Alertmanager got as "minute: cause severity firing|ended", counted from a beginning.
func lines(t *testing.T, r *receiver, from time.Time) []string {
	t.Helper()
	var all []string
	for _, q := range r.requests() {
		for _, p := range decode[[]posted](t, q.body) {
			state := "firing"
			if p.EndsAt != nil {
				state = "ended"
			}
			all = append(all, fmt.Sprintf("%d: %s %s %s", int(q.at.Sub(from).Minutes()), p.Labels["cause"], p.Labels["severity"], state))
		}
	}
	return all
}

func TestAnAlertmanagerIsToldAgainUntilItClears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		s := alertmanager(t, r)
		end, from := run(s), time.Now()
		put(t, s, change(alert.Raised, "NoAddress", 1000, alert.Warning))
		time.Sleep(150 * time.Second)
		cleared := change(alert.Cleared, "NoAddress", 0, alert.Warning)
		put(t, s, cleared)
		time.Sleep(24 * time.Hour)
		want := []string{
			"0: NoAddress warning firing", "1: NoAddress warning firing", "2: NoAddress warning firing",
			"2: NoAddress warning ended", "3: NoAddress warning ended", "4: NoAddress warning ended", "5: NoAddress warning ended", "6: NoAddress warning ended", "7: NoAddress warning ended",
		}
		if got := lines(t, r, from); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		for _, q := range r.requests()[3:] {
			if p := decode[[]posted](t, q.body)[0]; !p.EndsAt.Equal(cleared.At) || p.EndsAt.Before(p.StartsAt) {
				t.Errorf("ended at %v, want %v", p.EndsAt, cleared.At)
			}
		}
		wantEnd(t, end, nil)
	})
}

func TestAnAlertAsAnAlertmanagerReadsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		s := alertmanager(t, r)
		c := change(alert.Raised, "NoAddress", 12, alert.Critical)
		c.Group.Examples = []alert.Example{{Object: device(1), Since: epoch, Message: "the pool is empty"}, {Object: device(2), Since: epoch}}
		spare := c
		spare.Group.Key = alert.Key{Cause: alert.TooManyGroups}
		spare.Group.Fingerprint = spare.Group.Key.Fingerprint()
		put(t, s, c, spare)
		end := run(s) // which finds both, and sends them together
		synctest.Wait()
		q := r.requests()[0]
		if q.path != "/prefix/api/v2/alerts" || q.header.Get("Content-Type") != "application/json" || q.header.Get("Authorization") != "Bearer s3cret" {
			t.Errorf("asked for %s with %v", q.path, q.header)
		}
		both := decode[[]posted](t, q.body)
		labels := map[string]string{
			"alertname": "SetpointTrouble", "kind": "Device.edge.example", "state": "Provisioning", "cause": "NoAddress", "severity": "critical", "plane": "edge",
		}
		annotations := map[string]string{
			"summary": "12 Device.edge.example in state Provisioning: NoAddress", "count": "12",
			"description": "Device.edge.example/acme/d0001 since 2026-03-01T12:00:00Z: the pool is empty\nDevice.edge.example/acme/d0002 since 2026-03-01T12:00:00Z\nand 10 more",
		}
		if got := both[0]; fmt.Sprint(got.Labels) != fmt.Sprint(labels) || fmt.Sprint(got.Annotations) != fmt.Sprint(annotations) || !got.StartsAt.Equal(c.Group.Since) || got.EndsAt != nil {
			t.Errorf("got %+v", got)
		}
		if _, there := both[1].Labels["kind"]; there {
			t.Errorf("an empty label: %v", both[1].Labels)
		}
		wantEnd(t, end, nil)
	})
}

// TestAnotherSeverityEndsTheEarlierAlert: it is a label, and so the two are different alerts to an Alertmanager.
func TestAnotherSeverityEndsTheEarlierAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(n int, _ *http.Request) (*http.Response, error) {
			if n == 2 {
				return down(n, nil)
			}
			return status(http.StatusOK), nil
		}}
		s := alertmanager(t, r)
		end, from := run(s), time.Now()
		put(t, s, change(alert.Raised, "NoAddress", 5, alert.Warning))
		synctest.Wait()
		put(t, s, change(alert.Changed, "NoAddress", 5, alert.Critical)) // the attempt fails
		synctest.Wait()
		put(t, s, change(alert.Changed, "NoAddress", 5, alert.Info))
		time.Sleep(50 * time.Second)
		put(t, s, change(alert.Cleared, "NoAddress", 0, alert.Info))
		synctest.Wait()
		want := []string{
			"0: NoAddress warning firing",
			"0: NoAddress critical firing", "0: NoAddress warning ended",
			"0: NoAddress info firing", "0: NoAddress warning ended", "0: NoAddress critical ended",
			"0: NoAddress info ended",
		}
		if got := lines(t, r, from); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		wantEnd(t, end, nil)
	})
}

func TestManyGroupsGoIntoFewRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		s := alertmanager(t, r)
		for i := range 200 {
			put(t, s, change(alert.Raised, alert.Cause(fmt.Sprintf("Cause%d", i)), 1, alert.Warning))
		}
		end, from := run(s), time.Now()
		synctest.Wait()
		if n := len(r.requests()); n != 4 {
			t.Errorf("%d requests for 200 groups", n)
		}
		got := lines(t, r, from)
		for i, line := range got {
			if !strings.Contains(line, fmt.Sprintf("Cause%d ", i)) {
				t.Fatalf("the %d-th alert is %s: want them in order", i, line)
			}
		}
		if len(got) != 200 {
			t.Errorf("%d alerts", len(got))
		}
		wantEnd(t, end, nil)
	})
}

// TestARefusedResendIsTriedAgainAtItsTime: who corrects the credentials need not wait for the group to change.
func TestARefusedResendIsTriedAgainAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: always(401)}
		s := alertmanager(t, r)
		end := run(s)
		put(t, s, change(alert.Raised, "NoAddress", 5, alert.Warning))
		time.Sleep(150 * time.Second)
		if got := s.Stats(); got.Refused != 3 || got.Delivered != 0 {
			t.Errorf("stats %+v", got)
		}
		r.set(nil)
		time.Sleep(time.Minute)
		if got := s.Stats(); got.Refused != 3 || got.Delivered != 1 {
			t.Errorf("stats %+v", got)
		}
		wantEnd(t, end, nil)
	})
}
