// Package host runs instances: it starts one process per key, watches it, and announces its death.
//
// A wish is {"image":"proxy"}; its result is {"pid":4711,"boot":"…","admin":"http://127.0.0.1:7100/<boot>"}. boot names
// this process and no other; admin is where the process is configured. Another image replaces the process; absence
// terminates it, by SIGTERM, and by SIGKILL when that takes longer than [Options.Grace].
//
// The host never restarts what died. It announces the loss ("process 4711 exited: signal: killed") and leaves it to the
// owner to wish again. One token starts at most one process, also when the call failed half-way.
//
// # Processes outlive the host
//
// A process is started with a mark in its environment: the host's identity, the instance, the token, the boot. A host that
// comes back, also after kill -9 between the start of a process and the note of it, finds its processes by that mark (never
// by their names), watches them again, and announces those that are gone. A process is known by its number and the moment of
// its start, so that a number used again is not mistaken for it.
//
// Forgetting is what happens when a machine is replaced: all processes are killed, and nothing is remembered.
//
// # Contract of an image
//
// The program finds a listening socket for its admin protocol at the file descriptor that SETPOINT_ADMIN_FD names, answers
// below "/<SETPOINT_BOOT>", and ends on SIGTERM. See package proxy.
//
// # Simulated
//
// With [Options.Simulated] there are no processes, for runs with more instances than a machine can hold: each is a small
// object in the host with the same admin protocol, on the host's own listener, below /instances/<boot>. POST
// /instances/<boot>/kill kills one. They die with the host, which announces them when it is back.
package host
