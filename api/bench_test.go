package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/api"
	"github.com/setpointhq/setpoint/resource"
)

// BenchmarkRead is the server's work for reads: no socket takes part.
func BenchmarkRead(b *testing.B) {
	p := newPlane(b, gateways(), zones())
	h := api.New(api.Options{Plane: p})
	notes := `{"host":"www.example","notes":["` + strings.Repeat("x", 900) + `"]}`
	for i := range 500 {
		o := &resource.Object{Meta: resource.Meta{Key: gatewayKey(resource.Name(fmt.Sprintf("g%03d", i)))}, Spec: []byte(notes)}
		o.Labels = map[string]string{"app": "edge", "tier": "front"}
		if _, err := p.Create(b.Context(), "bench", o, api.WriteOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range []struct{ name, path, accept string }{
		{"get", gateways1 + "/g250", ""},
		{"list-500", gateways1, ""},
		{"list-500-by-label", gateways1 + "?labelSelector=app%3Dedge", ""},
		{"table-500", gateways1, tableType},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest("GET", c.path, nil)
			if c.accept != "" {
				r.Header.Set("Accept", c.accept)
			}
			b.ReportAllocs()
			for b.Loop() {
				w := &discard{header: http.Header{}}
				h.ServeHTTP(w, r)
				b.SetBytes(int64(w.size))
			}
		})
	}
}

// discard is a client that takes everything and keeps nothing.
type discard struct {
	header http.Header
	size   int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(b []byte) (int, error) { d.size += len(b); return len(b), nil }
