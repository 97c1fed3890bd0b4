// Package testkit holds what tests of real processes share: finding a free port, installing a server that is missing,
// starting a process that cannot outlive its test, and waiting for something without sleeping.
package testkit
