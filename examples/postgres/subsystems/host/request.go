package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
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
	// Parameters are PostgreSQL's settings, by name. Those in [Managed] are the host's.
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

// wish is a decoded request: exactly one is set.
type wish struct {
	server    *ServerRequest
	operation *Operation
	backup    *BackupRequest
}

// decodeWish tells the sorts of requests apart, and refuses what no sort has.
func decodeWish(key string, text []byte) (w wish, err error) {
	var shape struct {
		Do Verb `json:"do"`
	}
	if err := json.Unmarshal(text, &shape); err != nil {
		return w, fmt.Errorf("the request is not a JSON object: %w", err)
	}
	switch shape.Do {
	case "":
		w.server = &ServerRequest{}
		err = errors.Join(strictly(text, w.server), checkName("server", key), w.server.check())
	case Backup:
		w.backup = &BackupRequest{}
		err = errors.Join(strictly(text, w.backup), checkName("server", w.backup.Server), checkName("backup", w.backup.Name))
	default:
		w.operation = &Operation{}
		err = errors.Join(strictly(text, w.operation), checkName("server", w.operation.Server), w.operation.check())
	}
	return w, err
}

func strictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("the request is not %T: %w", into, err)
	}
	return nil
}

var (
	named     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/@-]{0,62}$`)
	parameter = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`)
)

func checkName(what, name string) error {
	if !named.MatchString(name) {
		return fmt.Errorf("%s name %q: want 1 to 63 letters, digits and ._/@-, the first a letter or digit", what, name)
	}
	return nil
}

func checkAddress(what, address string) error {
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		return fmt.Errorf("%s %q: want host:port", what, address)
	}
	return nil
}

// checkText refuses what a line of a configuration cannot hold.
func checkText(what, text string) error {
	if strings.ContainsAny(text, "\x00\r\n") {
		return fmt.Errorf("%s holds a line break or a zero byte", what)
	}
	return nil
}

func (l Login) check(what string) error {
	if l.User == "" || l.Password == "" || len(l.User) > 63 || strings.HasPrefix(l.User, "pg_") || l.User == Role {
		return fmt.Errorf("%s: want a user of 1 to 63 bytes, neither %q nor pg_…, and a password", what, Role)
	}
	return errors.Join(checkText(what+" user", l.User), checkText(what+" password", l.Password))
}

func (r *ServerRequest) check() error {
	errs := []error{r.Replication.check("replication")}
	if r.Superuser != nil {
		errs = append(errs, r.Superuser.check("superuser"))
	}
	if r.Port < 0 || r.Port > 65535 {
		errs = append(errs, fmt.Errorf("port %d: want 0 to 65535", r.Port))
	}
	switch r.Role {
	case Primary:
	case Standby:
		errs = append(errs, checkAddress("upstream", r.Upstream))
		if r.Restore != nil {
			errs = append(errs, errors.New("a standby cannot be restored: restore a primary, and have others follow it"))
		}
	default:
		errs = append(errs, fmt.Errorf("role %q: want %q or %q", r.Role, Primary, Standby))
	}
	for name, value := range r.Parameters {
		if !parameter.MatchString(name) {
			errs = append(errs, fmt.Errorf("parameter %q is no name of a setting, in lower case", name))
		}
		if reason, managed := Managed[name]; managed {
			errs = append(errs, fmt.Errorf("parameter %s cannot be set: %s", name, reason))
		}
		errs = append(errs, checkText("parameter "+name, value))
	}
	if r.Restore != nil {
		errs = append(errs, r.Restore.check())
	}
	return errors.Join(errs...)
}

func (r *Restore) check() error {
	targets := 0
	for _, set := range []bool{r.Time != nil, r.LSN != "", r.Point != ""} {
		if set {
			targets++
		}
	}
	errs := []error{checkName("backup", r.Backup), checkText("restore point", r.Point)}
	if targets > 1 {
		errs = append(errs, errors.New("restore: at most one of time, lsn and point says how far to go"))
	}
	if r.LSN != "" {
		_, err := Position(r.LSN)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// lendable are the roles that a credential may have the rights of: none of them is a way to the machine or to all rights.
var lendable = []string{"pg_read_all_data", "pg_write_all_data", "pg_read_all_settings", "pg_read_all_stats", "pg_stat_scan_tables", "pg_monitor", "pg_signal_backend"}

func (o *Operation) check() error {
	switch o.Do {
	case Fence, Unfence, Promote, Unfollow, Restart, Inspect:
		return nil
	case Follow:
		return checkAddress("upstream", o.Upstream)
	case Synchronous:
		var errs []error
		for _, s := range o.Standbys {
			errs = append(errs, checkName("standby", s))
		}
		return errors.Join(errs...)
	case Credential:
		password := "none"
		if o.Password != nil {
			password = *o.Password
		}
		errs := []error{Login{o.User, password}.check("credential"), checkText("database", o.Database)}
		if len(o.Database) > 63 || slices.Contains([]string{"postgres", "template0", "template1"}, o.Database) {
			errs = append(errs, fmt.Errorf("database %q: want a name of at most 63 bytes that is not PostgreSQL's own", o.Database))
		}
		for _, other := range o.MemberOf {
			if !slices.Contains(lendable, other) {
				errs = append(errs, fmt.Errorf("memberOf %q: want one of %v", other, lendable))
			}
		}
		return errors.Join(errs...)
	}
	return fmt.Errorf("there is no operation %q", o.Do)
}
