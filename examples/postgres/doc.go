// Package postgres is a managed PostgreSQL, with real servers on this machine: the worked example of states, signals and actions.
//
// A customer asks for a [Database] with replicas, parameters and backups, and connects to one address, whichever server is written to:
//
//	Database ─┬─ Server ×n     a real PostgreSQL server      on the host agent
//	          ├─ Endpoint      the address                   a proxy that follows the server that is written to
//	          └─ Backup ×n     by a plan                     base backups, with the archived log
//	Credential                 a role, rotated               asked for by whoever needs it
//
// The states are those of a control plane for data services: provisioning, available, uncertain (a check-in was missed), unavailable, deprovisioning,
// deprovisioned; and one for each action that takes its time. Sensors, customers and operators raise signals, and nothing else; two decision tables say which action follows, and
// refuse what must not be asked for together.
//
// Read in this order: states.go is what can happen, as data. kinds.go is what can be asked for. database.go and server.go keep a database and a server as they should be while
// nothing is under way. members.go is the rule by which no acknowledged commit is lost. actions.go is what the signals lead to: [promote] is the one to read first. The host agent and the endpoint, below subsystems, know nothing
// of all this: they do what they are told, once per token, and say every second how the servers are.
//
// # Never two writers
//
// A promotion cuts all clients off, then fences the primary: the host kills it, and keeps it from starting. Only then are the others asked how far their logs go, and the one that is ahead
// leads. A commit was acknowledged when any one of the members had it; so all of them have to be asked, and if one cannot be, the promotion fails and the former primary goes on.
// From the moment at which a candidate may lead, the fence is not taken back.
package postgres
