package resource_test

import (
	"reflect"
	"strings"
	"sync"
	"testing"

	. "github.com/setpointhq/setpoint/resource"
	"pgregory.net/rapid"
)

func TestDecodeIsPrivate(t *testing.T) {
	o := newGateway(t)
	g, err := Decode[GatewaySpec, GatewayStatus](o)
	if err != nil {
		t.Fatal(err)
	}
	g.Labels["team"], g.Needs[0], g.Spec.Routes[0].Path = "other", "other", "/other"
	if o.Labels["team"] != "web" || o.Needs[0] != "address" || !strings.Contains(string(o.Spec), `"/a"`) {
		t.Error("a change to a decoded copy must not reach the object")
	}
}

func TestViewDecodesOnce(t *testing.T) {
	o := newGateway(t)
	var wg sync.WaitGroup
	for range 8 { // under the race detector
		wg.Go(func() {
			if _, err := View[GatewaySpec, GatewayStatus](o); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	first, err := View[GatewaySpec, GatewayStatus](o)
	if err != nil {
		t.Fatal(err)
	}
	second, err := View[GatewaySpec, GatewayStatus](o)
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Error("the second reader must get what the first had decoded")
	}
	if n := testing.AllocsPerRun(10, func() { _, err = View[GatewaySpec, GatewayStatus](o) }); n != 0 || err != nil {
		t.Errorf("reading again allocates %v times, want 0 (%v)", n, err)
	}
	c := o.Clone()
	c.Spec = []byte(`{"host":"changed.example"}`)
	changed, err := View[GatewaySpec, GatewayStatus](c)
	if err != nil {
		t.Fatal(err)
	}
	if changed.Spec.Host != "changed.example" {
		t.Error("a clone must not inherit what was decoded of its original")
	}
	if loose, err := View[map[string]any, map[string]any](o); err != nil || loose.Spec["host"] != "shop.example" {
		t.Errorf("another pair of types must be decoded anew: %v %v", loose, err)
	}
}

func TestDecodeNamesWhatFailed(t *testing.T) {
	o := newGateway(t)
	o.Spec = []byte(`{"host":1}`)
	for _, decode := range []func(*Object) (*Gateway, error){Decode[GatewaySpec, GatewayStatus], View[GatewaySpec, GatewayStatus]} {
		if _, err := decode(o); err == nil || !strings.HasPrefix(err.Error(), "Gateway.edge.example/tenant/shop: decoding the spec: ") {
			t.Errorf("the error must name the object and the part, got %v", err)
		}
	}
}

// TestEncodeIsDeterministic: equal values have equal bytes, and decoding what was encoded gives the value back.
func TestEncodeIsDeterministic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.MapOf(rapid.String(), rapid.Int()).Draw(t, "weights")
		status := GatewayStatus{IP: rapid.String().Draw(t, "ip"), Healthy: rapid.Int().Draw(t, "healthy"), Backends: weights}
		again := GatewayStatus{IP: status.IP, Healthy: status.Healthy, Backends: map[string]int{}}
		for k, v := range weights {
			again.Backends[k] = v
		}
		g := &Gateway{Spec: GatewaySpec{Host: rapid.String().Draw(t, "host")}, Status: status}
		h := &Gateway{Spec: g.Spec, Status: again}
		a, err := Encode(g)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Encode(h)
		if err != nil {
			t.Fatal(err)
		}
		if string(a.Status) != string(b.Status) || string(a.Spec) != string(b.Spec) {
			t.Fatalf("equal values, different bytes:\n%s\n%s", a.Status, b.Status)
		}
		back, err := Decode[GatewaySpec, GatewayStatus](a)
		if err != nil {
			t.Fatal(err)
		}
		if len(weights) == 0 {
			back.Status.Backends, status.Backends = nil, nil // an empty map is left out
		}
		if !reflect.DeepEqual(back.Status, status) {
			t.Fatalf("got %v back, want %v", back.Status, status)
		}
	})
}

func TestEncodeReportsWhatJSONCannotSay(t *testing.T) {
	type bad struct {
		F func() `json:"f"`
	}
	if _, err := Encode(&Typed[bad, struct{}]{}); err == nil || !strings.Contains(err.Error(), "encoding the spec") {
		t.Errorf("a function has no JSON; got %v", err)
	}
	if _, err := Encode(&Typed[struct{}, bad]{}); err == nil || !strings.Contains(err.Error(), "encoding the status") {
		t.Errorf("a function has no JSON; got %v", err)
	}
}

func TestSetCondition(t *testing.T) {
	var a Attributes
	later := noon.Add(1)
	a.SetCondition(Condition{Type: Ready, Status: False, Reason: "New", Since: noon})
	a.SetCondition(Condition{Type: Late, Status: True, Since: noon})
	shared := a.Conditions
	a.SetCondition(Condition{Type: Ready, Status: False, Reason: "Waiting", Since: later})
	if a.Conditions[0].Type != Late || a.Conditions[1].Reason != "Waiting" || !a.Conditions[1].Since.Equal(noon) {
		t.Errorf("sorted by type, and the time kept while the status is: %+v", a.Conditions)
	}
	if shared[1].Reason != "New" {
		t.Error("what others hold must not change under them")
	}
	a.SetCondition(Condition{Type: Ready, Status: True, Since: later})
	if !a.Is(Ready) || !a.Conditions[1].Since.Equal(later) {
		t.Errorf("a change of status has its own time: %+v", a.Conditions)
	}
}

func TestOwner(t *testing.T) {
	plain, controlling := Owner{UID: "a"}, Owner{UID: "b", Controller: true}
	for _, c := range []struct {
		reason string
		owners []Owner
		want   UID
		ok     bool
	}{
		{"no owner", nil, "", false},
		{"the one that controls, wherever it stands", []Owner{plain, controlling}, "b", true},
		{"whoever declared a child controls it", []Owner{plain, {UID: "c", Child: "x"}}, "c", true},
		{"the first, when none controls", []Owner{plain, {UID: "d"}}, "a", true},
	} {
		m := Meta{Attributes: Attributes{Owners: c.owners}}
		if got, ok := m.Owner(); got.UID != c.want || ok != c.ok {
			t.Errorf("%s: got %q %v, want %q %v", c.reason, got.UID, ok, c.want, c.ok)
		}
	}
}
