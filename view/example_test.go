package view_test

import (
	"context"
	"fmt"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/view"
)

// A snapshot keeps showing the cut that it was taken of.
func ExampleView_Snapshot() {
	gateway := &resource.Object{}
	gateway.Key = resource.Key{Kind: "Gateway.edge.example", Namespace: "blue", Name: "web"}
	gateway.UID, gateway.Revision = "g-1", 7

	// By hand, what Run does with a store.
	v := view.New()
	scan := func(_ context.Context, visit func(store.Batch) error) (resource.Revision, error) {
		return 7, visit(store.Batch{Revision: 7, Objects: []store.ObjectChange{{Object: gateway}}})
	}
	if err := v.Load(context.Background(), scan, nil); err != nil {
		fmt.Println(err)
	}

	before := v.Snapshot()
	defer before.Close()

	record := &resource.Object{}
	record.Key = resource.Key{Kind: "Record.edge.example", Namespace: "blue", Name: "web.dns"}
	record.UID, record.Revision = "r-1", 8
	record.Owners = []resource.Owner{{Key: gateway.Key, UID: "g-1", Child: "dns"}}
	if _, err := v.Apply(store.Batch{Revision: 8, Objects: []store.ObjectChange{{Object: record, Created: true}}}); err != nil {
		fmt.Println(err)
	}

	after := v.Snapshot()
	defer after.Close()
	fmt.Printf("at revision %d: %d children\n", before.Revision(), len(before.Children("g-1")))
	fmt.Printf("at revision %d: %d child, %s\n", after.Revision(), len(after.Children("g-1")), after.Children("g-1")[0].Key)
	// Output:
	// at revision 7: 0 children
	// at revision 8: 1 child, Record.edge.example/blue/web.dns
}

// An observer is told what a commit changed, from what to what.
func ExampleView_Apply() {
	v := view.New()
	nothing := func(context.Context, func(store.Batch) error) (resource.Revision, error) { return 0, nil }
	if err := v.Load(context.Background(), nothing, nil); err != nil {
		fmt.Println(err)
	}
	for revision, state := range []resource.Truth{resource.False, resource.True} {
		o := &resource.Object{}
		o.Key = resource.Key{Kind: "Gateway.edge.example", Namespace: "blue", Name: "web"}
		o.UID, o.Revision = "g-1", resource.Revision(revision+1)
		o.SetCondition(resource.Condition{Type: resource.Ready, Status: state})
		applied, err := v.Apply(store.Batch{Revision: o.Revision, Objects: []store.ObjectChange{{Object: o}}})
		if err != nil {
			fmt.Println(err)
		}
		for _, c := range applied.Objects {
			was := c.Old != nil && c.Old.Is(resource.Ready)
			fmt.Printf("revision %d: %s was ready: %v, is ready: %v\n", applied.Revision, c.New.Name, was, c.New.Is(resource.Ready))
		}
	}
	_, err := v.Apply(store.Batch{Revision: 9})
	fmt.Println(err)
	// Output:
	// revision 1: web was ready: false, is ready: false
	// revision 2: web was ready: false, is ready: true
	// apply commit 9: not the next revision: the view is at 2 and wants 3; scan again
}
