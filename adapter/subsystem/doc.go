// Package subsystem is the far end of a command: a kit for writing the services that Setpoint steers, and the
// client with which a plane steers them.
//
// An author writes a [Handler] ("grant an address", "start a process") and gets from [Server] what every such
// service needs to be safe under repetition, delay, crash and replacement:
//
//	server, err := subsystem.Open(subsystem.Options{Dir: "/var/lib/pools", Handler: &pools{}})
//	…
//	err = server.Serve(ctx, listener)
//
// The plane's side is one adapter for all of them, which is a command.Adapter, command.LookUp and command.Observer:
//
//	client := subsystem.NewClient(subsystem.ClientOptions{URL: "http://127.0.0.1:7001"})
//
// As an observer it compares what is acknowledged with what stands: at once and four more times in the 40 s after it meets a memory that it did not
// know, and every [ClientOptions].Audit. A failed comparison is repeated with backoff; what is too large to be taught is reported as lost, so that
// its owner asks again.
//
// # What the server promises
//
//   - One effect per token. A repeated token gets the answer of the first time; two simultaneous calls of one token
//     have one effect. Calls of one key run one after the other, in order of arrival.
//   - Fencing. Per key it keeps the highest (epoch, intent) it has seen and refuses lower ones as Stale, also after the
//     effect was deleted (a tombstone keeps the fence; at most [Options.MaxTombstones], the oldest go first) and also when
//     the newer call was refused for another reason. Per scope (by default there is one, see [Options.Scope]) it keeps
//     the highest epoch and refuses lower ones on every key.
//   - Memory. What it was told and what it did live in an append-only journal, written through to the disk before an
//     answer is given, and read back at the start. A last line that a crash tore is dropped. The journal is rewritten
//     when it is mostly garbage.
//   - Evidence. Every effect is a line of ledger.jsonl, which nothing ever erases; a line that a crash kept out of it is
//     written at the next start. Within one memory a token has at most one line whose effect is create, update or delete.
//   - Announcing itself. A server without a memory is blank: it refuses to act until it has been told, by /v1/restore,
//     what it should have, by somebody who has asked the plane's database after meeting the new memory; from then on it is told nothing of the kind. What it cannot have again, and what it notices dying, it announces on /v1/changes.
//
// Keys must not change hands: the intents of a key's successive owners must keep rising, or the fence of the former owner
// keeps the new one out. Where a natural key can be reused by a namesake, put the owner's UID into the key.
//
// # Protocol
//
// JSON over HTTP; bodies are at most 1 MiB both ways. Every answer of a server carries the header "Setpoint-Subsystem: 1".
//
//	POST /v1/apply        {token, scope, epoch:{incarnation,counter}, intent, key, request|null, previous, handle, object}
//	                      -> {outcome: done|accepted|refused|failed, class, result, handle, message, retryAfterMillis, repeated}
//	                      request null asks for absence. No answer, or a 5xx without the header: it may have happened.
//	GET  /v1/tokens/T     -> {known, …the fields of an answer}. known:false says that sending it is the first time, or that a
//	                      newer intent has replaced it, which sending it then says (Stale). A token being worked on is known and accepted.
//	GET  /v1/changes?memory=M&since=N&hold=MS
//	                      -> {memory, sequence, blank, truncated, lost:[{sequence,key,token,reason}]}
//	                      At once when the memory differs, or something is newer than N; otherwise held for MS milliseconds, at most 25 s.
//	                      truncated says that older losses are not kept any more: compare /v1/inventory.
//	GET  /v1/inventory?after=K  -> {memory, items:[{key,token,lost}], next}   a page, ordered by key
//	POST /v1/restore      {memory, epoch, items:[{key,token,intent,request,result,object}], more}
//	                      -> {memory, restored, lost:[…]}   more:true announces a further page; the last one ends blankness.
//	                      A memory that is not blank any more is left as it is (restored: 0).
//	                      Items that cannot be had again are also announced on /v1/changes, so that no crash of the teller loses them.
//	POST /v1/faults       see [Faults]; {"forgetNow":true} makes it forget everything now
//	GET  /v1/ledger?after=N  -> the ledger's lines after sequence N, as JSON lines
//
// # Failing on purpose
//
// A server can be told to misbehave, by [Server.SetFaults] or /v1/faults: to lose a request, refuse it, stop half-way, lose
// the acknowledgement, be slow, or forget everything. These are the failures that a plane has to survive, so a demonstration
// and a test use the same server that runs in earnest.
package subsystem
