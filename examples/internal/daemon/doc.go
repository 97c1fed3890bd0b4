// Package daemon keeps the subsystems of a demo running: processes of their own, one per directory, that outlive the program that started them and are found again
// by the next one.
//
//	address, err := daemon.Start(ctx, "hosts", dir)   // in the demo: start it, unless it runs
//	err := daemon.Run(ctx, "hosts", dir, runHosts)    // in the process that was started, by the command [Command]
//	err := daemon.Stop(ctx, "hosts", dir)
//
// A directory has a lock, which the process holds for as long as it lives, so that there is one; the kernel says who that is. The file "address" is where it
// listens, "ready" holds the process that serves there, "output" what it has said.
package daemon
