// Package server runs a plane behind its doors: the database, the HTTP API, health and metrics, and a stop in good order.
//
// [Run] is a whole server, for programs that are nothing else. A service that has a web server of its own mounts [Handler] in it and
// runs the plane itself, and beside it [Doors.AdmitProposals] and, to have people told of objects in trouble, [alert.Notifier.Watch].
//
// The database is SQLite in a file or PostgreSQL at a URL, by Options.Store. On PostgreSQL there is one more door: whoever has the right asks for changes at an SQL
// prompt, with setpoint.propose, and the server judges them as it judges requests.
package server
