// Command shop runs the controller of the orders example over a SQLite file, with a payment service in memory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/setpointhq/setpoint/examples/orders"
)

func main() {
	path := flag.String("db", "shop.db", "the shop's SQLite file; made if it is not there")
	cents := flag.Int64("order", 0, "insert an order of so many cents first")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *path, *cents); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, path string, cents int64) (err error) {
	table, err := orders.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, table.Close()) }()
	if cents > 0 {
		if err := insert(path, cents); err != nil {
			return fmt.Errorf("insert an order into %s: %w", path, err)
		}
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, nil))
	url, done, err := bank(logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	controller, err := orders.Shop{Orders: table, Bank: orders.Bank{URL: url}, Interval: time.Second, Logger: logger}.Controller()
	if err != nil {
		return err
	}
	logger.Info("the controller runs; stop it with Ctrl-C", "db", path)
	return controller.Run(ctx)
}

// insert does what the shop's web site would do: plain SQL on a connection of its own.
func insert(path string, cents int64) (err error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return sqlitex.Execute(conn, "INSERT INTO orders (cents) VALUES (?)", &sqlitex.ExecOptions{Args: []any{cents}})
}

// bank serves a payment service on a free port of the loopback interface, until done is called.
func bank(logger *slog.Logger) (url string, done func() error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listen for the bank: %w", err)
	}
	ledger := &orders.Ledger{Lose: func(c orders.Charge) bool {
		logger.Info("the bank charges", "order", c.Order, "cents", c.Cents)
		return false
	}}
	server := &http.Server{Handler: ledger, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	return "http://" + listener.Addr().String(), func() error {
		closing := server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			return errors.Join(closing, err)
		}
		return closing
	}, nil
}
