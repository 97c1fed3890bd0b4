package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/dnsserver"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// ledger is what a subsystem of the kit says it has done.
func (d *demo) ledger(name string) []subsystem.LedgerLine {
	d.t.Helper()
	lines, err := subsystem.ReadLedger(d.Path(name, subsystem.LedgerFile))
	if err != nil {
		d.t.Fatal(err)
	}
	return lines
}

// zoneLedger is what the DNS server says it has done.
func (d *demo) zoneLedger() (lines []dnsserver.Line) {
	d.t.Helper()
	file, err := os.Open(d.Path("dns", subsystem.LedgerFile))
	if err != nil {
		d.t.Fatal(err)
	}
	decoder := json.NewDecoder(file)
	for decoder.More() {
		var line dnsserver.Line
		if err := decoder.Decode(&line); err != nil {
			d.t.Fatal(errors.Join(err, file.Close()))
		}
		lines = append(lines, line)
	}
	if err := file.Close(); err != nil {
		d.t.Fatal(err)
	}
	return lines
}

// count counts the lines with an effect.
func count(lines []subsystem.LedgerLine, effect subsystem.Effect) (n int) {
	for _, l := range lines {
		if l.Effect == effect {
			n++
		}
	}
	return n
}

// once checks that no token had two effects anywhere. A zone keeps a token beside each address that it has set.
func (d *demo) once() {
	d.t.Helper()
	for _, name := range []string{"allocator", "hosts"} {
		for token, n := range subsystem.EffectsPerToken(d.ledger(name)) {
			if n > 1 {
				d.t.Errorf("%s: token %s had %d effects", name, token, n)
			}
		}
	}
	for token, n := range zoneEffects(d.zoneLedger()) {
		if n > 1 {
			d.t.Errorf("dns: token %s changed addresses %d times", token, n)
		}
	}
}

// zoneUpdate is one update of the zone.
type zoneUpdate struct {
	// life counts how often the zone was emptied before.
	life    int
	token   string
	address bool
}

// zoneUpdates puts the lines of each update together: the serial's is the last. A zone that was emptied begins at another serial than it ended at.
func zoneUpdates(lines []dnsserver.Line) (updates []zoneUpdate) {
	var u zoneUpdate
	var serial []string
	for _, l := range lines {
		switch l.Type {
		case "A":
			u.address = true
		case "TXT":
			_, rest, _ := strings.Cut(strings.Join(l.After, ""), " t=")
			u.token, _, _ = strings.Cut(rest, " ")
		case "SOA":
			if serial != nil && !slices.Equal(serial, l.Before) {
				u.life++
			}
			serial = l.After
			updates = append(updates, u)
			u = zoneUpdate{life: u.life}
		}
	}
	return updates
}

// zoneEffects counts, by token, the updates that changed an address.
func zoneEffects(lines []dnsserver.Line) map[string]int {
	effects := map[string]int{}
	for _, u := range zoneUpdates(lines) {
		if u.address && u.token != "" {
			effects[fmt.Sprintf("%d/%s", u.life, u.token)]++
		}
	}
	return effects
}

// granted replays the allocator's ledger: who holds which address. It fails the test for an address that two held at once.
func (d *demo) granted() map[string]string {
	d.t.Helper()
	holders, former := map[string]string{}, map[string]string{}
	give := func(l subsystem.LedgerLine, address string) {
		if holder, held := holders[address]; held && holder != l.Key {
			d.t.Errorf("address %s was given to %s while %s had it (line %d of the ledger)", address, l.Key, holder, l.Seq)
		}
		maps.DeleteFunc(holders, func(_, key string) bool { return key == l.Key })
		holders[address], former[l.Key] = l.Key, address
	}
	for _, l := range d.ledger("allocator") {
		switch l.Effect {
		case subsystem.Create, subsystem.Partial:
			give(l, l.Detail)
		case subsystem.Update:
			_, address, _ := strings.Cut(l.Detail, " -> ")
			give(l, address)
		case subsystem.Restored:
			give(l, former[l.Key])
		case subsystem.Delete, subsystem.LostEffect:
			maps.DeleteFunc(holders, func(_, key string) bool { return key == l.Key })
		case subsystem.Forgot:
			clear(holders)
		}
	}
	return holders
}

// simulates reports whether the host runs no processes; then it needs no mark for them.
func (d *demo) simulates() bool {
	_, err := os.Stat(d.Path("hosts", "host-id"))
	return errors.Is(err, fs.ErrNotExist)
}

// running finds the processes that carry the mark of the demo's host, by process number: "<instance> <boot>".
func (d *demo) running() map[int]string {
	d.t.Helper()
	if d.simulates() {
		return nil
	}
	id := d.Read("hosts", "host-id")
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		d.t.Fatal(err)
	}
	found := map[int]string{}
	for _, folder := range folders {
		text, err := os.ReadFile(filepath.Join(folder, "environ"))
		if err != nil {
			continue // it has ended, or is another user's
		}
		mark := map[string]string{}
		for line := range strings.SplitSeq(string(text), "\x00") {
			name, value, _ := strings.Cut(line, "=")
			mark[name] = value
		}
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(folder), "%d", &pid); err == nil && mark["SETPOINT_HOST"] == id {
			found[pid] = mark["SETPOINT_INSTANCE"] + " " + mark["SETPOINT_BOOT"]
		}
	}
	return found
}

