package resource_test

import (
	"encoding/json"
	"testing"

	. "github.com/setpointhq/setpoint/resource"
)

func BenchmarkAppendJSON(b *testing.B) {
	o := full(b)
	buf := AppendJSON(nil, gateways, o)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		buf = AppendJSON(buf[:0], gateways, o)
	}
}

func BenchmarkParse(b *testing.B) {
	body := AppendJSON(nil, gateways, full(b))
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := Parse(gateways, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	o := full(b)
	for b.Loop() {
		if _, err := Decode[GatewaySpec, GatewayStatus](o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRow(b *testing.B) {
	o := full(b)
	for b.Loop() {
		gateways.Row(o)
	}
}

func BenchmarkView(b *testing.B) {
	o := full(b)
	for b.Loop() {
		if _, err := View[GatewaySpec, GatewayStatus](o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	g, err := Decode[GatewaySpec, GatewayStatus](full(b))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Encode(g); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAdmit(b *testing.B) {
	old := newGateway(b)
	status := old.Clone()
	status.Status = json.RawMessage(`{"ip":"10.0.0.1","healthy":2}`)
	spec := old.Clone()
	spec.Spec, spec.Generation = json.RawMessage(`{"host":"shop.example","size":"large","routes":[{"path":"/a","backend":"a"},{"path":"/b","backend":"b"}]}`), 2
	for _, c := range []struct {
		name     string
		old, new *Object
	}{{"create", nil, old}, {"status", old, status}, {"spec", old, spec}, {"nothing", old, old.Clone()}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if err := gateways.Admit(c.old, c.new); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
