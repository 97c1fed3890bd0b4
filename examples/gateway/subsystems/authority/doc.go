// Package authority is a small certificate authority over a directory, and its adapter. It runs in Setpoint's own process: its state
// is files, and a private key never leaves them except to the proxy that serves with it.
//
// A certificate's serial is the token of the command that asked for it, so that a repeated command finds the certificate it
// made before, and a command's answer holds no secret.
package authority
