// Package nodesapi shows who works: the nodes of a plane, what each has, and what somebody should look at.
//
//	h := nodesapi.Handler(source)
//	for _, path := range nodesapi.Paths {
//		mux.Handle(path, h)
//	}
//
//	GET  /setpoint/v1/nodes                 every node that is known: {"answered": …, "items": [{name, id, version, address, member, shards, …}]}
//	POST /setpoint/v1/nodes/<name>/drain    {"drain": true}: the nodes of this name give up their shards and take none, until {"drain": false}
//	GET  /setpoint/v1/takeup                how far the answering node is with what it has gained, and whether that is paused
//	POST /setpoint/v1/takeup                {"pause": true, "for": "30m", "by": "who asks"}: all nodes stand still with that, until then or until {"pause": false}
//	GET  /setpoint/v1/leases                who has which shard, under which epoch, and the leases that authors have made
//	GET  /setpoint/v1/doctor                findings, worst first: {"well": …, "findings": [{severity, code, object, what, why, remedy}]}
//
// A name is what is between "nodes/" and the last "/drain", slashes included: the default name of a node is "host/process number".
//
// # The doctor
//
// A [Source] brings [Facts]: what the answering node knows of itself, of the others and of the database. [Diagnose] goes through a list of checks, each a function of the facts and nothing else, and sorts what they
// find. A [Finding] names what it is about, why it matters, and what to do; one of [Critical] or [Warning] needs somebody, one of [Info] does not.
//
// # The database is away
//
// Everything here is answered all the same. Nodes and leases are then those of the last beat that was answered, with the time of that and the error; the doctor says which of its questions had no answer, and what it knows from memory.
//
// # What is not promised
//
// Nothing is decided on these answers: they are for people, may be of the moment before, and two nodes may answer differently. Who may ask, and who may drain or pause, is decided around the handler by whatever guards the mux.
package nodesapi
