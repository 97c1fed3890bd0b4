package host

import (
	"fmt"
	"time"
)

// Login is a role and its password. Password is the password itself, or a verifier ("SCRAM-SHA-256$…") where only the server
// needs it; to follow, a server needs the password itself.
type Login struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// ServerRole is what a server does: it leads, or it follows.
type ServerRole string

const (
	// Primary servers take writes.
	Primary ServerRole = "primary"
	// Standby servers repeat what their upstream writes.
	Standby ServerRole = "standby"
)

// ServerRequest wishes for a server. The call's key is its name: letters, digits and "._/@-", at most 63 of them.
//
// Role, Upstream, Port and Restore say how it is made, and mean nothing once it is there: to have it lead or follow later is an
// [Operation]. Parameters and the logins can be changed at any time by wishing again. A wish for a server that is there
// and stopped starts it, unless it is fenced.
type ServerRequest struct {
	Role ServerRole `json:"role"`
	// Upstream is the "host:port" that a standby follows.
	Upstream string `json:"upstream,omitempty"`
	// Port to listen at. 0: the host chooses one, and keeps it.
	Port int `json:"port,omitempty"`
	// Parameters are PostgreSQL's settings, by name. Those in [Managed] are the host's. Of max_connections, max_worker_processes, max_wal_senders,
	// max_prepared_transactions and max_locks_per_transaction a server that follows has no less than its upstream has had, whatever is asked for: it would not
	// start. It has what was asked for from its first restart on after its upstream has it.
	Parameters map[string]string `json:"parameters,omitempty"`
	// Superuser may do everything, over TCP. Optional.
	Superuser *Login `json:"superuser,omitempty"`
	// Replication is the role by which standbys follow. A primary has it made; a standby uses it. Give all servers of a service
	// the same one.
	Replication Login `json:"replication"`
	// Restore makes the server of a backup. Role is Primary then.
	Restore *Restore `json:"restore,omitempty"`
}

// Restore names a backup, and how far to go from it. At most one of Time, LSN and Point is set; without any, as far as the archive
// goes.
type Restore struct {
	// Backup is the name of a backup of this host.
	Backup string `json:"backup"`
	// Time: to the last commit before or at this moment.
	Time *time.Time `json:"time,omitempty"`
	// LSN is a position in the log, such as "0/3000148".
	LSN string `json:"lsn,omitempty"`
	// Point is a name given with pg_create_restore_point.
	Point string `json:"point,omitempty"`
}

// Verb is what an [Operation] does.
type Verb string

const (
	// Fence kills the server and keeps it from starting.
	Fence Verb = "fence"
	// Unfence ends a fence and starts the server as what it was: one that led leads again.
	Unfence Verb = "unfence"
	// Promote has a standby lead; it is done when it takes writes. A server that leads already is left alone.
	Promote Verb = "promote"
	// Follow has a server, whatever it was, follow Upstream; what it has written and the upstream has not is given up. It ends a fence.
	// It is done when the server streams.
	Follow Verb = "follow"
	// Unfollow has a standby leave its line and take writes for itself.
	Unfollow Verb = "unfollow"
	// Restart stops and starts the server, once per token.
	Restart Verb = "restart"
	// Synchronous has commits wait for any one of Standbys; for none when there are none.
	Synchronous Verb = "synchronous"
	// Credential sets the password of the role User, which is made when missing, or, with a Password of null, drops the role.
	Credential Verb = "credential"
	// Barrier commits something that says nothing on a primary, as durably as its clients' commits: when it is done, a standby that commits wait for has
	// everything that was committed before.
	Barrier Verb = "barrier"
	// Inspect only asks: for the role, the timeline and the end of the log. Of several standbys, the one to promote is the one
	// with the highest LSN.
	Inspect Verb = "inspect"
)

// Operation wishes for something done to a server that is there.
type Operation struct {
	Server string `json:"server"`
	Do     Verb   `json:"do"`
	// Upstream is the "host:port" to follow.
	Upstream string `json:"upstream,omitempty"`
	// Standbys are names of servers.
	Standbys []string `json:"standbys,omitempty"`
	// User and Password are of a credential; a Password of null drops the role. Password may be a verifier.
	User     string  `json:"user,omitempty"`
	Password *string `json:"password,omitempty"`
	// Database, with a credential, is made when missing and belongs to User.
	Database string `json:"database,omitempty"`
	// MemberOf are roles whose rights User gets, such as "pg_read_all_data". Those that lead to the machine itself are refused.
	MemberOf []string `json:"memberOf,omitempty"`
}

// Backup is the verb of a [BackupRequest].
const Backup Verb = "backup"

// BackupRequest wishes for a base backup of a server, by a name that is unique on the host. Do is [Backup].
type BackupRequest struct {
	Server string `json:"server"`
	Do     Verb   `json:"do"`
	Name   string `json:"name"`
}

// Way is how a server came to follow.
type Way string

const (
	// Streamed: it was told of another upstream, and went on.
	Streamed Way = "stream"
	// Rewound: what it had too much was undone.
	Rewound Way = "rewind"
	// Copied: its data was replaced by a copy of the upstream's.
	Copied Way = "copy"
)

// Result answers all requests.
type Result struct {
	Server string `json:"server"`
	// Address is "host:port", and Port the latter.
	Address string     `json:"address,omitempty"`
	Port    int        `json:"port,omitempty"`
	Role    ServerRole `json:"role,omitempty"`
	// System is PostgreSQL's identifier of the cluster: servers that were one once share it.
	System   string `json:"system,omitempty"`
	Timeline uint32 `json:"timeline,omitempty"`
	// LSN is the end of the log: written by a primary, received or replayed by a standby. [Position] makes it comparable.
	LSN    string `json:"lsn,omitempty"`
	Fenced bool   `json:"fenced,omitempty"`
	// PendingRestart names parameters that are changed and wait for a [Restart].
	PendingRestart []string `json:"pendingRestart,omitempty"`
	// Way is how a [Follow] was done.
	Way Way `json:"way,omitempty"`
	// Backup describes a finished backup.
	Backup *BackupResult `json:"backup,omitempty"`
}

// BackupResult describes a backup. Restoring may go to any moment from Ended on.
type BackupResult struct {
	Name  string    `json:"name"`
	Ended time.Time `json:"ended"`
	// Bytes is the sum of its files.
	Bytes int64 `json:"bytes"`
	// Segment is the first file of the log that it needs.
	Segment string `json:"segment"`
}

// Position is an LSN as a number, for comparison.
func Position(lsn string) (uint64, error) {
	var high, low uint32
	if n, err := fmt.Sscanf(lsn, "%X/%X", &high, &low); err != nil || n != 2 {
		return 0, fmt.Errorf("LSN %q: want two hexadecimal numbers with a slash between", lsn)
	}
	return uint64(high)<<32 | uint64(low), nil
}
