package control_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
	"github.com/setpointhq/setpoint/store"
)

func TestMain(m *testing.M) { pg.Main(m) }

type spec struct {
	Value string `json:"value,omitempty"`
	Count int    `json:"count,omitempty"`
}

type status struct {
	Seen string `json:"seen,omitempty"`
	Runs int    `json:"runs,omitempty"`
}

type thing = setpoint.Resource[spec, status]

const group = "test.example"

var life = setpoint.Lifecycle{
	{State: "Making", Budget: time.Minute, Late: "Hurry", To: setpoint.To("Made", "Leaving")},
	{State: "Made", Healthy: true, Stable: true, To: setpoint.To("Making", "Leaving")},
	{State: "Leaving", Deleting: true, To: setpoint.To("Left")},
	{State: "Left", Final: true, Stable: true},
}

// The kinds of these tests: a Box has a lifecycle, Parts are usually its children, a Note is never driven.
var (
	boxes = setpoint.MustDefine(setpoint.KindOptions[spec, status]{Group: group, Version: "v1", Kind: "Box", Plural: "boxes", Lifecycle: life})
	parts = setpoint.MustDefine(setpoint.KindOptions[spec, status]{Group: group, Version: "v1", Kind: "Part"})
	notes = setpoint.MustDefine(setpoint.KindOptions[spec, status]{Group: group, Version: "v1", Kind: "Note"})
)

// shop is the adapter's endpoint of these tests.
var shop = setpoint.Endpoint[spec, spec]{Adapter: "shop"}

func done(*setpoint.Turn, *thing) setpoint.Outcome { return setpoint.Done() }

func setup(shop command.Adapter, controllers ...setpoint.Controller) setpointtest.Setup {
	s := setpointtest.Setup{
		Kinds: []*setpoint.Definition{boxes.Definition, parts.Definition, notes.Definition}, Controllers: controllers,
		Adapters: map[command.AdapterName]command.Adapter{},
	}
	if shop != nil {
		s.Adapters["shop"] = shop
	}
	return s
}

// adapter is a subsystem made of one function.
type adapter func(context.Context, command.Call) command.Result

func (a adapter) Do(ctx context.Context, c command.Call) command.Result { return a(ctx, c) }

var ok = command.Result{Outcome: command.OutcomeDone, Body: []byte(`{}`)}

// log is what happened, in order, from any goroutine.
type log[T any] struct {
	mu  sync.Mutex
	all []T
}

func (l *log[T]) add(v T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, v)
}

func (l *log[T]) list() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

func (l *log[T]) len() int { return len(l.list()) }

// flag is a switch that the test and the code under test share.
func flag(on bool) *atomic.Bool {
	f := &atomic.Bool{}
	f.Store(on)
	return f
}

// must returns an object that has to exist.
func must(w *setpointtest.World, def *setpoint.Definition, name string) *resource.Object {
	w.T.Helper()
	o, ok := w.Object(def, name)
	if !ok {
		w.T.Fatalf("there is no %s %s", def.Kind, name)
	}
	return o
}

func gone(w *setpointtest.World, def *setpoint.Definition, name string) bool {
	_, there := w.Object(def, name)
	return !there
}

// waits describes what an object waits for: "Code: message", joined.
func waits(o *resource.Object) string {
	var all []string
	for _, w := range o.Waits {
		all = append(all, w.Code+": "+w.Message)
	}
	return strings.Join(all, "; ")
}

// condition is "True Reason: message" of a condition, "" when there is none.
func condition(o *resource.Object, kind string) string {
	c, ok := o.Condition(kind)
	if !ok {
		return ""
	}
	return string(c.Status) + " " + c.Reason + ": " + c.Message
}

// touch makes a change that means nothing, so that the object's controllers look at it.
func touch(w *setpointtest.World, def *setpoint.Definition, name, label string) {
	w.T.Helper()
	change(w, def, name, func(o *resource.Object) { o.Labels = map[string]string{"touched": label} })
}

func change(w *setpointtest.World, def *setpoint.Definition, name string, f func(*resource.Object)) {
	w.T.Helper()
	_, err := w.Plane.Update(w.T.Context(), "api:test", def.Key("default", resource.Name(name)), func(old *resource.Object) (*resource.Object, error) {
		next := old.Clone()
		f(next)
		return next, nil
	}, false)
	if err != nil {
		w.T.Fatal(err)
	}
	w.Settle()
}

func signal(w *setpointtest.World, def *setpoint.Definition, name, what string) {
	w.T.Helper()
	if _, _, err := w.Plane.Signal(w.T.Context(), "api:test", def.Key("default", resource.Name(name)), setpoint.SignalRequest{Name: lifecycle.SignalName(what)}); err != nil {
		w.T.Fatal(err)
	}
	w.Settle()
}

// signals names the signals that wait for an object.
func signals(w *setpointtest.World, o *resource.Object) []string {
	s := w.Plane.View().Snapshot()
	defer s.Close()
	var names []string
	for _, x := range s.Signals(o.UID) {
		names = append(names, string(x.Name))
	}
	return names
}

// commands are the commands of an object.
func commands(w *setpointtest.World, o *resource.Object) []*command.Command {
	s := w.Plane.View().Snapshot()
	defer s.Close()
	return s.Commands(o.UID)
}

// events are the reasons of an object's events of one kind, in order.
func events(w *setpointtest.World, key resource.Key) []string {
	w.T.Helper()
	entries, err := w.Plane.History(w.T.Context(), store.HistoryQuery{Key: key})
	if err != nil {
		w.T.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if e.Type == store.EntryEvent {
			out = append(out, e.Reason)
		}
	}
	return out
}

// wantText fails the test when a text lacks a part.
func wantText(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%s is %q, want it to say %q", what, text, word)
		}
	}
}
