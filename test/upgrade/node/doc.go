// Command node is a service of an author's, as the tests of upgrades run it: a server with four kinds, and the command line to it.
//
//	MACHINES=http://127.0.0.1:7001 node serve --store postgres://… --listen 127.0.0.1:7433 --postgres-name n0
//
// This folder is version N. Version N+1 is the same program with three files replaced, which are in ../testdata/next: version.go; order.go, where an order has a field more in its spec and in its
// status; and move.go, where the action of a move has a step more. What is in kinds.go is the same in both.
//
// All effects are those of one subsystem, the machines, whose address is in the environment.
package main
