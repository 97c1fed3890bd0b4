// Package gateway holds the proof of the gateway service by its processes: tests that build the program, run `setpoint dev --demo gateway` as a person
// does, and treat it badly.
//
//	go test -race ./test/gateway                                  # each test in its short form
//	SETPOINT_SOAK=1 go test -race -timeout 2h ./test/gateway      # the same tests with the numbers of a soak
//
// Nothing of the service is imported but the types of its specs: Setpoint is reached over HTTP, by kubectl and by its own command line, and what became of a
// wish is judged by the files and the tables that the subsystems themselves keep: the ledgers, the zone, the process table, the database.
//
//   - TestDemo: from nothing to an answer through TLS, a name that resolves, and a watch by kubectl; a restart finds everything again.
//   - TestKilledProxy: a proxy that is killed is replaced, once, also while its routes change.
//   - TestKilledSetpoint: Setpoint itself is killed at random moments of everything.
//   - TestFaults: subsystems that fail in each of the ways that they can be told to.
//   - TestVandal: somebody edits the running database.
//   - TestBadInput: everything that can be wrong with a request.
//   - TestRestore: a backup put in the place of the database, fresh and stale.
//
// Every random choice comes from a seed that is printed; SETPOINT_SEED sets it. Times are printed and never asserted.
package gateway