// alive reports whether a process that a line of the host's ledger names ("pid 7 boot X") is running still.
func alive(detail string) bool {
	var pid int
	var boot string
	if _, err := fmt.Sscanf(detail[max(0, strings.Index(detail, "pid ")):], "pid %d boot %s", &pid, &boot); err != nil || pid == 0 {
		return false
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && strings.Contains(string(text), "SETPOINT_BOOT="+strings.TrimSuffix(boot, ","))
}

// zone is what a transfer of the zone holds: addresses by name, without the server's own.
func (d *demo) zone() map[string][]string {
	d.t.Helper()
	query := new(dns.Msg).SetAxfr("edge.test.")
	envelopes, err := new(dns.Transfer).In(query, d.Read("dns", "address"))
	if err != nil {
		d.t.Fatal(err)
	}
	records := map[string][]string{}
	for e := range envelopes {
		if e.Error != nil {
			d.t.Fatal(e.Error)
		}
		for _, rr := range e.RR {
			if a, ok := rr.(*dns.A); ok && a.Hdr.Name != "ns.edge.test." {
				records[strings.TrimSuffix(a.Hdr.Name, ".")] = append(records[strings.TrimSuffix(a.Hdr.Name, ".")], a.A.String())
			}
		}
	}
	return records
}

// sql asks the database's file, beside the server.
func (d *demo) sql(statement string) string {
	d.t.Helper()
	return strings.TrimSpace(program.Run(d.t, testkit.Package(d.t, "sqlite3", "sqlite3"), "-readonly", "-cmd", ".timeout 10000", d.Path("setpoint.db"), statement))
}

// query asks the PostgreSQL database, beside the server.
func (d *demo) query(statement string) [][]string {
	d.t.Helper()
	rows, err := pg.Query(d.t.Context(), d.Store, statement)
	if err != nil {
		d.t.Fatal(err)
	}
	return rows
}

// rows are the rows of a table.
func (d *demo) rows(table string) string {
	d.t.Helper()
	if d.Store == "" {
		return d.sql("SELECT kind, namespace, name FROM " + table)
	}
	var text []string
	for _, row := range d.query("SELECT x::text FROM setpoint." + table + " x LIMIT 20") {
		text = append(text, row[0])
	}
	return strings.Join(text, "\n")
}

// disagreements are where the subsystems have something else than the gateways show.
func (d *demo) disagreements(all map[string]gateway) (found []string) {
	d.t.Helper()
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	zone, holders := d.zone(), d.granted()
	for name, g := range all {
		if got := zone[g.Spec.Hostname]; !slices.Equal(got, []string{g.Status.Address}) {
			say("the zone has %s at %v, want %s", g.Spec.Hostname, got, g.Status.Address)
		}
		if got := holders[g.Status.Address]; got != "default/"+name+".ip" {
			say("address %s of gateway %s is held by %q", g.Status.Address, name, got)
		}
	}
	if len(zone) != len(all) || len(holders) != len(all) {
		say("%d gateways, and %d names %v, %d addresses %v", len(all), len(zone), zone, len(holders), holders)
	}
	return append(found, d.strays(all)...)
}

// strays are processes that no replica should have, and replicas without a process.
func (d *demo) strays(all map[string]gateway) (found []string) {
	d.t.Helper()
	if d.simulates() {
		return d.straySimulated(all)
	}
	want := instances(all)
	for pid, mark := range d.running() {
		key, _, _ := strings.Cut(mark, " ")
		at := slices.Index(want, key)
		if at < 0 {
			found = append(found, fmt.Sprintf("process %d is %s, which is one too many", pid, mark))
			continue
		}
		want = slices.Delete(want, at, at+1)
	}
	for _, key := range want {
		found = append(found, "no process is "+key)
	}
	return found
}

// instances are the keys of the processes that gateways need, sorted.
func instances(all map[string]gateway) (keys []string) {
	for name, g := range all {
		for i := range g.Spec.Replicas {
			keys = append(keys, fmt.Sprintf("default/%s.i%d", name, i))
		}
	}
	slices.Sort(keys)
	return keys
}

// agree fails the test when the subsystems have something else than the gateways show.
func (d *demo) agree(all map[string]gateway) {
	d.t.Helper()
	for _, problem := range d.disagreements(all) {
		d.t.Error(problem)
	}
}

// nothingLeft checks that all gateways are gone without a trace, by everybody's own files.
func (d *demo) nothingLeft(t *testing.T) {
	t.Helper()
	if left := d.granted(); len(left) > 0 {
		t.Errorf("addresses are left: %v", left)
	}
	if left := d.running(); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	for _, l := range d.ledger("hosts") {
		if alive(l.Detail) {
			t.Errorf("a process of the host's ledger runs still: %s %s", l.Key, l.Detail)
		}
	}
	if left := d.zone(); len(left) > 0 {
		t.Errorf("records are left: %v", left)
	}
	if left, err := filepath.Glob(d.Path("authority", "issued", "*", "*.crt")); len(left) > 0 || err != nil {
		t.Errorf("certificates are left: %v, %v", left, err)
	}
	for _, table := range []string{"object", "command", "signal", "timer"} {
		if rows := d.rows(table); rows != "" {
			t.Errorf("rows of %s are left:\n%s", table, rows)
		}
	}
	if logs, err := os.ReadDir(d.Path("hosts", "instances")); err != nil && !errors.Is(err, fs.ErrNotExist) || len(logs) > 0 {
		t.Errorf("files of instances are left: %v, %v", logs, err)
	}
}
