package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/setpointhq/setpoint/examples/postgres"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/test/internal/fleet"
	"github.com/setpointhq/setpoint/test/internal/ledger"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// agents are the subsystems of the databases, each a process of its own.
var agents = []string{"postgres-host", "postgres-endpoint"}

// estate are managed databases with real servers, and those who write into some of them.
type estate struct {
	*fleet.Fleet
	town    *town
	patrons []*patron
	written map[string]*ledger.Writers // by database
	probed  map[string]*ledger.Prober
	shift   sync.WaitGroup
	leave   context.CancelFunc
}

// withAgents starts the host agent and the endpoints before any node is started: nodes learn where they are.
func (w *town) withAgents() *estate {
	w.Helper()
	e := &estate{town: w, written: map[string]*ledger.Writers{}, probed: map[string]*ledger.Prober{}}
	w.Cleanup(e.clear)
	for _, name := range agents {
		folder := filepath.Join(w.dir, name)
		if err := os.Mkdir(folder, 0o755); err != nil {
			w.Fatal(err)
		}
		p := testkit.Start(w.T, program.Path(), "databases", name, folder)
		w.Cleanup(func() { e.dismiss(p) })
		w.await(name+" serves", func() (string, bool) {
			ready, err := os.ReadFile(filepath.Join(folder, "ready"))
			return fmt.Sprint(err, p.Output()), err == nil && string(ready) == strconv.Itoa(p.PID)
		})
		address, err := os.ReadFile(filepath.Join(folder, "address"))
		if err != nil {
			w.Fatal(err)
		}
		w.at[name] = strings.TrimSpace(string(address))
	}
	w.diagnoses = append(w.diagnoses, e.diagnosis)
	return e
}

// dismiss ends an agent in good order: the one of the hosts stops its servers first.
func (e *estate) dismiss(p *testkit.Process) {
	if err := syscall.Kill(p.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		e.town.Errorf("end process %d: %v", p.PID, err)
	}
	if err := p.Err(); err != nil {
		e.town.Errorf("an agent of the databases ends with %v", err)
	}
	if strings.Contains(p.Output(), "DATA RACE") || strings.Contains(p.Output(), "goroutine 1 [") {
		e.town.Error("an agent of the databases says what no program may say")
	}
}

// data is the folder of all servers, which is elsewhere when root runs them.
func (e *estate) data() (string, error) {
	return filepath.EvalSymlinks(filepath.Join(e.town.dir, "postgres-host", "data"))
}

// clear looks for what the host agent has left behind, and removes the data.
func (e *estate) clear() {
	data, err := e.data()
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if e.Fleet != nil {
		for _, process := range e.Left() {
			e.town.Errorf("the host agent has left a process: %s", process)
		}
	}
	if err = errors.Join(err, os.RemoveAll(data)); err != nil {
		e.town.Error(err)
	}
}

// economy are settings of servers of which there are many on one machine, and which write little.
var economy = map[string]string{
	"shared_buffers": "8MB", "max_wal_size": "64MB", "min_wal_size": "32MB", "wal_keep_size": "32MB", "archive_timeout": "0", "max_connections": "30",
}

// found asks for the databases, one for each patron, and does not wait for them.
func (e *estate) found(patrons []*patron) {
	e.town.Helper()
	data, err := e.data()
	if err != nil {
		e.town.Fatal(err)
	}
	e.Fleet, e.patrons = fleet.Find(e.town.T, e.town.client, data), patrons
	e.town.each(len(patrons), func(i int) error { return patrons[i].ask(e.town.Context()) })
}

// settle waits until the databases are there, lets writers write into some of them, and asks the servers of those that have replicas whether they take writes.
func (e *estate) settle(pace time.Duration) {
	e.town.Helper()
	e.served()
	for _, p := range e.patrons {
		if !p.observed {
			continue
		}
		e.written[p.name] = ledger.Write(e.town.T, e.Credential(p.name, p.name+"-app"), 2, pace)
		if p.most > 0 {
			e.probed[p.name] = ledger.Probe(e.town.T, e.Credential(p.name, p.name+"-prober"))
		}
	}
}

