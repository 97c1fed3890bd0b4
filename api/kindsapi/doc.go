// Package kindsapi serves descriptions of kinds, with their state machines drawn: what the discovery of the Kubernetes dialect has no room for.
//
//	mux.Handle(kindsapi.Path, kindsapi.Handler(registry))
//
//	GET /setpoint/v1/kinds                      all kinds, {"items": […]}, sorted by group and kind
//	GET /setpoint/v1/kinds/<plural>.<group>     one kind
//
// A kind is {group, version, kind, plural, scope, shortNames, description, lifecycle: {states, text, mermaid, dot, rules},
// decisions: {text, signals, actions, rows, moved}, columns}; lifecycle and decisions are missing for kinds without them. Errors are Status objects, as everywhere in the API. Answers carry an ETag and honour If-None-Match.
//
// It reads the registry at every request, so kinds that come and go are shown as they are.
package kindsapi
