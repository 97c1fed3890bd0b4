// Package backupapi lets an operator ask a running server for a backup of its database.
//
//	mux.Handle(backupapi.Path, backupapi.Handler(store.Backup))
//
//	POST /setpoint/v1/backup   {"path": "/var/backups/setpoint.db"}
//
// The answer is 200 and {"path": …} when the backup is complete and durable. The path is on the server's machine, absolute and clean, in a folder that
// exists, and nothing may be there yet: a backup never replaces a file. Errors are Status objects, as everywhere in the API.
//
// The handler only accepts bodies of application/json, which a page in a browser cannot send to another site unasked, and makes one backup at a
// time (429 meanwhile). Who may ask is decided around it, by whatever guards the mux: a backup contains everything.
package backupapi
