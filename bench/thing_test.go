package bench

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

type (
	thingSpec struct {
		Size int    `json:"size"`
		Text string `json:"text"`
	}
	thingStatus struct {
		Size int    `json:"size"`
		Text string `json:"text"`
	}
)

// things is the kind of the objects that are there in numbers.
var things = setpoint.MustDefine(setpoint.KindOptions[thingSpec, thingStatus]{Group: "bench.example", Version: "v1", Kind: "Thing"})

var born = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// thing is an object at rest, as its controller leaves it: 1.35 KB of spec, status and attributes, and every text of its own. Three of four
// belong to the one before them whose number is a multiple of four.
func thing(tb testing.TB, i int) *resource.Object {
	tb.Helper()
	key, uid := thingKey(i), thingUID(i)
	o, err := things.New(key.Namespace, key.Name, thingSpec{Text: strings.Repeat("desired ", 88)},
		resource.Birth{Now: born, UID: func() resource.UID { return uid }})
	if err != nil {
		tb.Fatal(err)
	}
	if o.Status, err = json.Marshal(thingStatus{Text: strings.Repeat("seen ", 40)}); err != nil {
		tb.Fatal(err)
	}
	o.Labels = map[string]string{"app": "shop", "tier": "edge"}
	if first := i / 4 * 4; first != i {
		o.Owners = []resource.Owner{{Key: thingKey(first), UID: thingUID(first)}}
	}
	o.Observed = o.Generation
	o.SetCondition(resource.Condition{Type: resource.Ready, Status: resource.True, Reason: "AtSetpoint", Observed: o.Generation, Since: born})
	return o
}

func thingKey(i int) resource.Key {
	return things.Key(resource.Namespace(fmt.Sprintf("tenant-%03d", i/4%100)), resource.Name(fmt.Sprintf("thing-%07d", i)))
}

func thingUID(i int) resource.UID {
	return resource.UID(fmt.Sprintf("%08x-7c1e-4f7a-9d53-%012x", uint32(i)*2654435761, i))
}

// size is what the engine stores of an object.
func size(tb testing.TB, o *resource.Object) int {
	tb.Helper()
	attributes, err := json.Marshal(&o.Attributes)
	if err != nil {
		tb.Fatal(err)
	}
	return len(o.Spec) + len(o.Status) + len(attributes)
}

// resized is the next version of an object, as a client would write it.
func resized(tb testing.TB, o *resource.Object, to int) *resource.Object {
	tb.Helper()
	next := o.Clone()
	spec, err := json.Marshal(thingSpec{Size: to, Text: strings.Repeat("desired ", 88)})
	if err != nil {
		tb.Fatal(err)
	}
	next.Spec = spec
	next.Generation++
	return next
}

// write is a transaction of one object.
func write(o *resource.Object, expect resource.Revision) store.Transaction {
	return store.Transaction{Writer: store.Writer{Name: "controller/bench"}, Objects: []store.ObjectWrite{{Object: o, Expect: expect}}}
}
