package setpoint_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/store"
)

type ShopSpec struct {
	Host string `json:"host"`
}

type ShopStatus struct {
	Leader string `json:"leader,omitempty"`
}

type Shop = setpoint.Resource[ShopSpec, ShopStatus]

const (
	Serving setpoint.State = "Serving"
	Moving  setpoint.State = "Moving"
	Away    setpoint.State = "Away"
	Closing setpoint.State = "Closing"
	Closed  setpoint.State = "Closed"

	NeedsMove  setpoint.SignalName = "NeedsMove"
	NeedsCheck setpoint.SignalName = "NeedsCheck"

	Move setpoint.ActionName = "Move"
)

// A kind whose objects are moved between machines: its decision table says when, and through which states.
var Shops = setpoint.MustDefine(setpoint.KindOptions[ShopSpec, ShopStatus]{
	Group: "web.example", Version: "v1",
	Lifecycle: setpoint.Lifecycle{
		{State: Serving, Healthy: true, Stable: true, To: setpoint.To(Moving, Closing)},
		{State: Moving, To: setpoint.To(Serving, Away, Closing)},
		{State: Away, Stable: true, To: setpoint.To(Moving, Closing)},
		{State: Closing, Deleting: true, To: setpoint.To(Closed)},
		{State: Closed, Final: true, Stable: true},
	},
	Decisions: setpoint.Decisions{
		Signals: []setpoint.Signal{{Name: NeedsMove, About: "move it to another machine"}, {Name: NeedsCheck, About: "look whether it answers"}},
		Actions: []setpoint.ActionStates{{Name: Move, Via: Moving, To: Serving, Else: Away}},
		Rows: []setpoint.Row{
			{In: setpoint.In(Serving, Away), When: setpoint.All(NeedsMove), Do: Move},
			{In: setpoint.In(Serving), When: setpoint.All(NeedsCheck), Ignore: "it serves", Priority: 1},
			{In: setpoint.In(Away), When: setpoint.All(NeedsCheck), Defer: "it is away", Priority: -1},
		},
	},
})

type machine struct {
	Do string `json:"do"`
}

type answer struct {
	Address string `json:"address,omitempty"`
}

var machines = setpoint.Endpoint[machine, answer]{Adapter: "machines"}

type moveRun = setpoint.Run[ShopSpec, ShopStatus]

// moveSteps copies, stops and switches. Each step begins in the commit in which the one before it ends; when one fails, those before it are undone, the last one first.
var moveSteps = []setpoint.Step[ShopSpec, ShopStatus]{
	setpoint.Call("copy", machines, func(*moveRun) *machine { return &machine{Do: "copy"} }).Absent(),
	setpoint.Call("stop", machines, func(*moveRun) *machine { return &machine{Do: "stop"} }).
		Undo(func(*moveRun) *machine { return &machine{Do: "start"} }),
	setpoint.Call("switch", machines, func(r *moveRun) *machine { return &machine{Do: "switch to " + r.Object.Spec.Host} }),
	setpoint.Set("note", func(r *moveRun) {
		var switched answer
		if r.Result("switch", &switched) {
			r.Object.Status.Leader = switched.Address
		}
	}),
}

// rack is a subsystem that does what it is told, but for what it refuses.
type rack struct {
	mu      sync.Mutex
	refuses string
	did     []string
}

// Do does one thing, and remembers it.
func (r *rack) Do(_ context.Context, c command.Call) command.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	what := string(c.Request)
	if c.Request == nil {
		what = "absent " + c.Key
	}
	if what == r.refuses {
		return command.Result{Outcome: command.OutcomeRefused, Class: command.Terminal, Message: "that host is full"}
	}
	r.did = append(r.did, what)
	return command.Result{Outcome: command.OutcomeDone, Body: []byte(`{"address":"10.0.0.7"}`)}
}

func (r *rack) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.did)
}

// moveOnce makes a shop, asks for a move, and tells what became of it.
func moveOnce(r *rack) error {
	return demonstrate(setpoint.Config{
		Kinds:    []*setpoint.Definition{Shops.Definition},
		Adapters: []setpoint.Adapter{{Name: "machines", Adapter: r}},
		Controllers: []setpoint.Controller{Shops.Decider("shop", setpoint.Decider[ShopSpec, ShopStatus]{
			Actions: map[setpoint.ActionName]setpoint.Action[ShopSpec, ShopStatus]{Move: {Steps: moveSteps}},
		})},
	}, func(ctx context.Context, plane *setpoint.Plane) error {
		key := Shops.Key("default", "first")
		if err := create(ctx, plane, key, `{"host":"east"}`); err != nil {
			return err
		}
		if _, _, err := plane.Signal(ctx, "api:ada", key, setpoint.SignalRequest{Name: NeedsMove, Why: "the rack is noisy"}); err != nil {
			return err
		}
		var last *setpoint.Object
		if err := await(ctx, plane, key, func(o *setpoint.Object) bool { last = o; return o != nil && o.Last != nil && o.Ready() }); err != nil {
			return err
		}
		for _, did := range r.list() {
			fmt.Println("did", did)
		}
		fmt.Println(last.Last.Name, last.Last.Outcome, last.Last.Message, string(last.Status))
		entries, err := plane.History(ctx, store.HistoryQuery{Key: key})
		for _, e := range entries {
			if e.Type == store.EntryTransition {
				fmt.Println(e.From, "→", e.To, "by", e.Reason)
			}
		}
		return err
	})
}

// An action is a list of steps. Someone raises a signal; the table decides; the steps are done one after the other, and the end consumes the signal.
func ExampleAction() {
	if err := moveOnce(&rack{}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// did {"do":"copy"}
	// did {"do":"stop"}
	// did {"do":"switch to east"}
	// Move Succeeded  {"leader":"10.0.0.7"}
	// Serving → Moving by Move
	// Moving → Serving by MoveSucceeded
}

// When a step is refused, what was done before it is undone, and the object goes where the table says.
func ExampleAction_undo() {
	if err := moveOnce(&rack{refuses: `{"do":"switch to east"}`}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// did {"do":"copy"}
	// did {"do":"stop"}
	// did {"do":"start"}
	// did absent default/first.Move.copy
	// Move Failed step switch: that host is full {}
	// Serving → Moving by Move
	// Moving → Away by MoveFailed
}

// What is wrong with an action is told when the plane is made.
func ExampleDecider() {
	err := demonstrate(setpoint.Config{
		Kinds: []*setpoint.Definition{Shops.Definition},
		Controllers: []setpoint.Controller{Shops.Decider("shop", setpoint.Decider[ShopSpec, ShopStatus]{
			Actions: map[setpoint.ActionName]setpoint.Action[ShopSpec, ShopStatus]{Move: {Steps: moveSteps}},
		})},
	}, func(context.Context, *setpoint.Plane) error { return errors.New("it runs") })
	fmt.Println(err)
	// Output:
	// setpoint: controller shop: a step of an action calls adapter "machines", which there is none of; give it to the plane
}
