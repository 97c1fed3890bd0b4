// Package client speaks Setpoint's HTTP API: read, write, watch and explain resources from Go, with the standard library alone.
//
// A program makes one [Client] and keeps it:
//
//	c, err := client.New(client.Config{Server: "http://127.0.0.1:7433"})
//	gateways, err := c.Resolve(ctx, "gateways")       // any name a person would type
//	shop, err := c.Get(ctx, gateways, client.Ref{Namespace: "default", Name: "shop"})
//
// # Model
//
// A [Kind] says where a kind is served; the server tells which there are ([Client.Kinds]). An [Object] is one resource: metadata in Go
// types, spec and status as JSON, to be decoded into types of the caller's own. A [Ref] addresses one.
//
// Reading is [Client.Get], [Client.List] (one page) and [Client.All] (all pages). Writing is [Client.Create], [Client.Update], [Client.Patch],
// [Client.Delete] and, for manifests, [Client.Apply]. [Client.Watch] streams changes from a position; [Client.Follow] lists first, then
// watches, and lists again when its position was forgotten, so that its reader sees every object's latest form and every deletion.
// [Client.Wait] follows one object until something is true of it.
//
// What the Kubernetes dialect lacks is here too: [Client.Why], [Client.History], [Client.Signal], [Client.Describe] and [Client.Backup].
//
// # Promises
//
// Reads are repeated after failures that may pass (no connection, 429, 502, 503, 504), with growing, randomised pauses, up to
// [Config.Attempts]. A write is repeated only when it certainly has not been executed: the connection could not be made, or the server
// answered 429, or 503 with Retry-After. A write whose answer was lost fails with [ErrUnknown]: read before repeating it. [Client.Apply] does that itself.
//
// A watch survives cut connections: it resumes after the last event it delivered, so nothing is delivered twice and nothing is missed.
//
// Errors wrap one of the sentinels ([ErrNotFound], [ErrConflict], …); those that the server explained are a [*StatusError] with its causes.
//
// No goroutine outlives a call: a loop over [Client.Watch] or [Client.Follow] frees its connection when it is left.
package client
