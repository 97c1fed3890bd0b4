// Package proxy is a small TLS reverse proxy that is configured while it runs, and the adapter with which a plane
// configures it.
//
// The process starts empty and keeps its configuration in memory only, so a new process needs it again. Its admin listener,
// on loopback, takes one configuration at a time:
//
//	PUT /config    {token, epoch, intent, config: {hostname, listen:["127.x.y.z:port"], routes:[{path, upstream}],
//	               certificate:{serial, certPEM, keyPEM}} | null}   null unloads it
//	               -> {outcome, class, result:{version, boot}, message}
//	GET /status    -> {boot, version, token, hostname, listen, certificateSerial}
//
// The same paths exist below "/<boot>", and that is the form to use as a destination: ports are used again, and a push that
// is meant for a process that had the port before gets 410 Gone and touches nothing.
//
// # Versions
//
// A configuration's version is (epoch, intent), written "incarnation.counter/intent". It rises with the wishes of a plane,
// with every change of owner, and, because the incarnation comes first, also after the plane's database was restored from
// a backup and counts intents again. A lower version than the highest one seen is refused as Stale, so that a push that
// was delayed on its way can never undo a later one. The same token again, under the same or a higher version, is a repeat:
// nothing is loaded. The fence lives as long as the process, and so does the configuration that it guards.
//
// # Serving
//
// Connections that are open, and requests under way, survive a change. Listening sockets share their port (SO_REUSEPORT), so
// that several processes can serve one gateway. The longest path prefix wins, at borders of segments; the path is passed on
// whole. Requests for another host, or without a route, get 404, and those whose upstream does not answer 502.
package proxy
