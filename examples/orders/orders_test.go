package orders_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/adopt"
	"github.com/setpointhq/setpoint/examples/orders"
)

func TestWhatPlainSQLDoesIsNoticed(t *testing.T) {
	for _, tt := range []struct {
		reason string
		sql    string
	}{
		{"an insert", "INSERT INTO orders (id, cents, packed) VALUES (2, 900, 1)"},
		{"an insert or ignore, whose conflict clause would hold in triggers too", "INSERT OR IGNORE INTO orders (id, cents, packed) VALUES (2, 900, 1)"},
		{"an update of a row that waits", "UPDATE OR IGNORE orders SET packed = 1"},
		{"a shipped order that is set back by hand", "UPDATE orders SET packed = 1, state = 'Paid'"},
		{"a delete and a namesake", "DELETE FROM orders; INSERT INTO orders (id, cents, packed) VALUES (1, 900, 1)"},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, ledger := newSite(t), &orders.Ledger{}
				s.must(t, "INSERT INTO orders (id, cents) VALUES (1, 4200)")
				p := &process{bank: ledger, left: -1}
				changed := false
				p.run(t, s, func() bool {
					if !changed && s.in(t, orders.Paid, 1) {
						changed = true
						for statement := range strings.SplitSeq(tt.sql, ";") {
							s.must(t, statement)
						}
					}
					if strings.HasPrefix(tt.sql, "INSERT") {
						o, err := s.order(2)
						return err == nil && o.State == orders.Shipped
					}
					return s.in(t, orders.Shipped, 1)
				})
			})
		})
	}
}

func TestARowThatCannotBePaidStopsNobody(t *testing.T) {
	for _, tt := range []struct {
		reason string
		status int
		most   int // requests for the bad order within an hour
	}{
		{"refused: nobody asks again", http.StatusPaymentRequired, 1},
		{"broken: asked again, and more and more rarely", http.StatusInternalServerError, 60},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const bad = orders.ID(1)
				s, asked := newSite(t), 0
				mended := false
				ledger := &orders.Ledger{Refuse: func(c orders.Charge) int {
					if c.Order != bad || mended {
						return 0
					}
					asked++
					return tt.status
				}}
				for range 10 {
					s.must(t, "INSERT INTO orders (cents, packed) VALUES (4200, 1)")
				}
				begun := time.Now()
				p := &process{bank: ledger, left: -1}
				p.run(t, s, func() bool {
					if !mended && time.Since(begun) >= time.Hour {
						if asked < 1 || asked > tt.most {
							t.Errorf("asked %d times in an hour", asked)
						}
						if got := len(ledger.Charges()); got != 9 {
							t.Errorf("%d of the 9 other orders were charged", got)
						}
						mended = true
						s.must(t, "UPDATE orders SET cents = cents WHERE id = 1") // have it looked at again
					}
					return s.in(t, orders.Shipped, 10)
				})
				onceEach(t, ledger, 10)
			})
		})
	}
}

func TestAnIdleTableIsAskedOnceAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rows = 100
		s, ledger := newSite(t), &orders.Ledger{}
		for range rows / 2 {
			s.must(t, "INSERT INTO orders (cents, packed) VALUES (4200, 1)")
			s.must(t, "INSERT INTO orders (cents) VALUES (4200)") // waits for the warehouse
		}
		settled, before, begun := false, int64(0), time.Time{}
		p := &process{bank: ledger, left: -1}
		p.run(t, s, func() bool {
			switch {
			case !settled && len(ledger.Charges()) == rows:
				settled, begun = true, time.Now()
			case settled && before == 0 && time.Since(begun) >= 10*time.Second:
				before, begun = p.Statements(), time.Now()
			case before != 0 && time.Since(begun) >= 1000*time.Second:
				if got := p.Statements() - before; got < 999 || got > 1001 {
					t.Errorf("%d statements in 1000 intervals of idleness over %d rows", got, rows)
				}
				return true
			}
			return false
		})
		onceEach(t, ledger, rows)
	})
}

func TestAdoptingTwiceChangesNothing(t *testing.T) {
	s := newSite(t)
	s.must(t, "INSERT INTO orders (cents) VALUES (4200)")
	for range 2 {
		table, err := orders.Open(s.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := table.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if o, err := s.order(1); err != nil || o.State != orders.New {
		t.Errorf("order 1: %+v, %v", o, err)
	}
}

func TestASaveComparesVersions(t *testing.T) {
	for _, tt := range []struct {
		reason string
		sql    string
		want   error
	}{
		{"nobody else wrote", "UPDATE orders SET packed = 1 WHERE id = 2", nil},
		{"somebody else wrote the row", "UPDATE orders SET packed = 1 WHERE id = 1", adopt.ErrConflict},
		{"the row was deleted", "DELETE FROM orders WHERE id = 1", adopt.ErrGone},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			s := newSite(t)
			s.must(t, "INSERT INTO orders (cents) VALUES (4200), (900)")
			table, err := orders.Open(s.path)
			if err != nil {
				t.Fatal(err)
			}
			o, version, err := table.Load(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			s.must(t, tt.sql)
			o.State = orders.Paid
			next, err := table.Save(t.Context(), 1, o, version)
			if !errors.Is(err, tt.want) || err == nil && next == version {
				t.Errorf("version %s became %s, error %v", version, next, err)
			}
			if saved := s.in(t, orders.Paid, 1); saved != (tt.want == nil) {
				t.Errorf("saved is %v", saved)
			}
			if err := table.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
