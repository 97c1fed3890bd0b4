package survey_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func minute(n int) time.Time { return t0.Add(time.Duration(n) * time.Minute) }

var kind = &resource.Definition{
	Group: "test", Version: "v1", Kind: "Database", Plural: "databases", Singular: "database",
	Lifecycle: lifecycle.Table{
		{State: "Provisioning", To: lifecycle.To("Available", "Deleting")},
		{State: "Available", Healthy: true, Stable: true, To: lifecycle.To("Unavailable", "Deleting")},
		{State: "Unavailable", To: lifecycle.To("Available", "Deleting")},
		{State: "Deleting", Deleting: true, To: lifecycle.To("Deleted")},
		{State: "Deleted", Final: true},
	},
}

// plane is a history by lines, and the present that follows from it.
type plane struct {
	entries []store.Entry
	objects map[resource.Key]*resource.Object
	// asked are the questions about the history, refuse answers the next one.
	asked  []store.HistoryQuery
	refuse error
}

func newPlane() *plane { return &plane{objects: map[resource.Key]*resource.Object{}} }

// at lets an object be in a state from a minute on; "" removes it. uid tells namesakes apart.
func (p *plane) at(min int, ns, name, uid string, state lifecycle.State) *plane {
	key := kind.Key(resource.Namespace(ns), resource.Name(name))
	e := store.Entry{Revision: resource.Revision(len(p.entries) + 1), At: minute(min), Key: key, UID: resource.UID(uid), Type: store.EntryTransition, To: state}
	o := p.objects[key]
	switch {
	case o == nil:
		e.Type = store.EntryCreated
		o = &resource.Object{}
		o.Key, o.UID, o.Created = key, e.UID, e.At
	case state == "":
		e.Type, e.From = store.EntryRemoved, o.State
		delete(p.objects, key)
	default:
		e.From = o.State
		o = o.Clone()
	}
	p.entries = append(p.entries, e)
	if state != "" {
		o.State, o.StateSince = state, e.At
		p.objects[key] = o
	}
	return p
}

func (p *plane) Get(key resource.Key) (*resource.Object, bool) {
	o, ok := p.objects[key]
	return o, ok
}

func (p *plane) List(id resource.KindID, ns resource.Namespace) (list []*resource.Object, at resource.Revision) {
	for _, o := range p.objects {
		if o.Kind == id && (ns == "" || o.Namespace == ns) {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b *resource.Object) int { return a.Key.Compare(b.Key) })
	return list, resource.Revision(len(p.entries))
}

// History is as the contract of store.HistoryQuery has it. Every entry here has a revision of its own.
func (p *plane) History(_ context.Context, q store.HistoryQuery) (found []store.Entry, err error) {
	p.asked = append(p.asked, q)
	if err, p.refuse = p.refuse, nil; err != nil {
		return nil, err
	}
	for _, e := range p.entries {
		byKey := q.Key == e.Key && (q.UID == "" || q.UID == e.UID)
		byKind := q.Key.IsZero() && q.Kind == e.Key.Kind && (q.Namespace == "" || q.Namespace == e.Key.Namespace)
		if (byKey || byKind) && e.Revision > q.After && !e.At.Before(q.Since) && (len(q.Types) == 0 || slices.Contains(q.Types, e.Type)) {
			found = append(found, e)
		}
	}
	if q.Key.IsZero() {
		return found[:min(len(found), q.Limit)], nil
	}
	return found[max(0, len(found)-q.Limit):], nil
}

// forget drops the history before a minute.
func (p *plane) forget(before int) *plane {
	p.entries = slices.DeleteFunc(p.entries, func(e store.Entry) bool { return e.At.Before(minute(before)) })
	return p
}

func mustRegister(t *testing.T) {
	t.Helper()
	var registry resource.Registry
	if err := registry.Register(kind); err != nil {
		t.Fatal(err)
	}
}
