package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestHungNode: the turns of a node hang, all of them, while it beats. It says that it is in trouble, gives its shards up, and others do its work; when its turns go on it has a share again.
func TestHungNode(t *testing.T) {
	t.Parallel()
	const count = 200
	w := newTown(t, time.Second)
	nodes := w.begin(3)
	orders := w.kind("orders")
	hung := nodes[0]
	if err := hung.mishap("hang"); err != nil {
		t.Fatal(err)
	}
	w.each(count, func(i int) error {
		return w.apply(t.Context(), orders, fmt.Sprintf("order-%d", i), orderSpec{Value: "v"})
	})
	trouble := ""
	w.await("the node says that it is in trouble, and is a member all the same", func() (string, bool) {
		rows := w.query(fmt.Sprintf("SELECT trouble FROM setpoint.node WHERE name = '%s' AND expires > clock_timestamp()", hung.name))
		if len(rows) == 1 {
			trouble = rows[0][0]
		}
		return fmt.Sprint(rows), trouble != ""
	})
	w.divided(nodes[1:]...)
	w.awaitReady("Order", "order-%", count)
	for name, n := range w.effects("machines") {
		if n != 1 {
			t.Errorf("%s had %d effects", name, n)
		}
	}
	t.Logf("node %s beat, and said: %s; the others have all shards, and finished %d orders, each once", hung.name, trouble, count)
	if err := hung.mishap("go"); err != nil {
		t.Fatal(err)
	}
	w.divided(nodes...)
	w.goesOn(nodes...)
}

// TestOutOfMemory: the kernel kills a node that has taken more memory than its control group allows. Its work is taken over.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	const count = 100
	w := newTown(t, time.Second)
	nodes := w.begin(3)
	orders := w.kind("orders")
	victim := nodes[0]
	victim.subsystems["machines"].hold(back) // so that there is work to be taken over
	killedByKernel := w.confine(victim, 256<<20)
	w.each(count, func(i int) error {
		return w.apply(t.Context(), orders, fmt.Sprintf("order-%d", i), orderSpec{Value: "v"})
	})
	victim.mark(true)
	for pieces := 0; pieces < 64 && victim.mishap("eat") == nil; pieces++ {
	}
	w.await("the node has died of what it took", func() (string, bool) { return "", victim.dead() })
	if !killedByKernel() {
		t.Errorf("the node ended with %v, and its control group says that nothing was killed", victim.Err())
	}
	w.divided(nodes[1:]...)
	w.awaitReady("Order", "order-%", count)
	for name, n := range w.effects("machines") {
		if n != 1 {
			t.Errorf("%s had %d effects", name, n)
		}
	}
	t.Logf("node %s ended with: %v; the others have all shards, and finished %d orders, each once", victim.name, victim.Err(), count)
	w.goesOn(nodes[1:]...)
}

// groups are where control groups of memory are made (version 2 and version 1), the file that limits one, and that which counts what was killed in it.
var groups = []struct{ root, limit, events string }{
	{"/sys/fs/cgroup", "memory.max", "memory.events"},
	{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"},
}

// confine bounds the memory of a node by a control group of its own, and returns what tells whether the kernel has killed it. Without a bound that is in force the test ends here: the node would take all there is.
func (w *town) confine(n *node, bytes int) (killed func() bool) {
	w.Helper()
	for _, g := range groups {
		if _, err := os.Stat(filepath.Join(g.root, "cgroup.procs")); err != nil {
			w.Logf("%s is no hierarchy of control groups: %v", g.root, err)
			continue
		}
		folder := filepath.Join(g.root, fmt.Sprintf("setpoint-test-%d-%s", os.Getpid(), n.name))
		if err := os.Mkdir(folder, 0o755); err != nil {
			w.Logf("no group can be made in %s: %v", g.root, err)
			continue
		}
		w.Cleanup(func() {
			if err := os.Remove(folder); err != nil {
				w.Error(err)
			}
		})
		if err := errors.Join(overwrite(filepath.Join(folder, g.limit), bytes), overwrite(filepath.Join(folder, "cgroup.procs"), n.PID)); err != nil {
			w.Logf("%s cannot bound memory: %v", folder, err)
			continue
		}
		return func() bool {
			text, err := os.ReadFile(filepath.Join(folder, g.events))
			return err == nil && strings.Contains("\n"+string(text), "\noom_kill 1")
		}
	}
	w.Fatal("no control group of memory can be made; run the test as root")
	return nil
}

// overwrite writes a number into a file that must be there.
func overwrite(path string, n int) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(strconv.Itoa(n))
	return errors.Join(err, file.Close())
}
