// Package cluster holds the proof of a cluster by its processes: tests that run several nodes on one PostgreSQL database, with the subsystems they steer, and treat all of
// them badly.
//
//	go test -race ./test/cluster                                            # each test in its short form
//	SETPOINT_SOAK=1 go test -timeout 2h -v ./test/cluster -run TestStorm    # ten minutes of storm over 2,000 gateways
//
// Nodes and subsystems are the program in the folder node. Every way between a node and something else leads through the test: a forwarder for each (line_test.go), which can hold
// bytes back and deliver them later, and, where the test is root, a network namespace for each node, whose routes can be made to swallow everything (namespace_test.go). What became of a wish is judged by what the
// database and the subsystems' own ledgers say, and by what the nodes note of their commits (evidence_test.go).
//
//   - TestFrozen: a node is frozen with a commit, and with a call, on the way; both arrive when others have its work, and are refused for their epochs.
//   - TestAllKilled: all nodes die with many commands and actions under way; one is started, and finishes all.
//   - TestPoison: objects that make a controller or an adapter fail in every way are there when all nodes start; everything else recovers.
//   - TestHungNode, TestOutOfMemory, TestWrongClock: a node that beats and does not work, one that the kernel kills, one that is hours off. The second needs a control group of memory, and so root.
//   - TestStorm: all of it at once, for minutes, and the invariants afterwards. The managed databases are jobs here: a kind with a decision table whose one action has five steps, each a call.
//
// Every random choice comes from a seed that is printed; SETPOINT_SEED sets it. Times are printed and never asserted.
package cluster
