package managed

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"
)

// crowd are clients that write through the address of the database, one row per transaction, and connect again whenever they have to.
type crowd struct {
	t       *testing.T
	ledger  *ledger
	url     string
	dismiss context.CancelFunc
	all     sync.WaitGroup
}

const (
	// writeLimit bounds a statement, and connectLimit the making of a connection, that would otherwise hang a test.
	writeLimit   = time.Minute
	connectLimit = 20 * time.Second
	// pace is the time between two rows of one writer.
	pace = 20 * time.Millisecond
)

// newCrowd makes the table, and lets writers begin. They end with the test, or before.
func newCrowd(t *testing.T, url string, writers int) *crowd {
	t.Helper()
	c := &crowd{t: t, ledger: newLedger(), url: url}
	s, err := connect(t.Context(), url, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.query(t.Context(), writeLimit, "CREATE TABLE ledger (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())"); err != nil {
		t.Fatal(err)
	}
	if err := s.leave(); err != nil {
		t.Fatal(err)
	}
	ctx, dismiss := context.WithCancel(context.Background())
	c.dismiss = dismiss
	for range writers {
		c.all.Go(func() { c.write(ctx) })
	}
	t.Cleanup(c.stop)
	return c
}

// stop lets everybody finish the row that is under way.
func (c *crowd) stop() {
	c.dismiss()
	c.all.Wait()
}

// write is the work of one writer.
func (c *crowd) write(ctx context.Context) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for ctx.Err() == nil {
		s, err := c.open(ctx)
		if err == nil {
			err = c.session(ctx, s, tick)
			if closing := s.leave(); closing != nil {
				c.t.Errorf("a writer: %v", closing)
			}
		}
		if err != nil {
			select { // what fails at once is not repeated at once
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}
}

func (c *crowd) open(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	return connect(ctx, c.url, "", "")
}

// session writes rows until one fails, or ctx ends.
func (c *crowd) session(ctx context.Context, s *session, tick *time.Ticker) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		row, sent := c.ledger.next(), time.Now()
		_, err := s.query(context.WithoutCancel(ctx), writeLimit, fmt.Sprintf("INSERT INTO ledger (id) VALUES (%d)", row))
		c.ledger.learn(row, sent, err)
		if err != nil {
			return err
		}
	}
}

// rowsOf are the rows of a ledger's table, read through the address of the database.
func rowsOf(t *testing.T, url string) (map[int64]bool, error) {
	ctx, cancel := context.WithTimeout(t.Context(), connectLimit)
	defer cancel()
	session, err := connect(ctx, url, "", "")
	if err != nil {
		return nil, err
	}
	texts, err := session.query(t.Context(), writeLimit, "SELECT id FROM ledger")
	if closing := session.leave(); closing != nil {
		t.Error(closing)
	}
	rows := map[int64]bool{}
	for _, row := range texts {
		id, err := strconv.ParseInt(row[0], 10, 64)
		if err != nil {
			return nil, err
		}
		rows[id] = true
	}
	return rows, err
}
