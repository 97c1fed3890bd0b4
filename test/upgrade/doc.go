// Package upgrade holds the proof of rolling upgrades: tests that run three nodes of version N as processes on one PostgreSQL database, put N+1 in their places one at a time and N again, while
// clients read, write, watch and signal, and commands and actions of five steps are under way.
//
//	go test -race ./test/upgrade                                        # forward and back, once
//	SETPOINT_SOAK=1 go test -timeout 30m -count=1 -v ./test/upgrade     # twice, under more load
//
// N is the program in the folder node, of this tree. N+1 is built of the same tree with "go build -overlay": the files in testdata/next take the places of three of the program's, and the schema gets
// one migration more, under the next number. So that what differs is what a next version has, and the tree needs no build tag and no second copy of anything for it.
//
//   - A version, that nodes and `setpoint nodes` show.
//   - A migration that adds columns, an index and a table (expand only).
//   - A kind whose spec and status have a field more (order.go).
//   - An action with a step more (move.go), of which runs are half-way when the version changes.
//
// TestUpgrade does what docs/how-to/operate-nodes.md says, by the same commands. TestContract is about the other sort of migration: one that old programs do not understand.
//
// What is held against it: requests that failed for good, after the retries of the package client; the events of watches against the commits of the database; the attempts of every command in every
// commit; and the ledger of the subsystem. Times are printed and never asserted.
package upgrade
