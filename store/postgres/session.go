package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/store"
)

// connectTimeout bounds one attempt to connect, with each of the hosts.
const connectTimeout = 5 * time.Second

// deadPeer is how long sent bytes may stay without an answer from the other machine before the connection is given up.
const deadPeer = 10 * time.Second

// parse reads a URL and sets what every session of the engine has. use says what the session is for.
func parse(url, name, use string) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("the URL of the database: %w", err) // pgx leaves the password out
	}
	c.ConnectTimeout = connectTimeout
	if c.ValidateConnect == nil { // the URL does not say which server it wants
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	dialer := &net.Dialer{KeepAlive: deadPeer / 3, Control: giveUpDeadPeers}
	c.DialFunc = dialer.DialContext
	application := "setpoint " + use + " " + name
	c.RuntimeParams["application_name"] = application[:min(len(application), 63)] // longer names are cut by the server, with a warning for each session
	c.RuntimeParams["idle_in_transaction_session_timeout"] = "5s"
	c.RuntimeParams["search_path"] = "pg_catalog"
	c.RuntimeParams["jit"] = "off" // compiling one of our small statements takes a hundred times as long as running it
	// A role or a database may have other defaults. The functions are made for statements that each see what was committed before them.
	c.RuntimeParams["default_transaction_isolation"] = "read committed"
	c.RuntimeParams["idle_session_timeout"] = "0"
	return c, nil
}

// durable keeps a role's or a database's synchronous_commit=off from losing what was acknowledged. Stronger settings stay.
const durable = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"

// asApp takes the role of the application, whoever logged in: the rules are for the engine too.
func asApp(ctx context.Context, c *pgx.Conn) error {
	_, err := c.PgConn().Exec(ctx, "SET ROLE "+RoleApp+"; "+durable).ReadAll()
	e := serverError(err)
	if e != nil && e.Code == codeNoRole {
		return fmt.Errorf("%w: there is no role %s; run `setpoint migrate up`: %w", ErrSchema, RoleApp, err)
	}
	if e != nil && e.Code == codeNoRight {
		return fmt.Errorf("%w: user %s must be a member of role %s (GRANT %s TO %s): %w",
			ErrPrivilege, c.Config().User, RoleApp, RoleApp, c.Config().User, err)
	}
	return err
}

// connect opens a session as the application.
func (s *Store) connect(ctx context.Context, use string, settings map[string]string) (*pgx.Conn, error) {
	c, err := parse(s.options.URL, s.options.Name, use)
	if err != nil {
		return nil, err
	}
	c.Tracer = counter{&s.statements}
	c.OnNotice = noteUnconfirmed
	s.lineage.guard(&c.Config)
	for k, v := range settings {
		c.RuntimeParams[k] = v
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := asApp(ctx, conn); err != nil {
		return nil, errors.Join(err, hangUp(conn))
	}
	s.met.connected(use)
	return conn, nil
}

// errUnconfirmed says that a server was made to stop waiting for its standby (pg_cancel_backend does it). It calls the transaction committed all the same, and warns.
var errUnconfirmed = errors.New("the server did not wait until its standby had the commit")

// unconfirmedKey is where a session keeps that it was so.
const unconfirmedKey = "setpoint.unconfirmed"

// noteUnconfirmed hears the warnings of a server. The name of the routine is the same in every language.
func noteUnconfirmed(p *pgconn.PgConn, n *pgconn.Notice) {
	if n.Routine == "SyncRepWaitForLSN" {
		p.CustomData()[unconfirmedKey] = true
	}
}

// confirmed returns errUnconfirmed when a session has warned. What it said is to be asked for again on another one, whose own commit comes later in the log: when that
// has reached the standby, so has this one.
func confirmed(p *pgconn.PgConn) error {
	if p.CustomData()[unconfirmedKey] != nil {
		return errUnconfirmed
	}
	return nil
}

// hangUp closes a session, and does not wait long for the server to hear it.
func hangUp(c *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := c.Close(ctx); err != nil && !errors.Is(err, net.ErrClosed) && ctx.Err() == nil {
		return err
	}
	return nil
}

// drop forgets a session that broke. There is nobody to tell that closing it failed too.
func (s *Store) drop(c *pgx.Conn) {
	if c == nil {
		return
	}
	if err := hangUp(c); err != nil {
		s.options.Logger.Debug("closing a broken connection", "error", err)
	}
}

// backoff waits after so many failures to reach the database (from 0): between a quarter and five quarters of a window that doubles from 20 ms up to a second. It
// reports whether the context still lives.
func backoff(ctx context.Context, attempt int) bool {
	most := command.Window(20*time.Millisecond, time.Second, attempt+1)
	timer := time.NewTimer(most/4 + rand.N(most))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// The conditions of PostgreSQL that are told apart, by SQLSTATE; SP… are raised by our own functions.
const (
	codeSuperseded = "SP001" // the committer has another epoch
	codeProposal   = "SP002" // a proposal has a bad form
	codeGuard      = "SP003" // a trigger refused
	codeLock       = "55P03" // lock_timeout
	codeCanceled   = "57014" // statement_timeout, or somebody
	codeDeadlock   = "40P01"
	codeSerialize  = "40001"
	codeReadOnly   = "25006" // the server is a replica, or was demoted
	codeCheck      = "23514" // a constraint of a row
	codeTooLarge   = "54000" // program_limit_exceeded
	codeNoTable    = "42P01"
	codeNoFunction = "42883"
	codeNoSchema   = "3F000"
	codeNoRight    = "42501"
	codeNoRole     = "22023" // SET ROLE to one that does not exist
)

// serverError returns what the server said, nil when it was not the server that spoke.
func serverError(err error) *pgconn.PgError {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// lost reports whether an error says that there is no connection, or that its server is going down: another try may reach one.
func lost(err error) bool {
	if e := serverError(err); e != nil {
		return e.Code[:2] == "08" || e.Code[:2] == "57" && e.Code != codeCanceled || e.Code == codeReadOnly
	}
	return errors.Is(err, store.ErrUnavailable) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}
