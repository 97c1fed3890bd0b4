// Package host runs PostgreSQL servers on one machine: it makes them, starts and stops them, has them follow and lead each
// other, backs them up, and says every second how they are. What should happen is not its concern: it never starts, promotes
// or repairs a server of its own accord.
//
//	err := host.Run(ctx, host.Options{Dir: "/var/lib/setpoint-host", Listen: "127.0.0.1:7400"})
//
// It is a service of package subsystem, so that every call has a natural key, a fence and a token, and repeating it is safe.
// Three sorts of wishes are told apart by their shape:
//
//	key                   request            stands for
//	the server's name     [ServerRequest]    a server, with its data. null: neither
//	whatever you choose   [Operation]        something done to a server, once per token. null: nothing
//	whatever you choose   [BackupRequest]    a base backup. null: none
//
// All of them are answered with a [Result].
//
// # A server
//
// A server is a folder below [Options.Data]: what is to be true of it (server.json), its log, its data, and perhaps a file
// "fence". Its data folder is built beside its place and moved there when it is whole: one that is half-made after a crash is
// made anew. The processes run in sessions of their own and outlive the host, which finds them again by the data folder in
// their command line, and never by a number alone. PostgreSQL does not run as root: for root it runs as postgres or nobody.
//
// Whether a server leads or follows is what PostgreSQL itself keeps in its data folder (standby.signal), and nothing else. So
// a promotion that a crash of the host has cut off is not undone by the next start.
//
// The host speaks to its servers as the role [Role], over a socket in the abstract namespace that only root and the account of
// the servers may use. Everybody else comes over TCP with a password (SCRAM).
//
// # A fence
//
// A fenced server is killed, with all its processes, and does not start: not by any wish, and when somebody starts it by hand it
// is killed again within a second. Following another server ends the fence, because what follows cannot be written to;
// [Unfence] ends it in so many words. A fence does not wait for what else is being done to the server: it cuts that off.
//
// # Order
//
// The kit refuses a call when a later one of the same key has been. Whether a server leads, follows or stays down is said by calls of several keys, so the host keeps
// their order too: [Fence], [Unfence], [Promote], [Follow] and [Unfollow] are refused as stale when a later one of them has been done to the server.
//
// # The log's archive
//
// Every line of history has an archive, a folder below [Options.Data], whose name travels with the data (setpoint.archive). A
// promotion goes on in the archive of the line. A server that leaves its line, by [Unfollow] or as restored from a backup, gets
// one of its own: otherwise the followers of the old line would take its history for theirs. Segments that no backup needs are
// removed with the oldest backup, and an archive with the last server and backup that belong to it.
//
// # Check-ins
//
// The host asks each server once a second, over one connection that it keeps, and waits a second for the answer. GET
// /v1/checkins returns the servers whose [Health] has changed since the last answer, all of them in one, and at least once a
// second a beat that says how many servers there are and how many answer. When something has been done to a server, it is asked at once. The plane's side is [Adapter]: it turns changes into
// notices on objects. There is no question, and no answer, per server.
//
// # Passwords
//
// Passwords that arrive in a request are remembered in the host's journal, as all requests are: it can be read by its owner only.
// The servers are told verifiers, from which the password cannot be had; a caller may send a verifier in the first place. What a
// standby needs to reach its upstream is in its configuration, in plain text, as PostgreSQL wants it.
package host
