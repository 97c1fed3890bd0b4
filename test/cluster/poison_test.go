package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/test/internal/program"
)

// poison are the objects that make something fail, with what is said of them.
var poison = []struct {
	reason, name string
	spec         orderSpec
	says         string // among what the object, or a node, says
}{
	{"its controller panics", "bad-panic", orderSpec{Value: "v", Mode: "panic"}, "an order that cannot be stood"},
	{"its controller hangs", "bad-hang", orderSpec{Value: "v", Mode: "hang"}, "a call does not return in time"},
	{"its command is refused as malformed", "bad-request", orderSpec{Value: "malformed"}, "the request is malformed: want a value"},
	{"its adapter panics", "bad-drop", orderSpec{Value: "drop"}, "dropped default/bad-drop"},
	{"its status was written by another version, and cannot be decoded", "bad-status", orderSpec{Value: "v"}, "cannot unmarshal"},
}

// TestPoison: objects that fail in every way are there when all nodes start anew, under another version of the program than the one that wrote them. Everything else recovers, on every node; each bad object says what is
// the matter with it, or the node does.
func TestPoison(t *testing.T) {
	t.Parallel()
	count := program.Size(100, 1000)
	w := newTown(t, 2*time.Second)
	// The former version of the program, which writes a status that the present one cannot read.
	former := w.start(launch{config: map[string]any{"Old": true}})
	w.divided(former)
	w.serving(former)
	orders, jobs := w.kind("orders"), w.kind("jobs")
	w.mustApply(orders, "bad-status", poison[len(poison)-1].spec)
	w.awaitReady("Order", "bad-status", 1)
	former.kill()

	nodes := []*node{w.start(launch{}), w.start(launch{}), w.start(launch{})}
	w.divided(nodes...)
	w.serving(nodes...)
	w.each(count, func(i int) error { return w.apply(t.Context(), jobs, fmt.Sprintf("job-%d", i), struct{}{}) })
	w.awaitReady("Job", "job-%", count)
	for _, n := range nodes {
		n.subsystems["machines"].hold(back)
	}
	w.each(count, func(i int) error {
		return w.apply(t.Context(), orders, fmt.Sprintf("order-%d", i), orderSpec{Value: "v"})
	})
	for _, bad := range poison[:len(poison)-1] {
		w.mustApply(orders, bad.name, bad.spec)
	}
	w.each(count, func(i int) error {
		return w.raise(t.Context(), jobs, fmt.Sprintf("job-%d", i), "NeedsWork", "first")
	})
	for _, n := range nodes {
		n.kill()
	}
	nodes = []*node{w.start(launch{}), w.start(launch{}), w.start(launch{})}
	w.awaitReady("Order", "order-%", count)
	w.await("all actions have ended", func() (string, bool) {
		n := w.number(`SELECT count(*) FROM setpoint.object WHERE kind LIKE 'Job.%' AND state = 'Idle' AND status = '{"runs":1}'`)
		return fmt.Sprint(n), n == count
	})
	w.onceEach(count)
	w.once()
	w.rising()
	w.legal()
	w.divided(nodes...)
	for _, bad := range poison {
		w.await(bad.reason+", and it is said", func() (string, bool) {
			said := ""
			for _, row := range w.query("SELECT attributes FROM setpoint.object WHERE name = '" + bad.name + "'") {
				said += row[0]
			}
			for _, n := range nodes {
				said += lastLines(n.Output(), bad.name, 20)
			}
			return fmt.Sprintf("%.600s", said), strings.Contains(said, bad.says)
		})
	}
	t.Logf("%d orders and %d jobs recovered beside %d objects that do not; ready of those: %d", count, count, len(poison), w.ready("Order", "bad-%"))
}
