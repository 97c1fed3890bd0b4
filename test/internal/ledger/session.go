package ledger

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Session is one connection to a server. It belongs to one goroutine.
type Session struct {
	*pgconn.PgConn
	raw net.Conn
	// alone is set when the server has said that a commit may be on it alone: it was told not to wait for another one any more.
	alone bool
}

// ErrAlone is a commit that the server has acknowledged, with the warning that nobody else may have it.
var ErrAlone = errors.New("the commit is perhaps on one server only")

// Connect opens a session with a URL, at the URL's address or at another one.
func Connect(ctx context.Context, url, network, address string) (*Session, error) {
	config, err := pgconn.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.TLSConfig, config.Fallbacks = nil, nil
	made := &Session{}
	config.DialFunc = func(ctx context.Context, _, its string) (net.Conn, error) {
		if made.raw != nil { // a second connection would be there to cancel what the first has lost sight of
			return nil, errors.New("one session is one connection")
		}
		if address == "" {
			network, address = "tcp", its
		}
		raw, err := (&net.Dialer{}).DialContext(ctx, network, address)
		made.raw = raw
		return raw, err
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		made.alone = made.alone || strings.Contains(n.Detail, "might not have been replicated")
	}
	if made.PgConn, err = pgconn.ConnectConfig(ctx, config); err != nil {
		return nil, err
	}
	return made, nil
}

// Query runs one statement within a limit, and returns its rows. A statement that is its own transaction is committed when it returns without an error.
func (s *Session) Query(ctx context.Context, limit time.Duration, sql string) (rows [][]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s.alone = false
	results, err := s.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	if s.alone {
		return nil, ErrAlone
	}
	for _, row := range results[len(results)-1].Rows {
		texts := make([]string, len(row))
		for i, value := range row {
			texts[i] = string(value)
		}
		rows = append(rows, texts)
	}
	return rows, nil
}

// Leave ends the session at once, without a word to the server, as a client that is cut off.
func (s *Session) Leave() error {
	err := s.raw.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	if s.IsClosed() {
		<-s.CleanupDone()
	}
	return err
}
