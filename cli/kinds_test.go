package cli_test

import (
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/setpointhq/setpoint/decide"
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

// databases is a kind whose table decides.
var databases = resource.MustDefine(resource.Options[zoneSpec, struct{}]{
	Group: "data.example", Version: "v1", Kind: "Database", ShortNames: []string{"db"},
	Lifecycle: lifecycle.Table{
		{State: "Available", Parent: "Up", Healthy: true, Stable: true, To: lifecycle.To("Unavailable", "Promoting", "Leaving")},
		{State: "Unavailable", Parent: "Up", Budget: time.Minute, Late: "NeedsPromote", To: lifecycle.To("Available", "Promoting", "Leaving")},
		{State: "Promoting", Budget: 90 * time.Second, To: lifecycle.To("Available", "Unavailable", "Leaving")},
		{State: "Leaving", Deleting: true, To: lifecycle.To("Gone")},
		{State: "Gone", Final: true},
	},
	Decisions: decide.Table{
		Signals: []decide.Signal{{Name: "NeedsPromote", About: "make this replica the leader"}, {Name: "NeedsFollow", About: "follow another leader"}},
		Actions: []decide.Action{
			{Name: "Promote", Via: "Promoting", To: "Available", Else: "Unavailable"}, {Name: "Follow", To: "Available", Else: "Unavailable", Yield: []decide.SignalName{"NeedsPromote"}},
		},
		Rows: []decide.Row{
			{In: decide.In("Available"), When: decide.All("NeedsPromote", "NeedsFollow"), Forbid: "nobody can lead and follow"},
			{When: decide.All("NeedsPromote"), Guard: "isReplica", Priority: 50, Do: "Promote"},
			{When: decide.All("NeedsPromote"), Priority: 50, Ignore: "it leads already"},
			{When: decide.All("NeedsFollow"), Do: "Follow"},
		},
		Moved: decide.In("Up"),
	},
})
