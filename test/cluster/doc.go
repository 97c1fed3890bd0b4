// Package cluster holds the proof of a cluster by its processes: tests that run several nodes on one PostgreSQL database, with the subsystems they steer, and treat all of
// them badly.
//
//	go test -race ./test/cluster                                            # each test in its short form
//	SETPOINT_SOAK=1 go test -timeout 2h -v ./test/cluster -run TestStorm    # ten minutes of storm over 2,000 gateways and 20 databases
//
// Nodes and subsystems are the program in the folder node. Every way between a node and something else leads through the test: a forwarder for each (line_test.go), which can hold
// bytes back and deliver them later, and, where the test is root, a network namespace for each node, whose routes can be made to swallow everything (namespace_test.go). What became of a wish is judged by what the
// database and the subsystems' own ledgers say, and by what the nodes note of their commits (evidence_test.go).
//
//   - TestFrozen: a node is frozen with a commit, and with a call, on the way; both arrive when others have its work, and are refused for their epochs.
//   - TestAllKilled: all nodes die with many commands and actions under way; one is started, and finishes all.
//   - TestPoison: objects that make a controller or an adapter fail in every way are there when all nodes start; everything else recovers.
//   - TestHungNode, TestOutOfMemory, TestWrongClock: a node that beats and does not work, one that the kernel kills, one that is hours off. The second needs a control group of memory, and so root.
//   - TestTakenOverByAWrongClock: what waits for a moment is taken over by nodes whose clocks are hours off, and is neither early nor late.
//   - TestStorm: all of it at once, for minutes, and the invariants afterwards.
//
// # The storm
//
// Four sorts of work go on. Customers change gateways (customer_test.go), and runs of jobs are asked for, whose steps can be counted one by one. Patrons change managed databases and raise signals on them (patron_test.go): these are the PostgreSQL
// example's, with real servers behind its host agent and its endpoints, into some of which writers write who keep a ledger (databases_test.go). Writers contend for registers (register_test.go). And a tenant keeps to itself, with
// a subsystem of its own that nothing is ever done to, beside a neighbour whose subsystem always fails (quiet_test.go). What happens meanwhile is the weather's (weather_test.go), which keeps a journal of its spells: what is late or not answered has to be explained by one.
//
//	I1      no acknowledged wish, and no acknowledged row of a database, is lost        customer_test.go, databases_test.go
//	I2, I12 each token has one effect, also where an answer was lost                    evidence_test.go
//	I3      only legal transitions                                                      evidence_test.go
//	I4      epochs only rise, in the database and in every subsystem                    sampler_test.go, evidence_test.go
//	I5      desired = actual in the end, and then nothing is written                    agree_test.go, patron_test.go, evidence_test.go
//	I6      a watcher sees every commit once, in order                                  test/internal/follower
//	I7      writes of a register are linearizable                                       register_test.go
//	I8      an administrator is answered                                                administrator_test.go
//	I9      nodes hold no more in the end than in the beginning                         gauges_test.go
//	I10     every shard is a live member's                                              evidence_test.go
//	I11     the quiet tenant is unharmed, and what is at rest stays so                  quiet_test.go, storm_test.go
//
// Every random choice comes from a seed that is printed; SETPOINT_SEED sets it. Times are printed and never asserted.
package cluster
