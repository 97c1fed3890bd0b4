package setpoint_test

import (
	"context"
	"fmt"

	"github.com/setpointhq/setpoint"
)

type (
	SiteSpec struct {
		Host string `json:"host"`
	}
	SiteStatus struct {
		IP string `json:"ip,omitempty"`
	}
	Site = setpoint.Resource[SiteSpec, SiteStatus]

	AddressSpec struct {
		Pool string `json:"pool"`
	}
	AddressStatus struct {
		IP string `json:"ip,omitempty"`
	}
	Address = setpoint.Resource[AddressSpec, AddressStatus]

	RecordSpec struct {
		Name string `json:"name"`
		IP   string `json:"ip"`
	}
	RecordStatus struct{}
	Record       = setpoint.Resource[RecordSpec, RecordStatus]
)

var (
	Sites     = setpoint.MustDefine(setpoint.KindOptions[SiteSpec, SiteStatus]{Group: "web.example", Version: "v1"})
	Addresses = setpoint.MustDefine(setpoint.KindOptions[AddressSpec, AddressStatus]{Group: "web.example", Version: "v1"})
	Records   = setpoint.MustDefine(setpoint.KindOptions[RecordSpec, RecordStatus]{Group: "web.example", Version: "v1"})

	pool = setpoint.Endpoint[AddressSpec, AddressStatus]{Adapter: "allocator"}
	zone = setpoint.Endpoint[RecordSpec, RecordStatus]{Adapter: "dns"}
)

// The code of the README.

func driveSite(t *setpoint.Turn, s *Site) setpoint.Outcome {
	address := Addresses.Child(t, "ip", AddressSpec{Pool: "edge"})
	if s.Status.IP = address.Status.IP; s.Status.IP != "" {
		Records.Child(t, "dns", RecordSpec{Name: s.Spec.Host, IP: s.Status.IP}, setpoint.Needs("ip"))
	} else {
		Records.Hold(t, "dns") // undecided: neither made nor removed
	}
	return t.Rollup() // at rest when all children are; removes those that are not declared any more
}

func driveAddress(t *setpoint.Turn, a *Address) setpoint.Outcome {
	grant := pool.Ensure(t, t.NaturalKey(), &a.Spec) // one command to the allocator, however often this runs
	a.Status.IP = grant.Result.IP
	return grant.Outcome()
}

func driveRecord(t *setpoint.Turn, r *Record) setpoint.Outcome {
	return zone.Ensure(t, r.Spec.Name, &r.Spec).Outcome()
}

// A site gets an address and a DNS record, and loses both when it is deleted, the record first.
func Example() {
	allocator := &fake{answer: `{"ip":"192.0.2.7"}`}
	dns := &fake{answer: `{}`}
	err := demonstrate(setpoint.Config{
		Kinds: []*setpoint.Definition{Sites.Definition, Addresses.Definition, Records.Definition},
		Controllers: []setpoint.Controller{
			Sites.Driver("site", driveSite), Addresses.Driver("address", driveAddress), Records.Driver("record", driveRecord),
		},
		Adapters: []setpoint.Adapter{{Name: "allocator", Adapter: allocator}, {Name: "dns", Adapter: dns}},
	}, func(ctx context.Context, plane *setpoint.Plane) error {
		key := Sites.Key("default", "www")
		if err := create(ctx, plane, key, `{"host":"www.example"}`); err != nil {
			return err
		}
		if err := await(ctx, plane, key, ready); err != nil {
			return err
		}
		o, _ := plane.View().Get(key)
		fmt.Printf("the site is ready: %s\n", o.Status)
		if _, _, err := plane.Delete(ctx, "api:ada", key, setpoint.Preconditions{}, false); err != nil {
			return err
		}
		return await(ctx, plane, key, gone)
	})
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println("allocator:", allocator.calls)
	fmt.Println("dns:", dns.calls)
	// Output:
	// the site is ready: {"ip":"192.0.2.7"}
	// allocator: [default/www.ip {"pool":"edge"} default/www.ip absent]
	// dns: [www.example {"name":"www.example","ip":"192.0.2.7"} www.example absent]
}
