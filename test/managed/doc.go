// Package managed holds the proof of the managed PostgreSQL by its processes: tests that build the program, run `setpoint dev --demo postgres` as a person does,
// and do to it what happens to databases.
//
//		go test -race ./test/managed                                            # each test in its short form
//		SETPOINT_SOAK=1 go test -v -timeout 60m ./test/managed -run TestStorm   # 50 faults, on both engines
//
//	  - TestDemo: from nothing to a database with two replicas; a promotion under load; a restart of Setpoint finds everything again; what is stopped is gone.
//	  - TestStorm: writers keep a ledger of what was acknowledged to them, while servers, the host's agent and Setpoint itself are killed and frozen, and all that
//	    can be asked of a database is asked. Nothing acknowledged is lost, and there are never two servers that take writes.
//
// Nothing of the service is imported but the types of its specs and the names of its states and signals: Setpoint is reached over HTTP, the database through its
// address, and each server is asked beside the service. Every random choice comes from a seed that is printed; SETPOINT_SEED sets it. Times are printed and never asserted.
package managed
