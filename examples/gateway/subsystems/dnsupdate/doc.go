// Package dnsupdate keeps address records in any DNS server that takes dynamic updates (RFC 2136): the adapter of a
// subsystem that knows nothing of tokens and epochs, and is made idempotent by its natural key.
//
//	adapter := dnsupdate.New(dnsupdate.Options{Server: "127.0.0.1:5300", Zone: "edge.example"})
//
// A command's key is the name; its request is {"name":"shop.edge.example","addresses":["127.77.0.1"],"ttl":30}, nil for
// no addresses. Its result is {"addresses":["127.77.0.1"]}, sorted.
//
// # Fencing without the server's help
//
// The server has no memory of tokens, and would carry out an update that was delayed on its way even after a newer one.
// Therefore the zone holds 64 slots, TXT records _setpoint-00 to _setpoint-63 that stay for ever. A name's slot is
// chosen by its hash, and holds "c=<counter> t=<token> f=<floor>". An attempt reads slot and addresses; its
// update carries the prerequisite that the slot is as it was read, and replaces it, together with the addresses, by the next
// counter: a compare-and-swap. So an update that was sent earlier finds another counter, whenever it arrives, and does nothing.
//
// That keeps out what was sent too early. What is begun too late, by a sender that does not know that it is over, is kept out by the fence of the name, a TXT record beside its addresses,
// _setpoint-<hash>: "t=<token> e=<epoch> i=<intent> s=<scope>" of the last call. A call with a lower epoch of the same scope is refused as Stale. A name may go from an object of one shard to that of another,
// whose epochs are of another scope; there the intents tell, which are revisions and rise over all shards. With the addresses the fence goes as well, so that a zone does not
// fill up with the fences of names that are no more; the slot's floor keeps the highest intent of such a name, and what is below it is refused for all names of the slot that have no fence. Who is refused for a neighbour's
// sake asks again under a higher intent.
//
// When the addresses are right already, the token decides: if fence or slot hold it, nothing is sent. Otherwise slot and fence are
// replaced, because an update of an earlier wish may still be under way and must find the counter moved.
//
// Names of one slot contend for it, so [Unit] is the unit of order to give to commands.
//
// A zone that was emptied has no slots, and an update from before the zone's very first use of a slot could take effect then;
// every other one finds its prerequisite broken.
//
// # Drift
//
// The observer asks for the zone's serial, one query per interval whatever the number of names. When it has moved by more
// than this adapter's own updates explain, one transfer (AXFR) is compared with everything that is expected, and what
// differs is reported as lost: edited, deleted, or gone with the server's memory. Transfers take at most a tenth of the time.
package dnsupdate
