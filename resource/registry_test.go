package resource_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	. "github.com/setpointhq/setpoint/resource"
)

func kind(group, name string, short ...string) *Definition {
	return MustDefine(Options[struct{}, struct{}]{Group: group, Version: "v1", Kind: name, ShortNames: short})
}

func TestRegistryResolve(t *testing.T) {
	var r Registry
	if err := r.Register(kind("edge.example", "Gateway", "gw", "g"), kind("net.example", "Gateway", "ng"), kind("edge.example", "Route", "g", "rt"), kind("edge.example", "Rt")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ reason, typed, want string }{
		{"plural", "routes", "Route.edge.example"},
		{"singular", "route", "Route.edge.example"},
		{"kind, in any case", "ROUTE", "Route.edge.example"},
		{"short name", "gw", "Gateway.edge.example"},
		{"a full name goes before a short one", "rt", "Rt.edge.example"},
		{"plural and group", "gateways.net.example", "Gateway.net.example"},
		{"singular and group", "gateway.edge.example", "Gateway.edge.example"},
		{"the identifier", "Gateway.net.example", "Gateway.net.example"},
		{"plural, version and group", "gateways.v1.edge.example", "Gateway.edge.example"},
	} {
		d, err := r.Resolve(c.typed)
		if err != nil || string(d.ID()) != c.want {
			t.Errorf("%s: %q is %v (%v), want %s", c.reason, c.typed, d, err, c.want)
		}
	}
	for _, c := range []struct {
		reason, typed, want string
		is                  error
	}{
		{"two kinds of one name", "gateways", `"gateways": several kinds have this name: gateways.edge.example, gateways.net.example`, ErrAmbiguousKind},
		{"two kinds of one short name", "g", `"g": several kinds have this name: gateways.edge.example, routes.edge.example`, ErrAmbiguousKind},
		{"a slip of the pen", "rotues", `"rotues": no such kind (did you mean "routes"?)`, ErrUnknownKind},
		{"nothing like it", "xxxxxxxxx", `"xxxxxxxxx": no such kind`, ErrUnknownKind},
	} {
		_, err := r.Resolve(c.typed)
		if !errors.Is(err, c.is) || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.reason, err, c.want)
		}
	}
}

func TestRegistryLooksUp(t *testing.T) {
	var r Registry
	core := &Definition{Version: "v1", Kind: "Namespace", Plural: "namespaces", Singular: "namespace", Scope: Cluster}
	if err := r.Register(kind("b.example", "B"), kind("a.example", "Zed"), kind("a.example", "A"), core); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, d := range r.List() {
		ids = append(ids, string(d.ID()))
	}
	if want := []string{"Namespace.", "A.a.example", "Zed.a.example", "B.b.example"}; !slices.Equal(ids, want) {
		t.Errorf("kinds are listed by group and name: got %q, want %q", ids, want)
	}
	if d, ok := r.Resource("a.example", "v1", "zeds"); !ok || d.Kind != "Zed" {
		t.Error("a kind is found by its URL")
	}
	if d, ok := r.Resource("", "v1", "namespaces"); !ok || d != core {
		t.Error("and so is one of the core group")
	}
	if _, ok := r.Resource("a.example", "v2", "zeds"); ok {
		t.Error("another version is another URL")
	}
	if d, ok := r.Kind("B.b.example"); !ok || d.Kind != "B" {
		t.Error("a kind is found by its identifier")
	}
}

func TestRegistryIsAllOrNothing(t *testing.T) {
	var r Registry
	first := kind("g.example", "Thing")
	if err := r.Register(first); err != nil {
		t.Fatal(err)
	}
	rival := MustDefine(Options[struct{}, struct{}]{Group: "g.example", Version: "v1", Kind: "Other", Plural: "things"})
	err := r.Register(kind("g.example", "New"), kind("g.example", "Thing"), rival, &Definition{Kind: "wrong"})
	if !errors.Is(err, ErrDuplicateKind) {
		t.Fatalf("want %v, got %v", ErrDuplicateKind, err)
	}
	for _, want := range []string{"Thing.g.example: kind is registered already", `Thing.g.example has the plural "things" in the group "g.example" too`, `the kind "wrong" must begin`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	if n := len(r.List()); n != 1 {
		t.Errorf("of a list with faults nothing is registered, got %d kinds", n)
	}
	newer := kind("g.example", "Thing")
	if err := r.Replace(newer); err != nil {
		t.Fatal(err)
	}
	if d, _ := r.Kind("Thing.g.example"); d != newer {
		t.Error("a replaced kind is the new one")
	}
	if !r.Remove("Thing.g.example") || r.Remove("Thing.g.example") || len(r.List()) != 0 {
		t.Error("a kind can be removed once")
	}
}

// TestRegistryReadsWhileWritten runs under the race detector.
func TestRegistryReadsWhileWritten(t *testing.T) {
	var r Registry
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if err := r.Register(kind("g.example", "K"+strings.Repeat("x", i))); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			for _, d := range r.List() {
				if got, err := r.Resolve(d.Plural + "." + d.Group); err != nil || got != d {
					t.Errorf("a kind that is listed can be found: %v %v", got, err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(r.List()); n != 4 {
		t.Errorf("four kinds were registered, %d are there", n)
	}
}
