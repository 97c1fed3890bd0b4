package host

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/setpointhq/setpoint/adapter/subsystem"
)

// scram marks a verifier: what a server keeps instead of a password (RFC 5803, RFC 7677).
const scram = "SCRAM-SHA-256$"

// iterations is PostgreSQL's default.
const iterations = 4096

// verifier makes a password's verifier. Characters outside ASCII are taken as they are: PostgreSQL and its clients do so too
// where normalizing them (SASLprep) changes nothing.
func verifier(password string, salt []byte, rounds int) (string, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return "", err
	}
	sign := func(text string) []byte {
		mac := hmac.New(sha256.New, salted)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	stored := sha256.Sum256(sign("Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s%d:%s$%s:%s", scram, rounds, encode(salt), encode(stored[:]), encode(sign("Server Key"))), nil
}

// newVerifier makes one with a salt of its own; a password that is one already stays as it is.
func newVerifier(password string) (string, error) {
	if strings.HasPrefix(password, scram) {
		return password, nil
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	return verifier(password, salt, iterations)
}

// verifies says whether a server's verifier is that of a password.
func verifies(kept, password string) bool {
	if strings.HasPrefix(password, scram) {
		return kept == password
	}
	head, _, found := strings.Cut(strings.TrimPrefix(kept, scram), "$")
	rounds, salt, ok := strings.Cut(head, ":")
	count, err := strconv.Atoi(rounds)
	raw, bad := base64.StdEncoding.DecodeString(salt)
	if !found || !ok || err != nil || bad != nil || count < 1 || count > 1_000_000 {
		return false
	}
	made, err := verifier(password, raw, count)
	return err == nil && hmac.Equal([]byte(made), []byte(kept))
}

// Verifier is what a server needs to know of a password, for those who do not want to send the password itself.
func Verifier(password string) (string, error) { return newVerifier(password) }

// ensureLogin makes a role with rights and a password, or gives it these. changed is false when it has them.
func ensureLogin(ctx context.Context, in *session, l Login, rights string) (changed bool, err error) {
	rows, err := in.rows(ctx, "SELECT coalesce(rolpassword, ''), rolcanlogin FROM pg_authid WHERE rolname = "+quoteText(l.User))
	if err != nil {
		return false, err
	}
	if len(rows) == 1 && rows[0][1] == "t" && verifies(rows[0][0], l.Password) {
		return false, nil
	}
	kept, err := newVerifier(l.Password)
	if err != nil {
		return false, err
	}
	verb := "CREATE"
	if len(rows) == 1 {
		verb = "ALTER"
	}
	_, err = in.rows(ctx, fmt.Sprintf("%s ROLE %s LOGIN %s PASSWORD %s", verb, quoteName(l.User), rights, quoteText(kept)))
	return true, withoutStatement(err)
}

// withoutStatement keeps what a server says of a statement, and not the statement.
func withoutStatement(err error) error {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return fmt.Errorf("%s (SQLSTATE %s)", said.Message, said.Code)
	}
	return err
}

// rewindFunctions are what pg_rewind calls at its source.
var rewindFunctions = []string{"pg_ls_dir(text, boolean, boolean)", "pg_stat_file(text, boolean)", "pg_read_binary_file(text)", "pg_read_binary_file(text, bigint, bigint, boolean)"}

// discreet begins sessions that deal with passwords: statements go into no log and no statistics.
var discreet = []string{"SET log_statement = 'none'", "SET log_min_error_statement = 'panic'", "SET log_min_duration_statement = -1",
	"SET log_min_duration_sample = -1", "SET log_duration = off"}

// ensureLogins has a primary know the roles of its request. A standby has them from its upstream.
func (s *server) ensureLogins(ctx context.Context, r ServerRequest) (changed bool, err error) {
	if s.standby() {
		return false, nil
	}
	session, err := s.discreetly(ctx)
	if err != nil {
		return false, err
	}
	defer session.leave()
	if r.Superuser != nil {
		if changed, err = ensureLogin(ctx, session, *r.Superuser, "SUPERUSER"); err != nil {
			return false, fmt.Errorf("role %q: %w", r.Superuser.User, err)
		}
	}
	made, err := ensureLogin(ctx, session, r.Replication, "REPLICATION")
	if err != nil {
		return false, fmt.Errorf("role %q: %w", r.Replication.User, err)
	}
	rows, err := session.rows(ctx, fmt.Sprintf("SELECT has_function_privilege(%s, %s, 'EXECUTE')", quoteText(r.Replication.User), quoteText(rewindFunctions[0])))
	if err != nil || rows[0][0] == "t" {
		return changed || made, err
	}
	for _, function := range rewindFunctions {
		if _, err := session.rows(ctx, "GRANT EXECUTE ON FUNCTION "+function+" TO "+quoteName(r.Replication.User)); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (s *server) discreetly(ctx context.Context) (*session, error) {
	session, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	for _, statement := range discreet {
		if _, err := session.rows(ctx, statement); err != nil {
			session.leave()
			return nil, err
		}
	}
	return session, nil
}

func (j job) doCredential(ctx context.Context, o Operation) (Result, subsystem.Effect, error) {
	session, err := j.discreetly(ctx)
	if err != nil {
		return Result{}, "", err
	}
	defer session.leave()
	if recovering, err := j.inRecovery(ctx); err != nil || recovering {
		return Result{}, "", errors.Join(err, errors.New("it does not take writes: set credentials at the primary"))
	}
	// A commit that waits for a standby in vain is not the caller's to wait for.
	if _, err := session.rows(ctx, "SET statement_timeout = '20s'"); err != nil {
		return Result{}, "", err
	}
	var changed bool
	if o.Password == nil {
		changed, err = dropRole(ctx, session, o.User)
	} else {
		changed, err = j.grant(ctx, session, o)
	}
	if err == nil && len(session.warnings) > 0 {
		err = fmt.Errorf("it is done, and may be on no standby: %s", strings.Join(session.warnings, "; "))
	}
	if err != nil {
		return Result{}, "", fmt.Errorf("role %q: %w", o.User, withoutStatement(err))
	}
	result, err := j.inspect(ctx)
	if changed {
		return result, subsystem.Update, err
	}
	return result, subsystem.NoEffect, err
}

// grant makes the role what the operation says.
func (j job) grant(ctx context.Context, session *session, o Operation) (changed bool, err error) {
	if changed, err = ensureLogin(ctx, session, Login{o.User, *o.Password}, ""); err != nil {
		return changed, err
	}
	if err := j.halfway(); err != nil {
		return changed, err
	}
	for _, other := range o.MemberOf {
		member := fmt.Sprintf("SELECT 1 FROM pg_auth_members WHERE roleid = (SELECT oid FROM pg_roles WHERE rolname = %s) AND member = (SELECT oid FROM pg_roles WHERE rolname = %s)",
			quoteText(other), quoteText(o.User))
		rows, err := session.rows(ctx, member)
		if err != nil {
			return changed, err
		}
		if len(rows) > 0 {
			continue
		}
		changed = true
		if _, err := session.rows(ctx, "GRANT "+quoteName(other)+" TO "+quoteName(o.User)); err != nil {
			return changed, err
		}
	}
	if o.Database == "" {
		return changed, nil
	}
	rows, err := session.rows(ctx, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = "+quoteText(o.Database))
	switch {
	case err != nil:
		return changed, err
	case len(rows) == 0:
		_, err = session.rows(ctx, fmt.Sprintf("CREATE DATABASE %s OWNER %s", quoteName(o.Database), quoteName(o.User)))
		changed = true
	case rows[0][0] != o.User:
		_, err = session.rows(ctx, fmt.Sprintf("ALTER DATABASE %s OWNER TO %s", quoteName(o.Database), quoteName(o.User)))
		changed = true
	}
	return changed, err
}

// dropRole ends a role and its sessions. One that owns something is locked out instead, because what it owns is the customer's.
func dropRole(ctx context.Context, session *session, user string) (changed bool, err error) {
	rows, err := session.rows(ctx, "SELECT rolcanlogin FROM pg_roles WHERE rolname = "+quoteText(user))
	if err != nil || len(rows) == 0 {
		return false, err
	}
	if rows[0][0] == "t" {
		changed = true
		if _, err := session.rows(ctx, fmt.Sprintf("ALTER ROLE %s NOLOGIN PASSWORD NULL", quoteName(user))); err != nil {
			return changed, err
		}
	}
	if _, err := session.rows(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = "+quoteText(user)); err != nil {
		return changed, err
	}
	_, err = session.rows(ctx, "DROP ROLE "+quoteName(user))
	var said *pgconn.PgError
	if errors.As(err, &said) && said.Code == "2BP01" { // it owns something
		return changed, nil
	}
	return true, err
}
