// Package api serves a plane over HTTP in the resource dialect of Kubernetes, so that kubectl, client-go and all that is built on
// them work unmodified, and curl does too.
//
//	handler := api.New(api.Options{Plane: plane, Authenticate: users.Of, Version: "1.4.0"})
//	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
//	server.RegisterOnShutdown(handler.Drain)
//
// # One space of URLs
//
//	/apis/<group>/<version>/namespaces/<namespace>/<plural>/<name>
//	      …/status             the reported part, written apart from the rest
//	      …/why                why the object is not at its setpoint, as the plane explains it
//	      …/history            what happened to it, oldest first; ?limit= the newest so many, ?uid= without former namesakes
//	      …/signal             POST {"name": "NeedsRestart", "payload": …, "why": …, "dedupe": …, "forSeconds": …}: {"id": …, "fresh": true}, or 422 with
//	                           the reason; GET, also as …/signals, lists those that stand
//	      …/actions            the action under way with its steps, and the last one. Nothing can be written here: signals lead to actions
//	      …/availability       how much of a period it was in a healthy state, its outages, and the worst windows; ?window=720h, or ?from= and ?to=. Of all objects
//	                           of a collection with "-" for the name, which no object can have: ?by=namespace puts them together
//	/api/v1/namespaces         the namespaces in use, and "default": they need not be created
//	/version /openapi/v3       for tools
//	/livez /readyz /healthz    for supervisors: 200, or 503 with the reason; never refused, never queued
//	/metrics                   as given in [Options]
//
// Kinds without a namespace leave that part out; a collection of all namespaces leaves it out too.
//
// # Reading
//
// Objects are served as they are stored, from memory. A list is one moment: its resourceVersion is the revision of the whole, and the
// pages that ?limit= cuts it into are of the same moment, for some minutes; after that a continue token gets 410 and an offer to go on in the present. Selectors
// look at labels, and at metadata.name, metadata.namespace and status.state. Tables and metadata alone are served on demand.
//
// A watch gets every commit after its resourceVersion, in order, and nothing twice. An object that begins to match the selector is ADDED, one
// that ceases is DELETED, as it was, at the revision of the change. Each watch has a stream of its own: one that does not read holds up nobody and, when what it
// has missed is not retained any more, is ended with 410 Expired, upon which clients list again. With "Accept: text/event-stream" the
// same events come as server-sent events, resumed by Last-Event-ID.
//
// # Writing
//
// JSON and YAML bodies, merge patches and JSON patches. A resourceVersion in the body, or an ETag in If-Match, makes a write conditional; without one
// the latest wins. A write that changes nothing keeps the revision. Writes of the main resource leave the status alone, and the other
// way round; the state is moved by the kind's driver only: raise a signal. dryRun, fieldValidation, preconditions and propagationPolicy
// are judged as Kubernetes judges them, and errors are its Status objects, or problem details (RFC 9457) when asked for.
//
// # Not served
//
// Server-side apply, strategic merge patches (which Kubernetes does not have for custom kinds either), protobuf, /openapi/v2, and
// every built-in kind but Namespace. Each is refused with the answer that clients expect.
//
// # Bounds
//
// Bodies, concurrent requests and concurrent watches are bounded ([Options]); what is above is told so with 413 or 429. A panic fails the
// request that met it.
package api
