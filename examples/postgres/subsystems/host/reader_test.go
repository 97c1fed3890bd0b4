package host

import (
	"fmt"
	"slices"
	"testing"

	"github.com/setpointhq/setpoint/adapter/subsystem"
)

// TestWhatIsRaisedOfASequenceOfReports: the reader sees some moments of a server only, and what it raises must be right all the same.
func TestWhatIsRaisedOfASequenceOfReports(t *testing.T) {
	up := func(starts uint64) Health { return Health{Server: "a", Running: true, Answering: true, Starts: starts} }
	down := func(starts uint64) Health { return Health{Server: "a", Starts: starts} }
	adrift := Health{Server: "a", Running: true, Answering: true, Role: Standby, Adrift: true}
	told := AdapterOptions{Adrift: "Adrift"}
	for _, c := range []struct {
		reason  string
		options AdapterOptions
		reports []Health
		raised  []string
	}{
		{"it goes and comes", AdapterOptions{}, []Health{up(1), down(1), up(2)}, []string{"Missed a", "Seen a"}},
		{"it was down, was started, and is down again before anybody has seen it up", AdapterOptions{}, []Health{up(1), down(1), down(2)}, []string{"Missed a", "Missed a"}},
		{"it stays down", AdapterOptions{}, []Health{down(1), down(1)}, []string{"Missed a"}},
		{"the plane knows that it is down", AdapterOptions{Missing: func(string) bool { return true }}, []Health{down(3)}, nil},
		{"it is up, and nobody knows what the plane thinks", AdapterOptions{Unsure: true}, []Health{up(1), up(1)}, []string{"Seen a"}},
		{"it is down, and nobody knows what the plane thinks", AdapterOptions{Unsure: true}, []Health{down(0), down(0), up(1)}, []string{"Missed a", "Seen a"}},
		{"it is adrift, and is not any more", told, []Health{up(1), adrift, adrift, up(1)}, []string{"Adrift a", "Seen a"}},
		{"it is adrift, and dies", told, []Health{up(1), adrift, down(1), up(2)}, []string{"Adrift a", "Missed a", "Seen a"}},
		{"it is adrift, and nobody wants to know", AdapterOptions{}, []Health{up(1), adrift, up(1)}, nil},
		{"it is fenced: it does not answer, and may be still to be written to", AdapterOptions{}, []Health{up(1), {Server: "a", Fenced: true}}, []string{"Missed a"}},
		{"it dies a second time while the first is not served yet", AdapterOptions{}, []Health{up(1), down(1), up(2), down(2)}, []string{"Missed a", "Seen a", "Missed a"}},
	} {
		d := &desk{}
		c.options.Client, c.options.Object = subsystem.ClientOptions{URL: "http://127.0.0.1:1"}, object
		r := newReader(NewAdapter(c.options), d, "")
		for _, h := range c.reports {
			r.take(CheckIns{Health: []Health{h}})
			if err := r.tell(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := d.all(); !slices.Equal(got, c.raised) {
			t.Errorf("%s: raised are %v, want %v", c.reason, got, c.raised)
		}
		distinct := map[string]bool{}
		for _, n := range d.notices {
			distinct[fmt.Sprint(n.Signal, " ", n.Dedupe)] = true
		}
		if len(distinct) != len(d.notices) {
			t.Errorf("%s: of %d notices some are taken for others: %v", c.reason, len(d.notices), distinct)
		}
	}
}
