package orders_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/setpointhq/setpoint/examples/orders"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is the rest of the shop: a connection of its own, and plain SQL.
type site struct {
	path string
	conn *sqlite.Conn
}

func open(path string) (*site, error) {
	table, err := orders.Open(path) // for the schema
	if err != nil {
		return nil, err
	}
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	return &site{path: path, conn: conn}, errors.Join(err, table.Close())
}

func (s *site) close() error { return s.conn.Close() }

func (s *site) exec(sql string, args ...any) error {
	if err := sqlitex.Execute(s.conn, sql, &sqlitex.ExecOptions{Args: args}); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// order reads a row as the web site does.
func (s *site) order(id orders.ID) (o orders.Order, err error) {
	err = sqlitex.Execute(s.conn, "SELECT state, receipt, payment_token FROM orders WHERE id = ?", &sqlitex.ExecOptions{
		Args: []any{int64(id)},
		ResultFunc: func(row *sqlite.Stmt) error {
			o.State, o.Receipt = orders.State(row.ColumnText(0)), row.ColumnText(1)
			o.Token = token(row.ColumnText(2))
			return nil
		},
	})
	return o, err
}

// in reports whether all orders from 1 to n are in a state.
func (s *site) in(t testing.TB, want orders.State, n int) bool {
	t.Helper()
	for id := orders.ID(1); id <= orders.ID(n); id++ {
		o, err := s.order(id)
		if err != nil {
			t.Fatal(err)
		}
		if o.State != want {
			return false
		}
	}
	return true
}

// print waits until the orders are in a state, and prints them.
func (s *site) print(want orders.State, ids ...orders.ID) error {
	const patience = 30 * time.Second // bounds an example that would otherwise hang
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for _, id := range ids {
		o, err := s.order(id)
		for limit := time.Now().Add(patience); err == nil && o.State != want; o, err = s.order(id) {
			if time.Now().After(limit) {
				return fmt.Errorf("order %d is %s after %v, not %s", id, o.State, patience, want)
			}
			<-tick.C
		}
		if err != nil {
			return err
		}
		fmt.Printf("order %d: %s, receipt %v\n", id, o.State, o.Receipt != "")
	}
	return nil
}
