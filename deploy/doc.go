// Package deploy holds what runs a server outside a developer's folder, and the tests that keep it true. It has no code of its own.
//
//	systemd/setpoint.service   one machine: a unit with a watchdog, that sees as little of the system as it can
//	docker/                    an image of the static program and nothing else
//	kubernetes/                replicas on PostgreSQL, which share the work
//
// docs/how-to/deploy.md says how each is used. The tests parse every file and hold it against what the program does: the time that a stop is given against the
// time that it takes, the exit codes against what a health check understands, the image against an empty root directory in which the program has to serve.
package deploy
