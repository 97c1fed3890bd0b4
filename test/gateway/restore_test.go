package gateway

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	edge "github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// TestRestore: a backup takes the place of the database. One that is up to date changes nothing outside; one that is not brings the world back to what it
// says, and what it does not know stays where it is until somebody asks for it again.
func TestRestore(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	d.Start()
	d.introduced()
	wishes := map[string]edge.GatewaySpec{"shop": d.spec("shop", 2, "r1"), "g1": d.spec("g1", 1, "r1"), "g2": d.spec("g2", 1, "r1")}
	for name, wish := range wishes {
		d.mustApply(name, wish)
	}
	d.awaitWishes(wishes)
	d.restoreFresh(wishes)

	wishes["g1"] = d.spec("g1", 2, "r2")
	before := d.highest()
	d.mustApply("g1", wishes["g1"])
	all := d.awaitWishes(wishes)
	d.agree(all)
	d.answers(t, all["g1"], "r2")
	lines := d.ledger("hosts")
	if last := lines[len(lines)-1]; last.Effect != subsystem.Create || last.Epoch.Compare(before) <= 0 {
		t.Errorf("after the restore, the host's last line is %+v, want a start under an epoch above %s", last, before)
	}
	t.Logf("epochs: %s before, %s after", before, d.highest())

	d.restoreOld(wishes)
	d.once()
	for name := range wishes {
		d.mustDelete(name)
	}
	d.awaitWishes(nil)
	d.nothingLeft(t)
}

// restoreFresh puts a backup in the place of the database that it was made of, and expects nobody to notice.
func (d *demo) restoreFresh(wishes map[string]edge.GatewaySpec) {
	d.t.Helper()
	backup := d.backup("fresh.db")
	processes, effects, incarnation := d.running(), d.tally(), d.incarnation()
	d.restore(backup)
	all := d.awaitWishes(wishes)
	d.agree(all)
	if now := d.running(); !maps.Equal(processes, now) {
		d.t.Errorf("after the restore these processes run: %v, before: %v", now, processes)
	}
	if now := d.tally(); !maps.Equal(effects, now) {
		d.t.Errorf("after the restore the subsystems have had these effects: %v, before: %v", now, effects)
	}
	if now := d.incarnation(); now <= incarnation {
		d.t.Errorf("the incarnation is %d after the restore, and was %d", now, incarnation)
	}
}

// restoreOld goes back to before a change, a creation and a deletion.
func (d *demo) restoreOld(wishes map[string]edge.GatewaySpec) {
	d.t.Helper()
	backup := d.backup("old.db")
	old := maps.Clone(wishes)
	wishes["g1"] = d.spec("g1", 2, "r3")
	wishes["g3"] = d.spec("g3", 1, "r3")
	wishes["shop"] = d.spec("shop", 3, "r1")
	delete(wishes, "g2")
	for name, wish := range wishes {
		d.mustApply(name, wish)
	}
	d.mustDelete("g2")
	later := d.awaitWishes(wishes)
	d.agree(later)
	processes, epoch := d.running(), d.highest()

	d.restore(backup)
	var all map[string]gateway
	unknown := []string{"default/shop.i2", "default/g3.i0"}
	d.Await("all that the backup knows is as it says", func() (string, bool) {
		all = d.awaitWishes(old)
		problems := slices.Concat(d.wrong(all["shop"], "r1"), d.wrong(all["g1"], "r2"), d.wrong(all["g2"], "r1"))
		return strings.Join(problems, ", "), len(problems) == 0 && len(d.strays(all)) == len(unknown)
	})
	left := d.disagreements(all)
	d.t.Logf("what the backup does not know is left alone:\n  %s", strings.Join(left, "\n  "))
	for _, key := range unknown {
		if !slices.ContainsFunc(left, func(l string) bool { return strings.Contains(l, key) }) {
			d.t.Errorf("process %s was made after the backup, and nothing says that it runs", key)
		}
	}
	d.adopt(wishes, processes, epoch)
}

// adopt asks again for what was asked for after the backup: what is there already is found by its key, and not made twice.
func (d *demo) adopt(wishes map[string]edge.GatewaySpec, processes map[int]string, epoch resource.Epoch) {
	d.t.Helper()
	starts := count(d.ledger("hosts"), subsystem.Create)
	for name, wish := range wishes {
		d.mustApply(name, wish)
	}
	d.mustDelete("g2")
	all := d.awaitWishes(wishes)
	d.agree(all)
	d.answers(d.t, all["g1"], "r3")
	d.answers(d.t, all["g3"], "r3")
	if now := d.running(); !maps.Equal(now, processes) {
		d.t.Errorf("when all is asked for again, these processes run: %v, before: %v", now, processes)
	}
	if n := count(d.ledger("hosts"), subsystem.Create) - starts; n != 0 {
		d.t.Errorf("%d processes were started for replicas that had one", n)
	}
	lines := d.ledger("hosts")
	if last := lines[len(lines)-1]; last.Epoch.Compare(epoch) <= 0 {
		d.t.Errorf("the host's last line is %+v, want an epoch above %s", last, epoch)
	}
}

// backup writes a backup beside the demo, while Setpoint runs.
func (d *demo) backup(name string) string {
	d.t.Helper()
	path := filepath.Join(filepath.Dir(d.Directory), name)
	if got := strings.TrimSpace(d.Command("backup", path)); got != path {
		d.t.Errorf("setpoint backup printed %q, want %s", got, path)
	}
	return path
}

// restore puts a backup in the place of the database, with Setpoint stopped meanwhile.
func (d *demo) restore(backup string) {
	d.t.Helper()
	d.Interrupt()
	program.Run(d.t, program.Path(), "restore", backup, d.Path("setpoint.db"))
	d.Start()
	d.introduced()
}

// incarnation is that of the database.
func (d *demo) incarnation() int {
	d.t.Helper()
	n, err := strconv.Atoi(d.sql("SELECT incarnation FROM meta"))
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

// highest is the highest epoch that any subsystem of the kit has acted under.
func (d *demo) highest() (highest resource.Epoch) {
	d.t.Helper()
	for _, name := range []string{"allocator", "hosts"} {
		for _, l := range d.ledger(name) {
			if l.Epoch.Compare(highest) > 0 {
				highest = l.Epoch
			}
		}
	}
	return highest
}
