package postgres

import (
	"errors"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
)

// Group is the API group of the service's kinds.
const Group = "db.example"

// DatabaseSpec is what a customer asks for.
type DatabaseSpec struct {
	// Replicas follow the server that is written to. With one or more, a commit is acknowledged when one of them has it too, from the moment on when the first of them has everything (see
	// Members); with two or more, none is lost whichever server dies.
	Replicas int `json:"replicas,omitempty"`
	// Parameters are PostgreSQL's settings, by name.
	Parameters map[string]string `json:"parameters,omitempty"`
	// Backups are made and kept; none by default.
	Backups BackupPlan `json:"backups,omitzero"`
}

// BackupPlan says how often a backup is made, and how many are kept.
type BackupPlan struct {
	// Every is the time between two backups, such as "24h".
	Every string `json:"every,omitempty"`
	Keep  int    `json:"keep,omitempty"`
}

// DatabaseStatus is what the customer is told, and what the actions remember.
type DatabaseStatus struct {
	// Address is where clients connect, whichever server is written to.
	Address string `json:"address,omitempty"`
	// Primary is the part that is written to, by the name of its object.
	Primary string `json:"primary,omitempty"`
	// Candidate is the server that is to be promoted, while a promotion is under way.
	Candidate string `json:"candidate,omitempty"`
	// Declined is the candidate that could not be made to lead when that was tried last.
	Declined string `json:"declined,omitempty"`
	// Line counts the restorations: each makes servers anew, of a backup.
	Line int `json:"line,omitempty"`
	// Detached are servers that have been told not to follow.
	Detached []string `json:"detached,omitempty"`
	// Members are the parts among which every acknowledged commit is found: each is on the primary and, if there are others, on one of those. A promotion asks all of them.
	Members []string `json:"members,omitempty"`
	// Timeline is that of the primary's log, which its first server, a restoration and each promotion say.
	Timeline uint32 `json:"timeline,omitempty"`
	// Switched is when the address was told last to lead to another server.
	Switched time.Time `json:"switched,omitzero"`
	// Following counts the servers that follow the primary.
	Following int `json:"following"`
}

// Database is a PostgreSQL service with one address.
type Database = setpoint.Resource[DatabaseSpec, DatabaseStatus]

// Databases is the kind that customers use; servers and endpoints are its parts.
var Databases = setpoint.MustDefine(setpoint.KindOptions[DatabaseSpec, DatabaseStatus]{
	Group: Group, Version: "v1", Kind: "Database", ShortNames: []string{"db"},
	Description: "A PostgreSQL service with one address, a server that is written to, and replicas.",
	Lifecycle:   databaseLife, Decisions: databaseTable,
	Validate: validateDatabase,
	Columns: []setpoint.Column{
		{Name: "State", Path: ".status.state"},
		{Name: "Address", Path: ".status.address"},
		{Name: "Primary", Path: ".status.primary"},
		{Name: "Following", Path: ".status.following", Type: "integer"},
		{Name: "Replicas", Path: ".spec.replicas", Type: "integer"},
	},
})

// maxReplicas keeps a service on one machine small.
const maxReplicas = 4

func validateDatabase(_, d *Database) error {
	var bad []error
	if d.Spec.Replicas < 0 || d.Spec.Replicas > maxReplicas {
		bad = append(bad, setpoint.Refuse("spec.replicas", "want 0 to %d, got %d", maxReplicas, d.Spec.Replicas))
	}
	if p := d.Spec.Backups; p.Every != "" {
		if every, err := time.ParseDuration(p.Every); err != nil || every < time.Minute {
			bad = append(bad, setpoint.Refuse("spec.backups.every", "want a time of a minute or more, such as \"24h\", got %q", p.Every))
		}
		if p.Keep < 1 || p.Keep > 100 {
			bad = append(bad, setpoint.Refuse("spec.backups.keep", "want 1 to 100 backups, got %d", p.Keep))
		}
	}
	for name := range d.Spec.Parameters {
		if reason, managed := host.Managed[name]; managed {
			bad = append(bad, setpoint.Refuse("spec.parameters."+name, "cannot be set: %s", reason))
		}
	}
	return errors.Join(bad...)
}

// ServerSpec asks for one PostgreSQL server. The database that it belongs to writes it.
type ServerSpec struct {
	// Leads: it is written to, and its commits wait for any one of Standbys, which are names of servers as the host has them.
	Leads    bool     `json:"leads,omitempty"`
	Standbys []string `json:"standbys,omitempty"`
	// Upstream is the "host:port" that it follows when it does not lead; "" leaves it as it is.
	Upstream   string            `json:"upstream,omitempty"`
	Parameters map[string]string `json:"parameters,omitempty"`
	// Restore makes it of a backup.
	Restore *host.Restore `json:"restore,omitempty"`
}

// ServerStatus is what is known about the server.
type ServerStatus struct {
	// Made is how it was made first: the wish for it stays that, since to lead or to follow later is an action.
	Made *Making `json:"made,omitempty"`
	// Address is "host:port", Following the upstream that it has been told to follow last.
	Address   string `json:"address,omitempty"`
	Following string `json:"following,omitempty"`
	// Timeline and LSN say how far its log went when it was asked last.
	Timeline       uint32   `json:"timeline,omitempty"`
	LSN            string   `json:"lsn,omitempty"`
	PendingRestart []string `json:"pendingRestart,omitempty"`
}

