package resource_test

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/setpointhq/setpoint/lifecycle"
	. "github.com/setpointhq/setpoint/resource"
)

// The kind of these tests: a gateway with routes.
type (
	GatewaySpec struct {
		Host     string            `json:"host" jsonschema:"The name under which the gateway is reached."`
		Size     string            `json:"size,omitempty"`
		Replicas int32             `json:"replicas,omitempty"`
		Routes   []Route           `json:"routes,omitempty"`
		Weights  map[string]int    `json:"weights,omitempty"`
		Allow    []netip.Prefix    `json:"allow,omitempty"`
		Expires  *time.Time        `json:"expires,omitempty"`
		Extra    map[string]string `json:"extra,omitempty"`
	}
	Route struct {
		Path    string `json:"path"`
		Backend string `json:"backend"`
		Strip   bool   `json:"strip,omitempty"`
	}
	GatewayStatus struct {
		IP       string         `json:"ip"`
		Backends map[string]int `json:"backends,omitempty"`
		Healthy  int            `json:"healthy"`
	}
	Gateway = Typed[GatewaySpec, GatewayStatus]
)

func gatewayOptions() Options[GatewaySpec, GatewayStatus] {
	return Options[GatewaySpec, GatewayStatus]{
		Group: "edge.example", Version: "v1", ShortNames: []string{"gw"}, Categories: []string{"all"},
		Description: "A gateway takes requests from outside to a service.",
		Refine: func(spec, _ *jsonschema.Schema) {
			spec.Properties["host"].Format = "hostname"
			spec.Properties["size"].Enum = []any{"small", "medium", "large"}
			spec.Properties["replicas"].Minimum = jsonschema.Ptr(0.0)
			spec.Properties["replicas"].Maximum = jsonschema.Ptr(9.0)
			spec.Properties["routes"].MaxItems = jsonschema.Ptr(3)
			spec.Properties["routes"].Items.Properties["path"].Pattern = "^/"
		},
		Lifecycle: lifecycle.Table{
			{State: "Starting", Budget: time.Minute, To: lifecycle.To("Running", "Leaving")},
			{State: "Running", Healthy: true, Stable: true, To: lifecycle.To("Leaving")},
			{State: "Leaving", Deleting: true, Budget: time.Hour, To: lifecycle.To("Gone")},
			{State: "Gone", Final: true},
		},
		Columns:  []Column{{Name: "Host", Path: ".spec.host"}, {Name: "Ready", Path: `.status.conditions[?(@.type=="Ready")].status`}},
		Computed: []ColumnOf[GatewaySpec, GatewayStatus]{{Column: Column{Name: "Routes", Type: "integer"}, Of: func(g *Gateway) any { return len(g.Spec.Routes) }}},
		Default:  func(s *GatewaySpec) { s.Size = cmp.Or(s.Size, "small") },
		Validate: func(old, new *Gateway) error {
			var errs []error
			if old != nil && old.Spec.Host != new.Spec.Host {
				errs = append(errs, Refuse("spec.host", "cannot be changed"))
			}
			for i, r := range new.Spec.Routes {
				if r.Backend == r.Path {
					errs = append(errs, Refuse(fmt.Sprintf("spec.routes[%d].backend", i), "is the path"))
				}
			}
			if new.Spec.Extra["plain"] != "" {
				errs = append(errs, errors.New("extra must not be plain"))
			}
			return errors.Join(errs...)
		},
	}
}

var gateways = MustDefine(gatewayOptions())

var noon = time.Date(2026, 11, 21, 12, 0, 0, 123456789, time.UTC)

func birth(uid UID) Birth { return Birth{Now: noon, UID: func() UID { return uid }} }

// newGateway is an object that is admitted, with everything set that can be.
func newGateway(t testing.TB) *Object {
	t.Helper()
	o, err := gateways.New("tenant", "shop", GatewaySpec{
		Host: "shop.example", Routes: []Route{{Path: "/a", Backend: "a"}, {Path: "/b", Backend: "b", Strip: true}},
	}, birth("uid-1"))
	if err != nil {
		t.Fatal(err)
	}
	o.Labels = map[string]string{"team": "web", "example.com/tier": "1"}
	o.Annotations = map[string]string{"note": "tab\tquote\" and <é>"}
	o.Owners = []Owner{{Key: Key{Kind: "Site.edge.example", Name: "site"}, UID: "uid-0", Child: "gate", Version: "v1", Controller: true, Block: true}}
	o.Finalizers = []Finalizer{"gateway"}
	o.Needs = []string{"address", "tls"}
	return o
}

func mustAdmit(t testing.TB, old, new *Object) {
	t.Helper()
	if err := gateways.Admit(old, new); err != nil {
		t.Fatal(err)
	}
}

// causesOf lists what an error says is wrong, as "field type".
func causesOf(t testing.TB, err error) []string {
	t.Helper()
	var list []Cause
	if inv, ok := errors.AsType[*Invalid](err); ok {
		list = inv.Causes
	} else if bad, ok := errors.AsType[*Malformed](err); ok {
		list = bad.Causes
	} else if err != nil {
		t.Fatalf("want an error with causes, got %T: %v", err, err)
	}
	var words []string
	for _, c := range list {
		words = append(words, c.Field+" "+string(c.Type)+": "+c.Message)
	}
	return words
}
