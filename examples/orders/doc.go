// Package orders is a worked example of [github.com/setpointhq/setpoint/adopt]: a shop has a table of orders in a plain SQLite
// file, written by its web site, its warehouse and its people. It wants each order paid once and shipped when it is packed,
// whatever crashes in between, and adopts one controller for that. Nothing else of Setpoint is used.
//
// Read it in this order:
//
//   - theirs.sql is the table as it was, adopt.sql what the adoption adds: two columns, a table of changes, three triggers.
//   - table.go lets the controller see the table: scan, changes, load, save.
//   - shop.go is the controller: New → Paid → Shipped.
//   - bank.go is the client of the payment service; ledger.go is such a service, for the example and the tests.
//
// Try it, and change orders in the file with any SQLite client while it runs:
//
//	go run ./examples/orders/shop -db /tmp/shop.db -order 4200
//	sqlite3 /tmp/shop.db "UPDATE orders SET packed = 1"
package orders
