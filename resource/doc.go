// Package resource is the vocabulary of Setpoint: kinds, objects, their identity, and the rules every object must keep.
//
// An author declares a kind from two Go structs, what is wanted and what is reported:
//
//	type GatewaySpec struct {
//		Host   string  `json:"host" jsonschema:"The name under which the gateway is reached."`
//		Routes []Route `json:"routes,omitempty"`
//		Size   string  `json:"size,omitempty"`
//	}
//	type GatewayStatus struct {
//		IP string `json:"ip,omitempty"`
//	}
//	type Gateway = resource.Typed[GatewaySpec, GatewayStatus]
//
//	var gateways = resource.MustDefine(resource.Options[GatewaySpec, GatewayStatus]{
//		Group: "edge.example", Version: "v1",
//		Refine:  func(spec, status *jsonschema.Schema) { spec.Properties["size"].Enum = []any{"small", "large"} },
//		Default: func(s *GatewaySpec) { s.Size = cmp.Or(s.Size, "small") },
//		Validate: func(old, new *Gateway) error {
//			if old != nil && old.Spec.Host != new.Spec.Host {
//				return resource.Refuse("spec.host", "cannot be changed; make another gateway")
//			}
//			return nil
//		},
//	})
//
// Everything else follows from the types: the JSON schema, the names in URLs and on the command line, the columns of lists.
//
// # The model
//
// A [Definition] is a kind as data; [Define] makes one from Go types, and one that was read from a file has the same fields. A
// [Registry] holds the definitions that a process knows.
//
// An [Object] is one resource: [Meta], which is the same for all kinds, and spec and status as JSON. Objects stay bytes for as long as
// possible: [AppendJSON] serves them without decoding, and [View] decodes one once for all its readers. [Decode] gives a private copy as a
// [Typed] object, and [Encode] turns it back; a status that is equal has equal bytes, so that what has not changed is not written.
//
// [Parse] reads what a client sent, in the shape of the Kubernetes API. [Definition.Prepare] makes it ready to be created,
// and [Definition.Admit] judges every write by all rules at once: names, identity, generation, lifecycle, deletion, schema, and the author's function.
//
// # What is promised
//
// An error lists everything that is wrong, each with the exact path of the field ("spec.routes[0].path"), and never only the first. A
// specification is never changed but by the defaults that the kind declares. What has not changed in a write is not judged again, so an
// object made under older rules can still be driven, and deleted, under newer ones.
//
// # What is not promised
//
// Authorisation, conflicts between writers and the existence of owners are not judged here: the doors and the store do that.
// Schemas are judged without $ref and without keywords that depend on what other keywords have judged (unevaluatedProperties,
// contains); a definition that uses one is refused.
package resource
