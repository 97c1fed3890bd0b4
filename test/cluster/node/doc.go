// Command node is what the tests of the cluster run as processes: a node with a door, and the subsystems that nodes steer.
//
//	node serve       # one node: reads what it is from SETPOINT_NODE, a [NodeConfig] in JSON
//	node subsystems  # all subsystems of the gateways and of the node's own kinds in one process: reads SETPOINT_SUBSYSTEMS, a [SubsystemsConfig]
//	node databases NAME FOLDER  # one of the PostgreSQL example's: its host agent, with real servers, or its endpoints
//
// A node is assembled as an author assembles one, from the public packages: the kinds of the gateway example and, if it is told so, those of the PostgreSQL example (databases.go), and some of its own (kinds.go) whose code can be told to panic,
// hang, or ask for nonsense. What differs is what a test needs to see. The store is wrapped, and notes in a file the first commit under each epoch of each shard and every commit that was
// refused for its epoch (evidence.go); and a second door makes the node ill (mishaps.go).
//
// Every subsystem stands on the kit, and keeps the kit's ledger; the refusals of the one that the node's own kinds use are written to a file besides (subsystems.go), because a ledger has effects only.
package main
