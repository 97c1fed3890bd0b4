package scan

import (
	"errors"
	"testing"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

func TestBatchesAreFullAndLoseNothing(t *testing.T) {
	var sizes []int
	c := New(7, func() error { return nil }, func(b store.Batch) error {
		if b.Revision != 7 {
			t.Errorf("a batch of revision %d", b.Revision)
		}
		sizes = append(sizes, len(b.Objects)+len(b.Commands)+len(b.Raised)+len(b.Timers))
		return nil
	})
	const each = 300
	for _, add := range []func() error{
		func() error { return c.Object(&resource.Object{}) }, func() error { return c.Command(command.Command{}) },
		func() error { return c.Signal(store.Signal{}) }, func() error { return c.Timer(store.Timer{}) },
	} {
		for range each {
			if err := add(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 { // the second time there is nothing
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if len(sizes) != 3 || sizes[0] != size || sizes[1] != size || sizes[2] != 4*each-2*size || !c.Visited {
		t.Errorf("batches of %v", sizes)
	}
}

func TestEndings(t *testing.T) {
	enough, closed := errors.New("enough"), errors.New("closed")
	c := New(1, func() error { return nil }, func(store.Batch) error { return enough })
	if err := c.Flush(); err != nil || c.Visited || c.Refused != nil {
		t.Errorf("an empty scan: %v, %+v", err, c)
	}
	if err := errors.Join(c.Timer(store.Timer{}), c.Flush()); !errors.Is(err, enough) || !errors.Is(c.Refused, enough) || !c.Visited {
		t.Errorf("the visitor's error: %v, kept as %v", err, c.Refused)
	}
	c = New(1, func() error { return closed }, func(store.Batch) error { t.Error("visited after the end"); return nil })
	if err := errors.Join(c.Timer(store.Timer{}), c.Flush()); !errors.Is(err, closed) || c.Refused != nil || c.Visited {
		t.Errorf("the end of the store: %v, kept as %v", err, c.Refused)
	}
}
