package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// session is a connection to a server. It belongs to one goroutine.
type session struct {
	*pgconn.PgConn
	raw net.Conn
	// warnings are what the server has warned of.
	warnings []string
}

// connect opens a session as [Role] over the server's own socket.
func (s *server) connect(ctx context.Context) (*session, error) {
	path := "@" + s.tag() + fmt.Sprintf("/.s.PGSQL.%d", s.port.Load())
	return dial(ctx, "postgres://"+Role+"@localhost/postgres?sslmode=disable", "unix", path)
}

// connectTo opens a session to another server over TCP; replication makes it one of a standby.
func connectTo(ctx context.Context, address string, by Login, replication bool) (*session, error) {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(by.User, by.Password), Host: address, Path: "/postgres", RawQuery: "sslmode=disable"}
	if replication {
		u.RawQuery += "&replication=true"
	}
	return dial(ctx, u.String(), "tcp", address)
}

func dial(ctx context.Context, text, network, address string) (*session, error) {
	config, err := pgconn.ParseConfig(text)
	if err != nil {
		return nil, errors.New("the address of a server cannot be read") // the error would show the password
	}
	made := &session{}
	var dialer net.Dialer
	// What is written here means the same whatever the server's settings and whoever has made a function in public.
	for name, value := range map[string]string{"standard_conforming_strings": "on", "search_path": "pg_catalog", "client_encoding": "UTF8"} {
		config.RuntimeParams[name] = value
	}
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		if made.raw != nil { // pgconn would cancel what it has lost sight of, and wait for that
			return nil, errors.New("one session is one connection")
		}
		raw, err := dialer.DialContext(ctx, network, address)
		made.raw = raw
		return raw, err
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.Severity == "WARNING" && len(made.warnings) < 16 {
			made.warnings = append(made.warnings, n.Message)
		}
	}
	if made.PgConn, err = pgconn.ConnectConfig(ctx, config); err != nil {
		return nil, err
	}
	return made, nil
}

// leave ends the session, without waiting for a server that does not answer.
func (s *session) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if !s.IsClosed() {
		if err := s.Close(ctx); err == nil {
			return
		}
	}
	if err := s.raw.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return // nothing is left of it either way
	}
	<-s.CleanupDone()
}

// rows runs one statement, and returns its rows as text, NULL as "".
func (s *session) rows(ctx context.Context, sql string) ([][]string, error) {
	results, err := s.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, cause(ctx, err)
	}
	var rows [][]string
	for _, row := range results[len(results)-1].Rows {
		texts := make([]string, len(row))
		for i, value := range row {
			texts[i] = string(value)
		}
		rows = append(rows, texts)
	}
	return rows, nil
}

// query runs statements, each by itself, in one session of [Role], and returns the rows of the last.
func (s *server) query(ctx context.Context, sql ...string) (rows [][]string, err error) {
	session, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer session.leave()
	for _, statement := range sql {
		if rows, err = session.rows(ctx, statement); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// quoteName and quoteText write SQL. Text holds no zero bytes: requests are JSON and names are checked.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
func quoteText(text string) string {
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
