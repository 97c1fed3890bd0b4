package control_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// Kinds of the examples: a house has rooms, a room has a lamp in it.
type (
	HouseSpec  struct{ Rooms []string }
	HouseStats struct{ Lit int }
	RoomSpec   struct{ Lamp string }
	RoomStatus struct{ Serial string }
	House      = setpoint.Resource[HouseSpec, HouseStats]
	Room       = setpoint.Resource[RoomSpec, RoomStatus]
)

var (
	Houses = setpoint.MustDefine(setpoint.KindOptions[HouseSpec, HouseStats]{Group: "home.example", Version: "v1"})
	Rooms  = setpoint.MustDefine(setpoint.KindOptions[RoomSpec, RoomStatus]{Group: "home.example", Version: "v1"})

	lampShop = setpoint.Endpoint[LampOrder, LampReceipt]{Adapter: "lamps"}
)

// What the shop is asked for, and what it answers.
type (
	LampOrder   struct{ Model string }
	LampReceipt struct{ Serial string }
)

// A parent declares its parts, and looks at them as they are now.
func driveHouse(t *setpoint.Turn, h *House) setpoint.Outcome {
	h.Status.Lit = 0
	for _, name := range h.Spec.Rooms {
		if room := Rooms.Child(t, name, RoomSpec{Lamp: "warm"}); room.Ready() {
			h.Status.Lit++
		}
	}
	return t.Rollup()
}

// A part asks for what it needs outside, by a natural key, and reports the answer.
func driveRoom(t *setpoint.Turn, r *Room) setpoint.Outcome {
	lamp := lampShop.Ensure(t, t.NaturalKey(), &LampOrder{Model: r.Spec.Lamp})
	if lamp.Done() {
		r.Status.Serial = lamp.Result.Serial
	}
	return lamp.Outcome()
}

// A shop that keeps one lamp per key. It prints what it does.
func keepShop(_ context.Context, c command.Call) command.Result {
	if c.Request == nil {
		fmt.Println("take back", c.Key)
		return command.Result{Outcome: command.OutcomeDone}
	}
	fmt.Printf("deliver %s %s\n", c.Key, c.Request)
	return command.Result{Outcome: command.OutcomeDone, Body: []byte(`{"Serial":"W-1"}`)}
}

func ExampleKind_Child() {
	inHome(func(ctx context.Context, p *setpoint.Plane) {
		create(ctx, p, Houses.Definition, "villa", HouseSpec{Rooms: []string{"hall"}})
		house := await(ctx, p, Houses.Key("default", "villa"), isReady)
		fmt.Printf("ready: %s\n", house.Status)

		room, _ := p.View().Get(Rooms.Key("default", "villa.hall"))
		fmt.Println("its part:", room.Name)
	})
	// Output:
	// deliver default/villa.hall {"Model":"warm"}
	// ready: {"Lit":1}
	// its part: villa.hall
}

func ExampleEndpoint_Ensure() {
	inHome(func(ctx context.Context, p *setpoint.Plane) {
		create(ctx, p, Rooms.Definition, "attic", RoomSpec{Lamp: "cold"})
		room := await(ctx, p, Rooms.Key("default", "attic"), isReady)
		fmt.Printf("ready: %s\n", room.Status)

		if _, _, err := p.Delete(ctx, "api:ada", room.Key, setpoint.Preconditions{}, false); err != nil {
			fmt.Println(err)
		}
		await(ctx, p, room.Key, func(o *resource.Object) bool { return o == nil })
		fmt.Println("gone")
	})
	// Output:
	// deliver default/attic {"Model":"cold"}
	// ready: {"Serial":"W-1"}
	// take back default/attic
	// gone
}

// inHome runs a plane on a database of its own while f does something with it.
func inHome(f func(context.Context, *setpoint.Plane)) {
	if err := runHome(f); err != nil {
		fmt.Println(err)
	}
}

func runHome(f func(context.Context, *setpoint.Plane)) (err error) {
	dir, err := os.MkdirTemp("", "home")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	db, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, "home.db")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := setpoint.New(ctx, setpoint.Config{
		Store: db, Kinds: []*setpoint.Definition{Houses.Definition, Rooms.Definition},
		Controllers: []setpoint.Controller{Houses.Driver("house", driveHouse), Rooms.Driver("room", driveRoom)},
		Adapters:    []setpoint.Adapter{{Name: "lamps", Adapter: adapter(keepShop)}},
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	<-p.Loaded()
	f(ctx, p)
	stop()
	return <-ended
}

func create(ctx context.Context, p *setpoint.Plane, def *setpoint.Definition, name resource.Name, spec any) {
	o, err := def.New("default", name, spec, resource.Birth{})
	if err == nil {
		_, err = p.Create(ctx, "api:ada", o, false)
	}
	if err != nil {
		fmt.Println(err)
	}
}

func isReady(o *resource.Object) bool { return o != nil && o.Ready() }

// await follows the commits until an object is as it should be; nil stands for one that is gone.
func await(ctx context.Context, p *setpoint.Plane, key resource.Key, good func(*resource.Object) bool) *resource.Object {
	for revision := p.View().Revision(); ; revision++ {
		if err := p.View().WaitFor(ctx, revision); err != nil {
			fmt.Println(err)
			return nil
		}
		if o, _ := p.View().Get(key); good(o) {
			return o
		}
	}
}
