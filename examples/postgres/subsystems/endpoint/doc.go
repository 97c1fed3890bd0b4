// Package endpoint forwards TCP connections of PostgreSQL's clients to whichever server leads: an address that stays while
// servers come and go.
//
//	err := endpoint.Run(ctx, endpoint.Options{Dir: "/var/lib/setpoint-endpoint", Listen: "127.0.0.1:7500"})
//
// It is a service of package subsystem; the plane's side is a plain subsystem.Client. A wish's key is the endpoint's name, and its
// request a [Request]: where to listen, and which server is behind it. null closes the endpoint.
//
// # Changing the backend is a fence
//
// When a wish for another backend, or for none, is answered, no connection to the former one is left: they have all been cut, at
// both ends, and so have those that were just being made. What a client sends from then on reaches the new backend or nobody.
//
// # Waiting
//
// Without a backend, or while it cannot be reached, connections wait, for at most [Options.Wait]. Then they are refused as
// PostgreSQL does, with the error 57P03 (cannot connect now), which drivers know to be worth repeating. A failover
// of a few seconds is so a delay to those who connect.
//
// # Survival
//
// Endpoints are remembered by the kit: a process that comes back listens at the same ports and forwards to the same backends. One whose
// port somebody else has taken is announced as lost.
package endpoint