// begin lets the patrons work. One that gives up says why.
func (e *estate) begin(gaveUp chan<- error) {
	ctx, leave := context.WithCancel(e.town.Context())
	e.leave = leave
	for _, p := range e.patrons {
		e.shift.Go(func() {
			if err := p.work(ctx, e.town.Context()); err != nil {
				gaveUp <- err
			}
		})
	}
	e.shift.Go(func() {
		for pause(ctx, time.Second) {
			if err := e.watch(ctx); err != nil && ctx.Err() == nil {
				gaveUp <- err
				return
			}
		}
	})
}

// end sends the patrons home, when their last wishes are acknowledged.
func (e *estate) end() {
	e.leave()
	e.shift.Wait()
}

// watch has the probers ask the servers that there are now.
func (e *estate) watch(ctx context.Context) error {
	all, err := e.Of(ctx, "")
	if err != nil {
		return err
	}
	for name, v := range all {
		database, _, _ := strings.Cut(name, ".")
		if p := e.probed[database]; p != nil && v.Status.Address != "" {
			p.Watch(name, v.Status.Address)
		}
	}
	return nil
}

// served waits until each database is what its patron has asked for last, and its servers say the same.
func (e *estate) served() {
	e.town.Helper()
	for _, p := range e.patrons {
		e.town.await("database "+p.name+" is as its patron has asked for last", func() (string, bool) {
			_, missing := e.Unrest(e.town.Context(), p.name, p.unlike)
			return missing, missing == ""
		})
	}
}

// audit ends the writers and the probers, and judges what the databases have of what was acknowledged, and who has taken writes.
func (e *estate) audit() (acknowledged, doubtful, lost int) {
	e.town.Helper()
	judge := func(name, url string, l *ledger.Ledger) {
		problems, err := l.Check(e.town.Context(), url)
		if err != nil {
			e.town.Fatalf("read the rows of %s: %v", name, err)
		}
		for _, problem := range problems {
			lost++
			e.town.Errorf("%s: %v", name, problem)
		}
		acknowledged, doubtful = acknowledged+l.Count(ledger.Acknowledged), doubtful+l.Count(ledger.Doubtful)
	}
	for name, x := range e.written {
		x.Stop()
		judge(name, x.URL, x.Ledger)
		if x.Ledger.Count(ledger.Acknowledged) == 0 {
			e.town.Errorf("nothing was ever acknowledged by %s", name)
		}
	}
	for name, x := range e.probed {
		x.Stop()
		judge(name, x.URL, x.Ledger)
		for _, problem := range x.Rivals() {
			e.town.Errorf("%s: %v", name, problem)
		}
		e.town.Logf("%s: %s; written to by its writers: %s", name, x, e.written[name].Ledger)
	}
	return acknowledged, doubtful, lost
}

// crash kills the first process of the server that a database is written to.
func (e *estate) crash(database string) error {
	ctx, cancel := context.WithTimeout(e.town.Context(), 2*time.Second)
	defer cancel()
	d, err := e.Database(ctx, database)
	if err != nil {
		return err
	}
	if pid := e.Postmaster(fleet.Primary(d)); pid != 0 {
		e.Send(syscall.SIGKILL, pid)
	}
	return nil
}

func (e *estate) String() string {
	done, repeated := map[string]int{}, 0
	for _, p := range e.patrons {
		for what, n := range p.done {
			done[what] += n
		}
		repeated += p.repeated
	}
	return fmt.Sprintf("%d patrons of databases asked for: %v; %d requests repeated by hand", len(e.patrons), done, repeated)
}

// moves is how often databases went from state to state, by the history.
func (e *estate) moves() string {
	e.town.Helper()
	var all []string
	for _, row := range e.town.query("SELECT from_state, to_state, count(*) FROM setpoint.history WHERE kind = 'Database." + postgres.Group + "' AND type = 'Transition' GROUP BY 1, 2 ORDER BY 3 DESC") {
		all = append(all, fmt.Sprintf("%s→%s %s", row[0], row[1], row[2]))
	}
	return strings.Join(all, ", ")
}

// diagnosis is what is known of databases that are not at rest.
func (e *estate) diagnosis() string {
	var b strings.Builder
	logs, err := filepath.Glob(filepath.Join(e.town.dir, "postgres-host", "data", "servers", "*", "log"))
	if err != nil {
		return err.Error()
	}
	for _, path := range logs {
		text, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s (%v):\n%s\n", path, err, lastLines(string(text), "[", 6))
	}
	return b.String()
}
