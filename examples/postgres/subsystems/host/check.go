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
)

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
	case Fence, Unfence, Promote, Unfollow, Restart, Barrier, Inspect:
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
