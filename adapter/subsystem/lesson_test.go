package subsystem

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/testkit"
)

// TestALateLessonTeachesNothing: a process of the plane that was held up teaches what was wanted when it began to. The memory has been taught by another one meanwhile, and what was withdrawn since must not
// come back: nobody would withdraw it again.
func TestALateLessonTeachesNothing(t *testing.T) {
	h := newShelf()
	s := open(t, Options{Handler: h})
	late := RestoreRequest{Memory: s.Memory(), Items: []RestoreItem{lesson("gone"), lesson("kept")}}
	page := late
	page.More = true
	if a, err := s.Restore(RestoreRequest{Memory: late.Memory, Items: page.Items[1:], More: true}); err != nil || a.Restored != 1 {
		t.Fatalf("the first page of another: %+v, error %v", a, err)
	}
	if a, err := s.Restore(RestoreRequest{Memory: late.Memory}); err != nil || a.Restored != 0 {
		t.Fatalf("its last page: %+v, error %v", a, err)
	}
	for _, r := range []RestoreRequest{late, page} {
		if a, err := s.Restore(r); err != nil || a.Restored != 0 {
			t.Errorf("a lesson to who has been taught (more: %v): %+v, error %v", r.More, a, err)
		}
	}
	if inventory := s.Inventory(""); len(inventory.Items) != 1 || inventory.Items[0].Key != "kept" {
		t.Errorf("the inventory is %+v", inventory)
	}
}

func lesson(key string) RestoreItem {
	return RestoreItem{Key: key, Token: command.Token("token-" + key), Intent: 1, Request: []byte(`{}`)}
}

// cutOff is a desk of a process that cannot ask its database until it is mended.
type cutOff struct {
	*desk
	mended atomic.Bool
	asked  atomic.Int32
}

var errCutOff = errors.New("no answer from the database")

func (d *cutOff) Current(context.Context) error {
	d.asked.Add(1)
	if !d.mended.Load() {
		return errCutOff
	}
	d.wish("gone") // what it learns
	return nil
}

// TestWhoIsCutOffTeachesNothing: it does not know what is wanted now; when it does it teaches that.
func TestWhoIsCutOffTeachesNothing(t *testing.T) {
	h := newShelf()
	s := open(t, Options{Handler: h})
	d := &cutOff{desk: newDesk()}
	for _, key := range []string{"gone", "kept"} {
		d.acknowledge(call(key, 1, 1, "token-"+key, `{}`), command.Result{Body: []byte(`{}`)})
	}
	c := serve(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Observe(ctx, d) }()
	testkit.Wait(t, "it is to be taught, again and again", func() bool { return d.asked.Load() >= 3 })
	if !s.blank() {
		t.Error("it was taught by who is cut off")
	}
	d.mended.Store(true)
	testkit.Wait(t, "it is taught", func() bool { return !s.blank() })
	if inventory := s.Inventory(""); len(inventory.Items) != 1 || inventory.Items[0].Key != "kept" {
		t.Errorf("the inventory is %+v", inventory)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
