package sqlite

import (
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

const boxKind resource.KindID = "Box.sqlite.example"

var boxTable = lifecycle.Table{
	{State: "New", To: lifecycle.To("Open", "Closing")},
	{State: "Open", Healthy: true, To: lifecycle.To("Closing")},
	{State: "Closing", Deleting: true, To: lifecycle.To("Closed")},
	{State: "Closed", Final: true},
}

var born = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// box is a new object of about 1.5 KB.
func box(name string) *resource.Object {
	return &resource.Object{
		Meta: resource.Meta{
			Key: resource.Key{Kind: boxKind, Namespace: "ns", Name: resource.Name(name)}, UID: resource.UID("uid-" + name),
			Generation: 1, Created: born, State: "New", StateSince: born,
			Attributes: resource.Attributes{
				Labels:     map[string]string{"app": "shop", "tier": "edge"},
				Owners:     []resource.Owner{{Key: resource.Key{Kind: boxKind, Namespace: "ns", Name: "parent"}, UID: "uid-parent", Child: "box"}},
				Finalizers: []resource.Finalizer{"box"},
				Conditions: []resource.Condition{{Type: resource.Ready, Status: resource.True, Reason: "Fine", Message: "all is well", Since: born}},
				Observed:   1,
			},
		},
		Spec:   []byte(fmt.Sprintf(`{"name":%q,"text":"%0700d"}`, name, 1)),
		Status: []byte(fmt.Sprintf(`{"text":"%0300d"}`, 2)),
	}
}

func registerBox(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Register(t.Context(), []store.Rules{{Kind: boxKind, Lifecycle: boxTable}}); err != nil {
		t.Fatal(err)
	}
}

func put(o *resource.Object, expect resource.Revision) store.Transaction {
	return store.Transaction{Writer: store.Writer{Name: "controller/box"}, Objects: []store.ObjectWrite{{Object: o, Expect: expect}}}
}

func mustPut(t testing.TB, s *Store, o *resource.Object, expect resource.Revision) resource.Revision {
	t.Helper()
	r, err := s.Commit(t.Context(), put(o, expect))
	if err != nil {
		t.Fatal(err)
	}
	return r.Revision
}

// shell is a connection past the engine, as a person's shell has one.
func shell(t testing.TB, s *Store) *conn {
	t.Helper()
	var count atomic.Uint64
	c, err := openConn(s.path, false, &count)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Errorf("close the shell: %v", err)
		}
	})
	return c
}

// sql runs a script in a transaction of its own.
func sql(c *conn, script string) error {
	return transaction(c, func() error { return c.run(script) })
}

// yield lets others run, while a test waits for something that they will do.
func yield() { runtime.Gosched() }

func itoa(n int) string { return strconv.Itoa(n) }
