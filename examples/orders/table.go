package orders

import (
	"context"
	_ "embed" // the schema
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/setpointhq/setpoint/adopt"
)

// ID is the number of an order.
type ID int64

// State is how far an order has come.
type State string

// The states of an order, in their order.
const (
	New     State = "New"
	Paid    State = "Paid"
	Shipped State = "Shipped"
)

// Order is the part of a row that concerns the controller.
type Order struct {
	Cents   int64
	Packed  bool
	State   State
	Receipt string
	Token   adopt.Token // of the payment
}

var (
	//go:embed theirs.sql
	theirSchema string
	//go:embed adopt.sql
	ourSchema string
)

// Table is the orders table as an [adopt.Source]. It has a connection of its own, and every method is one statement or one
// transaction.
type Table struct {
	conn       *sqlite.Conn
	turn       chan struct{} // holds a token while the connection is in use
	statements atomic.Int64
}

var _ adopt.Source[ID, Order] = (*Table)(nil)

// Open opens the shop's database file, making its table if there is none, and adds what the controller needs, once.
func Open(path string) (*Table, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate|sqlite.OpenWAL)
	if err != nil {
		return nil, fmt.Errorf("open the orders in %s: %w", path, err)
	}
	if err := prepare(conn); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the orders in %s: %w", path, err), conn.Close())
	}
	return &Table{conn: conn, turn: make(chan struct{}, 1)}, nil
}

func prepare(conn *sqlite.Conn) (err error) {
	end, err := sqlitex.ImmediateTransaction(conn)
	if err != nil {
		return err
	}
	defer end(&err)
	if err := sqlitex.ExecuteScript(conn, theirSchema, nil); err != nil {
		return err
	}
	adopted := false
	err = sqlitex.Execute(conn, "SELECT 1 FROM pragma_table_info('orders') WHERE name = 'payment_token'",
		&sqlitex.ExecOptions{ResultFunc: func(*sqlite.Stmt) error { adopted = true; return nil }})
	if err != nil || adopted {
		return err
	}
	return sqlitex.ExecuteScript(conn, ourSchema, nil)
}

// Close closes the connection. The controller must have ended.
func (t *Table) Close() error { return t.conn.Close() }

// Statements counts what the database was asked, for the curious.
func (t *Table) Statements() int64 { return t.statements.Load() }

// enter waits for the connection, which is one goroutine's at a time. Whoever enters leaves.
func (t *Table) enter(ctx context.Context) error {
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the connection to the orders: %w", ctx.Err())
	}
}

func (t *Table) leave() { <-t.turn }

// query runs one statement. The caller has entered.
func (t *Table) query(text string, row func(*sqlite.Stmt) error, args ...any) error {
	t.statements.Add(1)
	return sqlitex.Execute(t.conn, text, &sqlitex.ExecOptions{Args: args, ResultFunc: row})
}

// Scan visits the orders that are not shipped. The position is read first: a change in between is then visited, or reported
// afterwards, or both.
func (t *Table) Scan(ctx context.Context, visit func(ID)) (adopt.Cursor, error) {
	if err := t.enter(ctx); err != nil {
		return "", err
	}
	defer t.leave()
	var at adopt.Cursor
	err := t.query("SELECT coalesce(max(seq), 0) FROM order_changes", func(s *sqlite.Stmt) error {
		at = adopt.Cursor(s.ColumnText(0))
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("read the position in order_changes: %w", err)
	}
	err = t.query("SELECT id FROM orders WHERE state <> 'Shipped'", func(s *sqlite.Stmt) error {
		visit(ID(s.ColumnInt64(0)))
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("scan the orders: %w", err)
	}
	return at, nil
}

// Changes is one statement for the whole table.
func (t *Table) Changes(ctx context.Context, after adopt.Cursor) (adopt.Batch[ID], error) {
	if err := t.enter(ctx); err != nil {
		return adopt.Batch[ID]{}, err
	}
	defer t.leave()
	batch := adopt.Batch[ID]{Next: after}
	seq, err := strconv.ParseInt(string(after), 10, 64)
	if err != nil {
		return batch, fmt.Errorf("position %q in order_changes: %w", after, err)
	}
	err = t.query("SELECT seq, order_id FROM order_changes WHERE seq > ? ORDER BY seq", func(s *sqlite.Stmt) error {
		batch.Next = adopt.Cursor(s.ColumnText(0))
		batch.Changes = append(batch.Changes, adopt.Change[ID]{ID: ID(s.ColumnInt64(1)), Version: adopt.Version(s.ColumnText(0))})
		return nil
	}, seq)
	return batch, err
}

// Load reads one order.
func (t *Table) Load(ctx context.Context, id ID) (Order, adopt.Version, error) {
	if err := t.enter(ctx); err != nil {
		return Order{}, "", err
	}
	defer t.leave()
	var (
		o       Order
		version adopt.Version
		found   bool
	)
	err := t.query("SELECT cents, packed, state, receipt, payment_token, version FROM orders WHERE id = ?", func(s *sqlite.Stmt) error {
		found = true
		o = Order{
			Cents: s.ColumnInt64(0), Packed: s.ColumnBool(1), State: State(s.ColumnText(2)),
			Receipt: s.ColumnText(3), Token: adopt.Token(s.ColumnText(4)),
		}
		version = adopt.Version(s.ColumnText(5))
		return nil
	}, int64(id))
	if err == nil && !found {
		err = adopt.ErrGone
	}
	return o, version, err
}

// Save writes the columns that are the controller's, if the row still has the version.
func (t *Table) Save(ctx context.Context, id ID, o Order, at adopt.Version) (version adopt.Version, err error) {
	if err := t.enter(ctx); err != nil {
		return "", err
	}
	defer t.leave()
	was, err := strconv.ParseInt(string(at), 10, 64)
	if err != nil {
		return "", fmt.Errorf("version %q of order %d: %w", at, id, err)
	}
	end, err := sqlitex.ImmediateTransaction(t.conn)
	if err != nil {
		return "", fmt.Errorf("begin to save order %d: %w", id, err)
	}
	defer end(&err)
	err = t.query("UPDATE orders SET state = ?, receipt = ?, payment_token = ? WHERE id = ? AND version = ?", nil,
		string(o.State), o.Receipt, string(o.Token), int64(id), was)
	if err != nil {
		return "", fmt.Errorf("save order %d: %w", id, err)
	}
	written := t.conn.Changes() > 0
	err = t.query("SELECT version FROM orders WHERE id = ?", func(s *sqlite.Stmt) error {
		version = adopt.Version(s.ColumnText(0))
		return nil
	}, int64(id))
	switch {
	case err != nil:
		return "", fmt.Errorf("read the version of order %d: %w", id, err)
	case version == "":
		return "", adopt.ErrGone
	case !written:
		return "", adopt.ErrConflict
	}
	return version, nil
}
