package postgres

import (
	"slices"
	"strconv"
	"time"

	"github.com/setpointhq/setpoint"
)

// databaseDecider declares the parts of a database, and moves it as its table says.
func databaseDecider() setpoint.Decider[DatabaseSpec, DatabaseStatus] {
	return setpoint.Decider[DatabaseSpec, DatabaseStatus]{
		Compare: compareDatabase,
		Guards: map[setpoint.GuardName]func(*setpoint.Turn, *Database) bool{
			"followed":  func(t *setpoint.Turn, d *Database) bool { f := fleetOf(t, d); return len(f.others(f.primary)) > 0 },
			"recovered": recovered,
		},
		Actions: map[setpoint.ActionName]setpoint.Action[DatabaseSpec, DatabaseStatus]{
			"Promote": promote, "Unfollow": unfollow, "Follow": follow, "Restart": restart(all), "Apply": restart(pending), "Restore": restore,
		},
	}
}

// fleet is a database's servers, as one turn sees them.
type fleet struct {
	t *setpoint.Turn
	d *Database
	// parts are the names of the servers that there should be, in order; primary is the one that is written to.
	parts   []string
	primary string
	// leaving are servers whom nobody is to wait for any more.
	leaving []string
}

func fleetOf(t *setpoint.Turn, d *Database) fleet {
	f := fleet{t: t, d: d, primary: d.Status.Primary}
	line := max(1, d.Status.Line)
	if f.primary == "" {
		f.primary = serverName(line, 0)
	}
	for i := range d.Spec.Replicas + 1 {
		f.parts = append(f.parts, serverName(line, i))
	}
	if !slices.Contains(f.parts, f.primary) {
		// Fewer replicas were asked for than there are before it: it stays, and another one goes.
		f.parts = append(f.parts[:len(f.parts)-1], f.primary)
	}
	return f
}

// key is that of the object of a part.
func (f fleet) key(part string) setpoint.Key {
	return Servers.Key(f.d.Namespace, f.d.Name+"."+setpoint.Name(part))
}

// host is the name of a server at the host agent.
func (f fleet) host(part string) string {
	return string(f.d.Namespace) + "/" + string(f.key(part).Name)
}

func (f fleet) server(part string) (*Server, bool) { return Servers.Get(f.t, f.key(part).Name) }

// address is where a part listens, "" when that is not known yet.
func (f fleet) address(part string) string {
	if s, ok := f.server(part); ok {
		return s.Status.Address
	}
	return ""
}

// attached are the parts that are to be together: the primary, and those that have not been told to leave it.
func (f fleet) attached() []string {
	return slices.DeleteFunc(slices.Clone(f.parts), func(p string) bool { return p != f.primary && slices.Contains(f.d.Status.Detached, p) })
}

// declare asks for a part as it should be when a given one leads.
func (f fleet) declare(part, leader string) *Server {
	spec := ServerSpec{Parameters: f.d.Spec.Parameters}
	if have, ok := f.server(part); ok {
		spec.Restore = have.Spec.Restore
	}
	switch {
	case part == leader:
		spec.Leads = true
		for _, p := range f.waited(part) {
			spec.Standbys = append(spec.Standbys, f.host(p))
		}
	case !slices.Contains(f.d.Status.Detached, part):
		spec.Upstream = f.address(leader)
	}
	return Servers.Child(f.t, part, spec)
}

// point lets the address lead to a server, or to none.
func (f fleet) point(backend string) *Endpoint {
	return Endpoints.Child(f.t, "rw", EndpointSpec{Backend: backend})
}

// pointed reports whether the address leads to a server, "" for none, and nowhere else.
func (f fleet) pointed(backend string) bool {
	e, ok := Endpoints.Get(f.t, f.d.Name+".rw")
	return ok && e.Ready() && e.Spec.Backend == backend && e.Status.Backend == backend
}

// compareDatabase declares the parts, and follows the state of the primary. While an action is under way it rests: the action decides who leads.
func compareDatabase(t *setpoint.Turn, d *Database) setpoint.Outcome {
	f := fleetOf(t, d)
	d.Status.Line = max(1, d.Status.Line)
	d.Status.Detached = slices.DeleteFunc(d.Status.Detached, func(p string) bool { return !slices.Contains(f.parts, p) })
	f.join()
	f.leaving = f.dispensable()
	f.alone()
	primary := f.declare(f.primary, f.primary)
	leaving, gone := f.letGo(primary)
	joining, in := f.welcome(primary)
	d.Status.Following = 0
	for _, part := range f.parts {
		switch {
		case part == f.primary:
		case primary.Status.Address == "":
			Servers.Hold(t, part)
		default:
			s := f.declare(part, f.primary)
			if s.State == Available && s.Ready() && s.Spec.Upstream != "" {
				d.Status.Following++
			}
		}
	}
	if address := primary.Status.Address; address != "" {
		endpoint := f.point(address)
		d.Status.Address = endpoint.Status.Address
		if d.Status.Primary == "" {
			d.Status.Timeline = primary.Status.Timeline
		}
		d.Status.Primary = f.primary
	} else {
		Endpoints.Hold(t, "rw")
	}
	next := declareBackups(t, d)
	outcome := t.Rollup()
	switch {
	case !gone:
		outcome = leaving
	case !in:
		outcome = joining
	}
	moveDatabase(t, d, primary)
	return outcome.Again(next, "NextBackup")
}

// moveDatabase follows the primary: the service is as well as the server that is written to.
func moveDatabase(t *setpoint.Turn, d *Database, primary *Server) {
	switch s := primary.State; {
	case d.Deleting():
	case d.State == Provisioning:
		f := fleetOf(t, d)
		if s == Available && primary.Ready() && d.Status.Address != "" && d.Status.Following == len(f.attached())-1 && d.Status.Following == len(f.others(f.primary)) {
			t.Transition(Available, "Provisioned")
		}
	case s == Available:
		t.Transition(Available, "PrimaryAnswers")
	case s == Uncertain && d.State == Available:
		t.Transition(Uncertain, "PrimaryMissed")
	case s == Unavailable && d.State != Unavailable:
		t.Transition(Unavailable, "PrimarySilent")
	}
}

// recovered reports whether nobody but the clock has asked for another server to lead.
func recovered(t *setpoint.Turn, _ *Database) bool {
	for _, s := range t.Signals() {
		if s.Name == NeedsPromote && s.By != "engine" {
			return false
		}
	}
	return true
}

// declareBackups declares the backups that are due by the plan, and says when the next one is.
func declareBackups(t *setpoint.Turn, d *Database) (next time.Time) {
	every, err := time.ParseDuration(d.Spec.Backups.Every)
	if err != nil || every <= 0 {
		return time.Time{}
	}
	now := t.Now().Sub(d.Created) / every
	for i := max(1, now-time.Duration(d.Spec.Backups.Keep)+1); i <= now; i++ {
		name := "b" + strconv.FormatInt(int64(i), 10)
		if _, made := Backups.Get(t, d.Name+"."+setpoint.Name(name)); made || i == now && d.State == Available {
			Backups.Child(t, name, BackupSpec{Database: string(d.Name)})
		}
	}
	return d.Created.Add((now + 1) * every)
}
