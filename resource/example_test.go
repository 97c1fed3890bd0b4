package resource_test

import (
	"cmp"
	"fmt"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/setpointhq/setpoint/resource"
)

// RecordSpec is what a user wants of a DNS record.
type RecordSpec struct {
	Name string   `json:"name" jsonschema:"The name that is looked up."`
	A    []string `json:"a"`
	TTL  int      `json:"ttl,omitempty"`
}

// RecordStatus is what is reported about it.
type RecordStatus struct {
	Serial int `json:"serial,omitempty"`
}

// Record is the kind with both.
type Record = resource.Typed[RecordSpec, RecordStatus]

var records = resource.MustDefine(resource.Options[RecordSpec, RecordStatus]{
	Group: "dns.example", Version: "v1", ShortNames: []string{"rec"},
	Refine: func(spec, _ *jsonschema.Schema) {
		spec.Properties["name"].Format = "hostname"
		spec.Properties["a"].Items.Format = "ipv4"
	},
	Default: func(s *RecordSpec) { s.TTL = cmp.Or(s.TTL, 300) },
	Validate: func(old, new *Record) error {
		if old != nil && old.Spec.Name != new.Spec.Name {
			return resource.Refuse("spec.name", "cannot be changed; make another record")
		}
		return nil
	},
})

func exampleBirth() resource.Birth {
	return resource.Birth{Now: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), UID: func() resource.UID { return "4f1c" }}
}

func ExampleDefine() {
	fmt.Println(records.ID(), records.APIVersion(), records.Plural, records.ShortNames)
	// Output: Record.dns.example dns.example/v1 records [rec]
}

func ExampleDefinition_New() {
	o, err := records.New("tenant", "www", RecordSpec{Name: "www.example", A: []string{"10.0.0.1"}}, exampleBirth())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(resource.AppendJSON(nil, records, o)))
	// Output: {"apiVersion":"dns.example/v1","kind":"Record","metadata":{"name":"www","namespace":"tenant","uid":"4f1c","generation":1,"creationTimestamp":"2026-11-21T09:00:00Z"},"spec":{"name":"www.example","a":["10.0.0.1"],"ttl":300}}
}

func ExampleDefinition_Admit() {
	o, err := resource.Parse(records, []byte(`{"metadata":{"name":"www","namespace":"tenant"},"spec":{"a":["10.0.0.1","localhost"],"tll":60}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := records.Prepare(o, exampleBirth()); err != nil {
		fmt.Println(err)
		return
	}
	if inv, ok := records.Admit(nil, o).(*resource.Invalid); ok {
		for _, cause := range inv.Causes {
			fmt.Println(cause)
		}
	}
	// Output:
	// spec.name: is required
	// spec.a[1]: "localhost" is not an IPv4 address
	// spec.tll: unknown field (did you mean "ttl"?)
}

func ExampleParse() {
	_, err := resource.Parse(records, []byte(`{"kind":"Record","metadata":{"nmae":"www"}}`))
	fmt.Println(err)
	// Output: Record.dns.example/ cannot be read: metadata.nmae: unknown field (did you mean "name"?)
}

func ExampleView() {
	o, err := records.New("tenant", "www", RecordSpec{Name: "www.example"}, exampleBirth())
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := resource.View[RecordSpec, RecordStatus](o)
	fmt.Println(r.Name, r.Spec.TTL, r.Status.Serial, err)
	// Output: www 300 0 <nil>
}

func ExampleRegistry_Resolve() {
	var kinds resource.Registry
	if err := kinds.Register(records); err != nil {
		fmt.Println(err)
		return
	}
	d, err := kinds.Resolve("rec")
	fmt.Println(d.Plural, err)
	_, err = kinds.Resolve("recrods")
	fmt.Println(err)
	// Output:
	// records <nil>
	// "recrods": no such kind (did you mean "records"?)
}

func ExampleSameJSON() {
	fmt.Println(resource.SameJSON([]byte(`{"a":1,"b":2}`), []byte(`{ "b":2, "a":1 }`)))
	// Output: true
}
