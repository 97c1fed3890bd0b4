// Package dnsserver is a small authoritative DNS server for one zone that is changed while it runs, by dynamic update
// (RFC 2136), as BIND and Knot are.
//
// It answers any type that it was given (A, AAAA, TXT, …) with SOA and NS at the apex, over UDP and TCP; transfers the
// zone (AXFR, over TCP); and takes UPDATE with every form of prerequisite. An update happens as a whole or not at all, and
// raises the SOA's serial by one when it changed something. With a key, updates and transfers must be signed (TSIG).
//
// The zone lives in memory and in a journal that is written through before an update is acknowledged. Every change of a
// record set is a line of ledger.jsonl: {"at","seq","serial","name","type","before":[…],"after":[…]}. The ledger is never
// erased.
//
// # Failing on purpose
//
// Updates can be made to fail, by [Server.SetFaults], or over the control listener with POST /v1/faults, in the terms of the
// subsystem kit: lost before anything is done (no answer), refused (REFUSED or SERVFAIL), done half-way, done and not
// acknowledged, slow (later updates wait behind it), and everything forgotten (an empty zone at serial 1, as of a replaced
// server). A real server is atomic; half-way here means that everything but the TXT records is done and SERVFAIL
// answered, which separates an address from the fence that dnsupdate keeps in a TXT record beside it.
package dnsserver
