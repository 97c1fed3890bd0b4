package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/setpointhq/setpoint/client"
)

// gather reads events until it has so many, and tells them as "TYPE name@version".
func gather(t *testing.T, events func(func(client.Event, error) bool), want int) (told []string, last error) {
	t.Helper()
	for e, err := range events {
		if err != nil {
			return told, err
		}
		if e.Object == nil {
			told = append(told, string(e.Type))
		} else {
			told = append(told, fmt.Sprintf("%s %s@%s", e.Type, e.Object.Metadata.Name, e.Object.Metadata.ResourceVersion))
		}
		if len(told) == want {
			return told, nil
		}
	}
	return told, nil
}

func equal(t *testing.T, what string, have, want []string) {
	t.Helper()
	if !slices.Equal(have, want) {
		t.Errorf("%s:\n  have %q\n  want %q", what, have, want)
	}
}

// TestWatchResumes: after every kind of broken connection the watch goes on behind the last event it delivered.
func TestWatchResumes(t *testing.T) {
	s, c := newScript(t,
		cut(event("ADDED", gateway("a", 11, ""))),
		cut(event("MODIFIED", gateway("a", 12, ""))+`{"type":"MODI`),
		reply(200, event("BOOKMARK", `{"metadata":{"resourceVersion":"20"}}`)),
		refuse(503, "ServiceUnavailable", "starting"),
		reply(200, event("ERROR", `{"kind":"Status","code":500,"reason":"InternalError","message":"once"}`)),
		stay(event("DELETED", gateway("a", 21, ""))),
	)
	var lost int
	events := c.Watch(t.Context(), gateways, client.WatchOptions{From: "10", Lost: func(error) { lost++ }})
	told, err := gather(t, events, 3)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "events", told, []string{"ADDED a@11", "MODIFIED a@12", "DELETED a@21"})
	path := "GET /apis/edge.example/v1/gateways from "
	equal(t, "requests", s.requests(), []string{path + "10", path + "11", path + "12", path + "20", path + "20", path + "20"})
	if lost != 4 {
		t.Errorf("%d connections were reported lost, want 4: two were cut, two refused, one ended in order", lost)
	}
}

// TestWatchEnds: what another connection cannot mend ends the watch.
func TestWatchEnds(t *testing.T) {
	for _, test := range []struct {
		reason string
		steps  []step
		want   error
		asked  int
	}{
		{"the position is not retained", []step{refuse(410, "Expired", "too old")}, client.ErrExpired, 1},
		{"it is said so in the stream", []step{reply(200, event("ERROR", `{"code":410,"reason":"Expired"}`))}, client.ErrExpired, 1},
		{"one may not watch", []step{refuse(403, "Forbidden", "no")}, client.ErrForbidden, 1},
		{"the selector is wrong", []step{refuse(400, "BadRequest", "no")}, client.ErrInvalid, 1},
		{"the server never serves", slices.Repeat([]step{refuse(503, "ServiceUnavailable", "no")}, 4), client.ErrUnavailable, 4},
	} {
		t.Run(test.reason, func(t *testing.T) {
			s, c := newScript(t, test.steps...)
			told, err := gather(t, c.Watch(t.Context(), gateways, client.WatchOptions{From: "1"}), 1)
			if !errors.Is(err, test.want) || len(told) > 0 {
				t.Errorf("%v, %v; want %v", told, err, test.want)
			}
			if n := len(s.requests()); n != test.asked {
				t.Errorf("%d requests, want %d", n, test.asked)
			}
		})
	}
}

// TestWatchObeysContext: a cancelled watch says so.
func TestWatchObeysContext(t *testing.T) {
	s, c := newScript(t, reply(200, list(7)), stay(event("ADDED", gateway("a", 8, ""))))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	for _, err := range c.Watch(ctx, gateways, client.WatchOptions{}) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v, want the context's error", err)
			}
			break
		}
		seen++
		cancel()
	}
	if seen != 1 {
		t.Errorf("%d events, want 1", seen)
	}
	path := "GET /apis/edge.example/v1/gateways"
	equal(t, "requests: without a position, the present one", s.requests(), []string{path, path + " from 7"})
}

// TestFollowListsAgain: when the position has expired, the differences are delivered, deletions too.
func TestFollowListsAgain(t *testing.T) {
	s, c := newScript(t,
		reply(200, list(10, gateway("same", 1, ""), gateway("changes", 2, ""), gateway("goes", 3, ""))),
		reply(200, event("ADDED", gateway("late", 11, ""))),
		refuse(410, "Expired", "too old"),
		reply(200, list(30, gateway("same", 1, ""), gateway("changes", 25, ""), gateway("new", 26, ""), gateway("late", 11, ""))),
		stay(event("DELETED", gateway("same", 31, ""))),
	)
	told, err := gather(t, c.Follow(t.Context(), gateways, client.WatchOptions{}), 10)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "events", told, []string{
		"ADDED same@1", "ADDED changes@2", "ADDED goes@3", "SYNCED", "ADDED late@11",
		"DELETED goes@3", "MODIFIED changes@25", "ADDED new@26", "SYNCED", "DELETED same@31",
	})
	path := "GET /apis/edge.example/v1/gateways"
	equal(t, "requests", s.requests(), []string{path, path + " from 10", path + " from 11", path + " from 10", path + " from 30"})
}

// TestWait: the condition is asked about what is there at first, and after each change.
func TestWait(t *testing.T) {
	_, c := newScript(t,
		reply(200, list(10)),
		stay(event("ADDED", gateway("shop", 11, ""))+event("MODIFIED", gateway("shop", 12, `,"labels":{"a":"b"}`))),
	)
	var asked []bool
	o, err := c.Wait(t.Context(), gateways, shop, func(o *client.Object) (bool, error) {
		asked = append(asked, o != nil)
		return o != nil && o.Metadata.Labels["a"] == "b", nil
	})
	if err != nil || o.Metadata.ResourceVersion != "12" {
		t.Errorf("%v, %v", o, err)
	}
	if !slices.Equal(asked, []bool{false, true, true}) {
		t.Errorf("asked about %v, want nothing, then two objects", asked)
	}
}

// TestWaitEndsWithContext: the last form comes with the error.
func TestWaitEndsWithContext(t *testing.T) {
	_, c := newScript(t, reply(200, list(10, gateway("shop", 9, ""))), stay(""))
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	enough := errors.New("enough")
	o, err := c.Wait(ctx, gateways, shop, func(*client.Object) (bool, error) { cancel(enough); return false, nil })
	if !errors.Is(err, enough) || o == nil || o.Metadata.ResourceVersion != "9" {
		t.Errorf("%v, %v; want the last form and the cause", o, err)
	}
}

// TestAWatchThatIsLeftAsItsContextEnds: it is told nothing more, not even that.
func TestAWatchThatIsLeftAsItsContextEnds(t *testing.T) {
	_, c := newScript(t, stay(event("ADDED", gateway("a", 1, ""))))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	for range c.Watch(ctx, gateways, client.WatchOptions{From: "1"}) {
		seen++
		cancel()
		break
	}
	if seen != 1 {
		t.Errorf("%d events, want 1", seen)
	}
}
