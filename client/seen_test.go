package client_test

import (
	"errors"
	"testing"

	"github.com/setpointhq/setpoint/client"
)

// TestReadsAreNoOlderThanWhatWasShown: the next request may come to a node that has not heard of the last one.
func TestReadsAreNoOlderThanWhatWasShown(t *testing.T) {
	s, c := newScript(t,
		reply(201, gateway("shop", 7, "")),
		reply(200, gateway("shop", 7, "")),
		reply(200, list(9, gateway("shop", 7, ""))),
		reply(200, gateway("shop", 8, "")), // an older change of another object does not turn it back
		reply(200, gateway("shop", 8, "")),
	)
	o := &client.Object{Metadata: client.Metadata{Name: "shop", Namespace: "default"}}
	_, create := c.Create(t.Context(), gateways, o, client.WriteOptions{})
	_, get := c.Get(t.Context(), gateways, shop)
	_, list := c.List(t.Context(), gateways, client.ListOptions{})
	_, again := c.Get(t.Context(), gateways, shop)
	_, last := c.Get(t.Context(), gateways, shop)
	if err := errors.Join(create, get, list, again, last); err != nil {
		t.Fatal(err)
	}
	const all, one = "GET /apis/edge.example/v1/gateways", "GET /apis/edge.example/v1/namespaces/default/gateways/shop"
	equal(t, "reads", s.requests()[1:], []string{one + " from 7", all + " from 7", one + " from 9", one + " from 9"})
}

// TestAServerThatIsBehindIsAskedForWhatItHas: the database may have been restored to a time before. It has waited, and is not asked to wait four times.
func TestAServerThatIsBehindIsAskedForWhatItHas(t *testing.T) {
	const behind = `{"kind":"Status","status":"Failure","code":504,"reason":"Timeout","message":"Too large resource version: 7, current: 3",
		"details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}],"retryAfterSeconds":1}}`
	s, c := newScript(t,
		reply(200, gateway("shop", 7, "")),
		reply(504, behind),
		reply(200, gateway("shop", 3, "")),
		reply(200, list(4, gateway("shop", 3, ""))),
	)
	_, first := c.Get(t.Context(), gateways, shop)
	o, second := c.Get(t.Context(), gateways, shop)
	_, third := c.List(t.Context(), gateways, client.ListOptions{})
	if err := errors.Join(first, second, third); err != nil {
		t.Fatal(err)
	}
	if o.Metadata.ResourceVersion != "3" {
		t.Errorf("it was shown %s, want what the server has", o.Metadata.ResourceVersion)
	}
	const all, one = "GET /apis/edge.example/v1/gateways", "GET /apis/edge.example/v1/namespaces/default/gateways/shop"
	equal(t, "requests", s.requests(), []string{one, one + " from 7", one, all + " from 3"})
}
