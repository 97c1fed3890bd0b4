package orders_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/adopt"
	"github.com/setpointhq/setpoint/examples/orders"
)

type token = adopt.Token

// process is a process that dies at one of its operations on the outer world: before it has an effect, or after it has and
// before the process hears of it. Afterwards nothing it does has any effect.
type process struct {
	*orders.Table
	bank http.Handler

	turn      chan struct{} // holds a token during an operation; a mutex would stop virtual time
	left      int           // operations until death; negative: immortal
	after     bool
	dead      bool
	performed int
	died      chan struct{}
}

var errDead = errors.New("the process is dead")

// do performs an operation, or dies of it.
func (p *process) do(operation func() error) error {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if p.dead {
		return errDead
	}
	p.performed++
	if p.left--; p.left != 0 {
		return operation()
	}
	p.dead = true
	close(p.died)
	if p.after {
		return errors.Join(operation(), errDead)
	}
	return errDead
}

func (p *process) Scan(ctx context.Context, visit func(orders.ID)) (at adopt.Cursor, err error) {
	err = p.do(func() (err error) { at, err = p.Table.Scan(ctx, visit); return err })
	return at, err
}

func (p *process) Load(ctx context.Context, id orders.ID) (o orders.Order, v adopt.Version, err error) {
	err = p.do(func() (err error) { o, v, err = p.Table.Load(ctx, id); return err })
	return o, v, err
}

func (p *process) Save(ctx context.Context, id orders.ID, o orders.Order, at adopt.Version) (v adopt.Version, err error) {
	err = p.do(func() (err error) { v, err = p.Table.Save(ctx, id, o, at); return err })
	return v, err
}

// RoundTrip calls the bank without a network, so that virtual time can pass meanwhile.
func (p *process) RoundTrip(r *http.Request) (response *http.Response, err error) {
	err = p.do(func() (err error) {
		defer func() {
			if recover() != nil {
				err = errors.New("the connection broke")
			}
		}()
		recorder := httptest.NewRecorder()
		p.bank.ServeHTTP(recorder, r)
		response = recorder.Result()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// run runs a controller in the process until done reports true, or the process has died.
func (p *process) run(t *testing.T, s *site, done func() bool) {
	t.Helper()
	p.died, p.turn = make(chan struct{}), make(chan struct{}, 1)
	var err error
	if p.Table, err = orders.Open(s.path); err != nil {
		t.Fatal(err)
	}
	controller, err := orders.Shop{Orders: p, Bank: orders.Bank{URL: "http://bank", Client: &http.Client{Transport: p}}, Seed: 7}.Controller()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- controller.Run(ctx) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	limit := time.Now().Add(24 * time.Hour)
	for alive := true; alive && !done(); {
		select {
		case <-tick.C:
			if time.Now().After(limit) {
				t.Errorf("not done within a day; stats %+v", controller.Stats())
				alive = false
			}
		case <-p.died:
			alive = false
		}
	}
	cancel()
	if err := errors.Join(<-ended, p.Table.Close()); err != nil {
		t.Error(err)
	}
}

func newSite(t *testing.T) *site {
	t.Helper()
	s, err := open(filepath.Join(t.TempDir(), "shop.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *site) must(t testing.TB, sql string, args ...any) {
	t.Helper()
	if err := s.exec(sql, args...); err != nil {
		t.Fatal(err)
	}
}

// onceEach fails unless each order from 1 to n was charged exactly once.
func onceEach(t *testing.T, l *orders.Ledger, n int) {
	t.Helper()
	times := map[orders.ID]int{}
	for _, c := range l.Charges() {
		times[c.Order]++
	}
	for id := orders.ID(1); id <= orders.ID(n); id++ {
		if times[id] != 1 {
			t.Errorf("order %d was charged %d times", id, times[id])
		}
	}
	if len(l.Charges()) != n {
		t.Errorf("%d charges for %d orders: %v", len(l.Charges()), n, l.Charges())
	}
}

// A process that dies at any of its operations, before or after the effect, is followed by one that lives.
func TestNoCrashChargesTwice(t *testing.T) {
	const rows = 2
	total := 0
	synctest.Test(t, func(t *testing.T) { total = crashAt(t, -1, false, rows) })
	if total < 1+rows*6 {
		t.Fatalf("only %d operations: one scan, and for each order 2 loads, 3 saves and a call were expected", total)
	}
	for at := 1; at <= total; at++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("operation %d, effect %v", at, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { crashAt(t, at, after, rows) })
			})
		}
	}
}

// crashAt returns how many operations the first process performed.
func crashAt(t *testing.T, at int, after bool, rows int) int {
	s, ledger := newSite(t), &orders.Ledger{}
	for range rows {
		s.must(t, "INSERT INTO orders (cents, packed) VALUES (4200, 1)")
	}
	shipped := func() bool { return s.in(t, orders.Shipped, rows) }
	first := &process{bank: ledger, left: at, after: after}
	first.run(t, s, shipped)
	if first.dead != (at > 0) {
		t.Errorf("dead is %v after %d operations", first.dead, first.performed)
	}
	(&process{bank: ledger, left: -1}).run(t, s, shipped)
	onceEach(t, ledger, rows)
	return first.performed
}

func TestLostAcknowledgementsNeverChargeTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rows = 20
		s, lost := newSite(t), map[orders.ID]int{}
		ledger := &orders.Ledger{Lose: func(c orders.Charge) bool { // called one at a time by process.do
			lost[c.Order]++
			return lost[c.Order] <= int(c.Order)%4
		}}
		for range rows {
			s.must(t, "INSERT INTO orders (cents, packed) VALUES (4200, 1)")
		}
		(&process{bank: ledger, left: -1}).run(t, s, func() bool { return s.in(t, orders.Shipped, rows) })
		onceEach(t, ledger, rows)
		if want := rows + (0+1+2+3)*rows/4; ledger.Requests() != want {
			t.Errorf("%d requests, want %d: each order once, and again for each answer that was lost", ledger.Requests(), want)
		}
	})
}

func TestTwoProcessesAtOnceChargeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rows = 20
		s, ledger := newSite(t), &orders.Ledger{}
		for range rows {
			s.must(t, "INSERT INTO orders (cents, packed) VALUES (4200, 1)")
		}
		var both sync.WaitGroup
		reading := make(chan struct{}, 1)
		for range 2 {
			both.Go(func() {
				(&process{bank: ledger, left: -1}).run(t, s, func() bool {
					reading <- struct{}{}
					defer func() { <-reading }()
					return s.in(t, orders.Shipped, rows)
				})
			})
		}
		both.Wait()
		onceEach(t, ledger, rows)
	})
}
