// Package group gathers transactions of many committers into groups that an engine commits together. Every committer waits for its own answer. One goroutine of
// the engine draws groups with [Queue.Draw] or from the lanes themselves; the clients of doors come first into the next group, so that an administrator
// is not behind ten thousand turns.
package group
