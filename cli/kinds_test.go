package cli_test

import (
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

type gatewaySpec struct {
	Host string `json:"host"`
	Size int    `json:"size,omitempty"`
}

type gatewayStatus struct {
	Address string `json:"address,omitempty"`
}

// gateways is a kind with a lifecycle and columns.
var gateways = resource.MustDefine(resource.Options[gatewaySpec, gatewayStatus]{
	Group: "edge.example", Version: "v1", Kind: "Gateway", ShortNames: []string{"gw"}, Description: "A way in.",
	Refine: func(spec, _ *jsonschema.Schema) {
		most := 9.0
		spec.Properties["size"].Maximum = &most
	},
	Lifecycle: lifecycle.Table{
		{State: "Pending", Budget: 10 * time.Minute, To: lifecycle.To("Active", "Leaving")},
		{State: "Active", Healthy: true, Stable: true, To: lifecycle.To("Leaving")},
		{State: "Leaving", Deleting: true, To: lifecycle.To("Gone")},
		{State: "Gone", Final: true},
	},
	Columns: []resource.Column{
		{Name: "Host", Path: ".spec.host"},
		{Name: "State", Path: ".status.state"},
		{Name: "Size", Type: "integer", Path: ".spec.size", Priority: 1},
	},
})

type recordSpec struct {
	Name string `json:"name"`
}

// records is a kind without a lifecycle, whose objects gateways own.
var records = resource.MustDefine(resource.Options[recordSpec, struct{}]{
	Group: "edge.example", Version: "v1", Kind: "DNSRecord", Description: "An address record.",
})

type zoneSpec struct {
	Domain string `json:"domain"`
}

// zones is a kind without namespaces.
var zones = resource.MustDefine(resource.Options[zoneSpec, struct{}]{
	Group: "dns.example", Version: "v1beta1", Kind: "Zone", Scope: resource.Cluster,
})
