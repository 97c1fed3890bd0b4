package ledger

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// Writers are clients that write through the address of a database, one row per transaction, and connect again whenever they have to.
type Writers struct {
	// Ledger is what they have been told.
	Ledger *Ledger
	// URL is the database's, with the role that they write as.
	URL string

	t       *testing.T
	pace    time.Duration
	dismiss context.CancelFunc
	all     sync.WaitGroup
}

const (
	// WriteLimit bounds a statement, and connectLimit the making of a connection, that would otherwise hang a test.
	WriteLimit   = time.Minute
	connectLimit = 20 * time.Second
)

// Write makes the table, and lets so many writers begin, each with a row per pace at most. They end with the test, or before.
func Write(t *testing.T, url string, writers int, pace time.Duration) *Writers {
	t.Helper()
	c := &Writers{t: t, Ledger: New(), URL: url, pace: pace}
	makeTable(t, url, "CREATE TABLE ledger (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())")
	ctx, dismiss := context.WithCancel(context.Background())
	c.dismiss = dismiss
	for range writers {
		c.all.Go(func() { c.write(ctx) })
	}
	t.Cleanup(c.Stop)
	return c
}

func makeTable(t *testing.T, url, sql string) {
	t.Helper()
	s, err := Connect(t.Context(), url, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Query(t.Context(), WriteLimit, sql); err != nil {
		t.Fatal(err)
	}
	if err := s.Leave(); err != nil {
		t.Fatal(err)
	}
}

// Stop lets everybody finish the row that is under way.
func (c *Writers) Stop() {
	c.dismiss()
	c.all.Wait()
}

// write is the work of one writer.
func (c *Writers) write(ctx context.Context) {
	tick := time.NewTicker(c.pace)
	defer tick.Stop()
	for ctx.Err() == nil {
		s, err := c.open(ctx)
		if err == nil {
			err = c.session(ctx, s, tick)
			if closing := s.Leave(); closing != nil {
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

func (c *Writers) open(ctx context.Context) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	return Connect(ctx, c.URL, "", "")
}

// session writes rows until one fails, or ctx ends.
func (c *Writers) session(ctx context.Context, s *Session, tick *time.Ticker) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		row, sent := c.Ledger.Next(), time.Now()
		_, err := s.Query(context.WithoutCancel(ctx), WriteLimit, fmt.Sprintf("INSERT INTO ledger (id) VALUES (%d)", row))
		c.Ledger.Learn(row, sent, err)
		if err != nil {
			return err
		}
	}
}
