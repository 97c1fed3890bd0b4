// Package pg gives tests real PostgreSQL servers, which they may stop, kill, replicate, measure and cut off.
//
// Most tests only want a database. They share the test binary's one server, and each has an empty database on it:
//
//	func TestMain(m *testing.M) { pg.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		url := pg.Shared(t).Database(t) // postgres://postgres@127.0.0.1:.../test_1?sslmode=disable
//
// A test that stops its server has one of its own. What was committed must be there again afterwards:
//
//	s := pg.Start(t, pg.Setting("work_mem", "16MB"))
//	url := s.Database(t)
//	...
//	s.StopImmediate(t) // or StopFast, or Kill9
//	s.Launch(t)        // recovering; a test may stop it again right now
//	s.WaitReady(t)     // Start is Launch and WaitReady
//
// A test of failover replicates a server, and has the former primary come back, as a standby or as one that nobody told:
//
//	standby := s.Standby(t, true)  // commits wait for it
//	s.Kill9(t)
//	standby.Promote(t)
//	s.Start(t)                     // two primaries
//	s.RejoinAs(t, standby, false)  // one primary and its standby
//
// A test of a connection's loss puts a proxy between. A hook sees every message of the protocol, and says what becomes
// of it; here COMMIT succeeds and its client does not learn of it:
//
//	proxy := pg.NewProxy(t, s.Address())
//	proxy.OnClient(func(connection int, m pg.Message) pg.Action {
//		if m.SQL() == "commit" {
//			return pg.DeliverAndCut()
//		}
//		return pg.Pass()
//	})
//	... connect to proxy.URL(url)
//
// A benchmark runs pgbench, and reads the processor time that all the server's processes spend, by [Server.Bench] and
// [Server.CPU].
//
// # Model
//
// A [Server] is a postmaster, a child of the test process, on a data folder that is a copy of a template; the template
// is made by initdb once a day and machine. Folder and port stay when the server is stopped. Folders lie in
// setpoint-pg-UID in the temporary folder, and each is named by its port, which so is nobody else's. The newest version
// from 14 on in /usr/lib/postgresql is used; where there is none, Debian's package is installed. PostgreSQL refuses to
// run as root: for root it runs as the user postgres or nobody.
//
// A [Proxy] has two goroutines for each connection, one each way. Each reads whole messages, asks the hook of that way,
// waits while that way is paused, and writes. A pause holds back senders too, by TCP: memory does not grow.
//
// # Promises
//
//   - Servers are as durable as PostgreSQL is: fsync, full_page_writes and synchronous_commit are on. Only initdb and
//     base backups are not synced, so the loss of the whole machine is not survived.
//   - Nothing is left running and no folder but the template remains when the tests end, whether they pass or fail. If
//     the test process is killed or panics, the kernel stops its servers, and the next test process removes their folders.
//   - There are no passwords: every role that exists may connect from loopback. Text is UTF-8 and ordered bytewise, and
//     the time zone is UTC.
//   - Methods that take a test fail it with the reason and the end of the server's log, and so belong on the test's
//     goroutine. [Query] returns errors, and may be used on any.
//   - Copies of the template have the same system identifier; [OwnIdentity] makes one that has not.
//   - Linux only: process identifiers, times and the stop on death are the kernel's.
//
// # Hints
//
// pgx sends a request to cancel, on a connection of its own, when a context ends or a connection breaks during a query:
// it counts as a connection of the proxy, and if nobody answers, pgx waits for 15 s before it lets go of the socket.
//
// pgx sends what has no arguments, such as its "begin" and "commit", as one query message, type 'Q'. A statement with
// arguments is a parse message with the SQL (only the first time, if it is prepared), bind, execute and sync messages;
// outside a transaction block it is the sync, type 'S', that commits.
//
// Several tests that run in parallel may use the shared server; conditions for [Server.Terminate] then name a database.
package pg
