// Package cli is the command line of Setpoint: the command tree that "setpoint" runs, and that a program with its own kinds can
// run as its own.
//
//	func main() { os.Exit(cli.Main(cli.Program{Serve: serve, Demos: demos, Restore: restore})) }
//
// # Model
//
// A [Program] is what the tree cannot know: how to serve, which demos there are, how to restore a backup, and further commands. So this package
// imports no engine; all it does to resources it does through package client, over HTTP, as any other client would.
//
// # Promises
//
// What a command was asked for goes to standard output; everything else goes to standard error: so output can be piped. The exit code says what
// kind of failure it was ([ExitCodes]). Errors name the object and the operation, and what to do next. Nothing a server sends can
// move the terminal's cursor or colours: control characters are replaced.
//
// docs/reference/cli.md is written from the tree itself ([Reference]); a test keeps it true.
package cli
