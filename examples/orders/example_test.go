package orders_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/setpointhq/setpoint/adopt"
	"github.com/setpointhq/setpoint/examples/orders"
)

// A shop adopts one controller. One order exists before it starts; the other is inserted with plain SQL while it runs, and the
// bank's first answer gets lost.
func Example() {
	if err := shop(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// order 1: Paid, receipt true
	// order 2: Paid, receipt true
	// order 1 is not shipped: await NotPacked: the warehouse has not packed it
	// order 1: Shipped, receipt true
	// order 2: Shipped, receipt true
	// the bank was asked 3 times and charged 2
}

func shop() (err error) {
	folder, err := os.MkdirTemp("", "orders")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	site, err := open(filepath.Join(folder, "shop.db")) // the web site's own connection
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.close()) }()
	if err := site.exec("INSERT INTO orders (id, cents) VALUES (1, 4200)"); err != nil {
		return err
	}

	// The bank, whose first answer gets lost.
	var lost atomic.Bool
	ledger := &orders.Ledger{Lose: func(orders.Charge) bool { return !lost.Swap(true) }}
	bank := httptest.NewServer(ledger)
	defer bank.Close()

	// The controller, over the shop's table.
	table, err := orders.Open(site.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, table.Close()) }()
	controller, err := orders.Shop{
		Orders: table, Bank: orders.Bank{URL: bank.URL, Client: bank.Client()}, Interval: 10 * time.Millisecond,
	}.Controller()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- controller.Run(ctx) }()
	defer func() { cancel(); err = errors.Join(err, <-ended) }()

	// Somebody else goes on writing the table.
	if err := site.exec("INSERT INTO orders (id, cents) VALUES (2, 900)"); err != nil {
		return err
	}
	if err := site.print(orders.Paid, 1, 2); err != nil {
		return err
	}
	fmt.Println("order 1 is not shipped:", outcome(controller, 1))
	if err := site.exec("UPDATE orders SET packed = 1"); err != nil {
		return err
	}
	if err := site.print(orders.Shipped, 1, 2); err != nil {
		return err
	}
	fmt.Println("the bank was asked", ledger.Requests(), "times and charged", len(ledger.Charges()))
	return nil
}

// outcome waits until no turn of the order is under way, and says how the last one ended.
func outcome(c *adopt.Controller[orders.ID, orders.Order], id orders.ID) adopt.Outcome {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if why, ok := c.Explain(id); ok && !why.Working {
			return why.Outcome
		}
		<-tick.C
	}
}
