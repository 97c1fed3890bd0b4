package setpoint_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// demonstrate runs a plane on a new database while f looks at it, and stops it in good order.
func demonstrate(config setpoint.Config, f func(context.Context, *setpoint.Plane) error) (err error) {
	folder, err := os.MkdirTemp("", "setpoint")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	db, err := sqlite.Open(context.Background(), sqlite.Options{Path: filepath.Join(folder, "setpoint.db")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	config.Store = db
	plane, err := setpoint.New(context.Background(), config)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- plane.Run(ctx); stop() }()
	select {
	case <-plane.Loaded():
		err = f(ctx, plane)
	case <-ctx.Done():
	}
	stop()
	return errors.Join(err, <-ended)
}

// create asks for an object, as a client does.
func create(ctx context.Context, plane *setpoint.Plane, key setpoint.Key, spec string) error {
	_, err := plane.Create(ctx, "api:ada", &setpoint.Object{Meta: resource.Meta{Key: key}, Spec: json.RawMessage(spec)}, false)
	return err
}

// await follows the feed until an object is as wanted. o is nil when there is none.
func await(ctx context.Context, plane *setpoint.Plane, key setpoint.Key, is func(o *setpoint.Object) bool) error {
	for {
		at := plane.View().Revision()
		if o, _ := plane.View().Get(key); is(o) {
			return nil
		}
		if err := plane.View().WaitFor(ctx, at+1); err != nil {
			return err
		}
	}
}

func ready(o *setpoint.Object) bool { return o != nil && o.Ready() }
func gone(o *setpoint.Object) bool  { return o == nil }

// fake is a subsystem that gives every request the same answer, and notes what it was asked for, by one caller at a time.
type fake struct {
	answer string
	calls  []string
}

func (f *fake) Do(_ context.Context, c command.Call) command.Result {
	request := "absent"
	if c.Request != nil {
		request = string(c.Request)
	}
	f.calls = append(f.calls, c.Key+" "+request)
	return command.Result{Outcome: command.OutcomeDone, Body: []byte(f.answer)}
}
