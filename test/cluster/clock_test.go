package cluster

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/test/internal/program"
)

// TestWrongClock: the clock of a node is hours ahead, and that of another hours behind. The database knows by how much. Shards stay where they are, because memberships live by the database's clock; all work is done, and that of
// the node that is ahead is taken over when it dies.
func TestWrongClock(t *testing.T) {
	t.Parallel()
	const count, hours = 100, 3
	w := newTown(t, 2*time.Second)
	wrong := skewedProgram(t)
	ahead := w.start(launch{program: wrong, wrap: []string{"env", fmt.Sprintf("SETPOINT_TEST_CLOCK=%d", hours*3600)}})
	behind := w.start(launch{program: wrong, wrap: []string{"env", fmt.Sprintf("SETPOINT_TEST_CLOCK=%d", -hours*3600)}})
	right := w.start(launch{})
	w.divided(ahead, behind, right)
	w.serving(ahead, behind, right)
	for n, want := range map[*node]int{ahead: hours, behind: -hours, right: 0} {
		if got := w.number(fmt.Sprintf("SELECT round(extract(epoch FROM skew) / 3600)::int FROM setpoint.node WHERE name = '%s'", n.name)); got != want {
			t.Errorf("the database says that the clock of node %s is %d hours ahead, want %d", n.name, got, want)
		}
	}
	before := fmt.Sprint(w.shards())
	orders := w.kind("orders")
	w.each(count, func(i int) error {
		return w.apply(t.Context(), orders, fmt.Sprintf("order-%d", i), orderSpec{Value: "v"})
	})
	w.awaitReady("Order", "order-%", count)
	w.rest()
	if after := fmt.Sprint(w.shards()); after != before {
		t.Errorf("shards have moved for the sake of a clock:\n%s\n%s", before, after)
	}
	ahead.subsystems["machines"].hold(back)
	w.each(count, func(i int) error {
		return w.apply(t.Context(), orders, fmt.Sprintf("later-%d", i), orderSpec{Value: "v"})
	})
	ahead.kill()
	w.divided(behind, right)
	w.awaitReady("Order", "later-%", count)
	for name, n := range w.effects("machines") {
		if n != 1 {
			t.Errorf("%s had %d effects", name, n)
		}
	}
	t.Logf("%d orders were done on nodes whose clocks were wrong by %d hours, and %d more when one of them was killed; no shard moved but that node's", count, hours, count)
	w.goesOn(behind, right)
}

// skewedProgram is the program, without the race detector, with a standard library whose clock is wrong by the seconds that SETPOINT_TEST_CLOCK says. Nothing else of it differs: what passes is measured as before.
// It is made once, and removed with the program itself.
func skewedProgram(t *testing.T) string {
	t.Helper()
	skewing.Lock()
	defer skewing.Unlock()
	file := filepath.Join(filepath.Dir(program.Path()), "skewed")
	if _, err := os.Stat(file); err == nil {
		return file
	}
	source := filepath.Join(strings.TrimSpace(program.Run(t, "go", "env", "GOROOT")), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	const reads = "sec, nsec, mono := runtimeNow()\n"
	if !bytes.Contains(text, []byte(reads)) {
		t.Fatalf("%s reads the clock otherwise than this test knows", source)
	}
	text = bytes.ReplaceAll(text, []byte(reads), []byte(reads+"\tsec += skewed\n"))
	text = append(text, []byte(`
var skewed = func() (seconds int64) {
	text, _ := syscall.Getenv("SETPOINT_TEST_CLOCK")
	sign := int64(1)
	for _, c := range []byte(text) {
		if c == '-' {
			sign = -1
			continue
		}
		seconds = seconds*10 + int64(c-'0')
	}
	return seconds * sign
}()
`)...)
	text = bytes.Replace(text, []byte("import (\n"), []byte("import (\n\t\"syscall\"\n"), 1)
	folder := t.TempDir()
	changed, overlay := filepath.Join(folder, "time.go"), filepath.Join(folder, "overlay.json")
	for path, content := range map[string][]byte{changed: text, overlay: []byte(fmt.Sprintf(`{"Replace":{%q:%q}}`, source, changed))} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program.Run(t, "go", "build", "-o", file, "-overlay", overlay, "github.com/setpointhq/setpoint/test/cluster/node")
	return file
}

var skewing sync.Mutex