// Making is how a server was made.
type Making struct {
	Role     host.ServerRole `json:"role"`
	Upstream string          `json:"upstream,omitempty"`
}

// Server is one PostgreSQL server.
type Server = setpoint.Resource[ServerSpec, ServerStatus]

// Servers is the kind of Server.
var Servers = setpoint.MustDefine(setpoint.KindOptions[ServerSpec, ServerStatus]{
	Group: Group, Version: "v1", Kind: "Server", ShortNames: []string{"srv"},
	Description: "One PostgreSQL server, as a part of a database.",
	Lifecycle:   serverLife, Decisions: serverTable,
	Columns: []setpoint.Column{
		{Name: "State", Path: ".status.state"}, {Name: "Leads", Path: ".spec.leads", Type: "boolean"},
		{Name: "Address", Path: ".status.address"}, {Name: "Following", Path: ".status.following"}, ready,
	},
})

// EndpointSpec asks for an address that passes connections on.
type EndpointSpec struct {
	// Backend is the "host:port" of the server that is written to; "" cuts all connections, and lets new ones wait.
	Backend string `json:"backend,omitempty"`
}

// EndpointStatus says where it is, and where it leads.
type EndpointStatus struct {
	Address string `json:"address,omitempty"`
	Backend string `json:"backend,omitempty"`
}

// Endpoint is the address of a database.
type Endpoint = setpoint.Resource[EndpointSpec, EndpointStatus]

// Endpoints is the kind of Endpoint.
var Endpoints = setpoint.MustDefine(setpoint.KindOptions[EndpointSpec, EndpointStatus]{
	Group: Group, Version: "v1", Kind: "Endpoint",
	Description: "The address of a database: a proxy that follows the server that is written to.",
	Columns:     []setpoint.Column{{Name: "Address", Path: ".status.address"}, {Name: "Backend", Path: ".status.backend"}, ready},
})

// CredentialSpec asks for a role that can log in.
type CredentialSpec struct {
	// Database is the name of the database object; User the role, and Schema the PostgreSQL database that belongs to it ("" is that named like the user).
	Database string `json:"database"`
	User     string `json:"user"`
	// Rotation gives the role another password whenever it is raised.
	Rotation int `json:"rotation,omitempty"`
}

// CredentialStatus tells the client how to connect.
type CredentialStatus struct {
	// URL holds the password: whoever may read this object may connect.
	URL      string `json:"url,omitempty"`
	Rotation int    `json:"rotation,omitempty"`
}

// Credential is a role with a password and a database of its own.
type Credential = setpoint.Resource[CredentialSpec, CredentialStatus]

// Credentials is the kind of Credential.
var Credentials = setpoint.MustDefine(setpoint.KindOptions[CredentialSpec, CredentialStatus]{
	Group: Group, Version: "v1", Kind: "Credential", ShortNames: []string{"cred"},
	Description: "A role with a password, and a database that belongs to it.",
	Columns:     []setpoint.Column{{Name: "Database", Path: ".spec.database"}, {Name: "User", Path: ".spec.user"}, {Name: "Rotation", Path: ".status.rotation", Type: "integer"}, ready},
	Validate: func(old, c *Credential) error {
		if old != nil && (old.Spec.Database != c.Spec.Database || old.Spec.User != c.Spec.User) {
			return setpoint.Refuse("spec", "database and user cannot be changed; create another credential")
		}
		if old != nil && c.Spec.Rotation < old.Spec.Rotation {
			return setpoint.Refuse("spec.rotation", "only rises: it is %d", old.Spec.Rotation)
		}
		return nil
	},
})

// BackupSpec asks for a backup of a database.
type BackupSpec struct {
	Database string `json:"database"`
}

// BackupStatus describes the backup.
type BackupStatus struct {
	// Server is the one it is made of, as the host names it.
	Server string    `json:"server,omitempty"`
	Ended  time.Time `json:"ended,omitzero"`
	Bytes  int64     `json:"bytes,omitempty"`
}

// Backup is a base backup; with the archived log it can be restored to any moment after its end.
type Backup = setpoint.Resource[BackupSpec, BackupStatus]

// Backups is the kind of Backup.
var Backups = setpoint.MustDefine(setpoint.KindOptions[BackupSpec, BackupStatus]{
	Group: Group, Version: "v1", Kind: "Backup",
	Description: "A base backup of a database; with the archived log it can be restored to any moment after its end.",
	Columns:     []setpoint.Column{{Name: "Database", Path: ".spec.database"}, {Name: "Ended", Path: ".status.ended", Type: "date"}, {Name: "Bytes", Path: ".status.bytes", Type: "integer"}, ready},
	Validate: func(old, b *Backup) error {
		if old != nil && old.Spec != b.Spec {
			return setpoint.Refuse("spec", "cannot be changed; make another backup")
		}
		return nil
	},
})

var ready = setpoint.Column{Name: "Ready", Path: `.status.conditions[?(@.type=="Ready")].status`}

// Kinds are all kinds of the service.
func Kinds() []*setpoint.Definition {
	return []*setpoint.Definition{Databases.Definition, Servers.Definition, Endpoints.Definition, Credentials.Definition, Backups.Definition}
}

// serverName is the name of the i'th server of a line, as a part of its database.
func serverName(line, i int) string { return fmt.Sprintf("s%d-%d", line, i) }
