package subsystem_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// lamps is a subsystem without state of its own: what is on is what the kit remembers.
type lamps struct{}

func (lamps) Start([]subsystem.Entry, subsystem.LoseFunc) error    { return nil }
func (lamps) Restore(context.Context, subsystem.RestoreItem) error { return nil }
func (lamps) Forget(context.Context) error                         { return nil }
func (lamps) Apply(_ context.Context, c subsystem.Change) subsystem.Answer {
	if c.Request == nil {
		fmt.Println("switch", c.Key, "off")
		return subsystem.Done(nil, subsystem.Delete, "")
	}
	var wish struct{ Colour string }
	if err := json.Unmarshal(c.Request, &wish); err != nil {
		return subsystem.Refuse(command.Terminal, err.Error())
	}
	fmt.Println("switch", c.Key, "on:", wish.Colour)
	return subsystem.Done([]byte(`{"watts":9}`), subsystem.Create, "")
}

// A repeated call is answered from memory, and a delayed older one is refused.
func Example() {
	if err := demonstrate(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// switch hall on: red
	// done  {"watts":9}
	// done  {"watts":9}
	// switch hall on: blue
	// done  {"watts":9}
	// refused Stale
}

func demonstrate() (err error) {
	dir, err := os.MkdirTemp("", "lamps")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, err := subsystem.Open(subsystem.Options{Dir: dir, Handler: lamps{}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	web := httptest.NewServer(server.Handler())
	defer web.Close()
	// A plane's observer does this: it teaches a new memory what it should have, here nothing.
	if _, err := server.Restore(subsystem.RestoreRequest{Memory: server.Memory()}); err != nil {
		return err
	}

	client := subsystem.NewClient(subsystem.ClientOptions{URL: web.URL, HTTP: web.Client()})
	red := command.Call{Key: "hall", Token: "t1", Intent: 1, Epoch: resource.Epoch{Counter: 1}, Request: []byte(`{"colour":"red"}`)}
	blue := command.Call{Key: "hall", Token: "t2", Intent: 2, Epoch: resource.Epoch{Counter: 1}, Request: []byte(`{"colour":"blue"}`)}
	for _, call := range []command.Call{red, red, blue, red} {
		result := client.Do(context.Background(), call)
		fmt.Println(result.Outcome, result.Class, string(result.Body))
	}
	return nil
}
