package postgres

import (
	"net/url"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/endpoint"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
)

var (
	endpoints = setpoint.Endpoint[endpoint.Request, endpoint.Result]{Adapter: "endpoints"}
	// credentials are independent of what a server does: they need not wait for it.
	credentials = setpoint.Endpoint[host.Operation, host.Result]{Adapter: "hosts"}
	backups     = setpoint.Endpoint[host.BackupRequest, host.Result]{Adapter: "hosts"}
)

// Controllers are the drivers of the kinds. Secrets is where passwords come from.
func Controllers(s Secrets) []setpoint.Controller {
	return []setpoint.Controller{
		Databases.Decider("database", databaseDecider()),
		Servers.Decider("server", serverDecider(s)),
		Endpoints.Driver("endpoint", driveEndpoint),
		Credentials.Driver("credential", func(t *setpoint.Turn, c *Credential) setpoint.Outcome { return driveCredential(t, c, s) }),
		Backups.Driver("backup", driveBackup),
	}
}

func driveEndpoint(t *setpoint.Turn, e *Endpoint) setpoint.Outcome {
	open := endpoints.Ensure(t, t.NaturalKey(), &endpoint.Request{Backend: e.Spec.Backend})
	if open.Done() {
		e.Status = EndpointStatus{Address: open.Result.Address, Backend: e.Spec.Backend}
	}
	return open.Outcome()
}

// driveCredential gives the role its password on the server that is written to; the others repeat what that one does.
func driveCredential(t *setpoint.Turn, c *Credential, s Secrets) setpoint.Outcome {
	d, ok := Databases.Get(t, setpoint.Name(c.Spec.Database))
	switch {
	case !ok && c.Deleting():
		return setpoint.Done() // gone with its database
	case !ok || d.Status.Primary == "" || d.Status.Address == "":
		return setpoint.Await("NoDatabase", "waiting for database "+c.Spec.Database, setpoint.Ref{Object: Databases.Key(c.Namespace, setpoint.Name(c.Spec.Database))})
	}
	f := fleetOf(t, d)
	password := s.password(c)
	set := credentials.Ensure(t, t.NaturalKey(), &host.Operation{
		Server: f.host(f.primary), Do: host.Credential, User: c.Spec.User, Password: &password, Database: c.Spec.User,
	})
	if set.Done() && !c.Deleting() {
		u := url.URL{Scheme: "postgresql", User: url.UserPassword(c.Spec.User, password), Host: d.Status.Address, Path: "/" + c.Spec.User}
		c.Status = CredentialStatus{URL: u.String(), Rotation: c.Spec.Rotation}
	}
	return set.Outcome()
}

// driveBackup makes a backup of the server that is written to when it is asked for, and stays with that server.
func driveBackup(t *setpoint.Turn, b *Backup) setpoint.Outcome {
	if b.Status.Server == "" && !b.Deleting() {
		d, ok := Databases.Get(t, setpoint.Name(b.Spec.Database))
		if !ok || d.State != Available {
			return setpoint.Await("NoDatabase", "waiting for database "+b.Spec.Database+" to be available",
				setpoint.Ref{Object: Databases.Key(b.Namespace, setpoint.Name(b.Spec.Database))})
		}
		f := fleetOf(t, d)
		b.Status.Server = f.host(f.primary)
	}
	made := backups.Ensure(t, t.NaturalKey(), &host.BackupRequest{Server: b.Status.Server, Do: host.Backup, Name: t.NaturalKey()})
	if r := made.Result.Backup; made.Done() && r != nil {
		b.Status.Ended, b.Status.Bytes = r.Ended, r.Bytes
	}
	return made.Outcome()
}
