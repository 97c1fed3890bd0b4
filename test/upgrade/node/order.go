package main

import "github.com/setpointhq/setpoint"

// OrderSpec asks for one effect.
type OrderSpec struct {
	Value string `json:"value"`
}

// OrderStatus says what the machines have done.
type OrderStatus struct {
	Seen string `json:"seen,omitempty"`
}

// orders is the kind Order.
var orders = setpoint.MustDefine(setpoint.KindOptions[OrderSpec, OrderStatus]{Group: Group, Version: "v1", Kind: "Order"})

var driveOrders = orders.Driver("order", func(t *setpoint.Turn, o *setpoint.Resource[OrderSpec, OrderStatus]) setpoint.Outcome {
	effect := machines.Ensure(t, t.NaturalKey(), &request{Value: o.Spec.Value})
	if effect.Done() {
		o.Status.Seen = o.Spec.Value
	}
	return effect.Outcome()
}, setpoint.Workers(8))
