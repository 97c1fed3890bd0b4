package resource

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
)

// Schema describes the whole object, metadata and the engine's part of the status included, as a structural schema in the dialect of
// OpenAPI 3.0 that Kubernetes clients read: one type each, nullable, and no schema that is a mere true or false.
func (d *Definition) Schema() ([]byte, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	spec, err := openAPI(d.Spec)
	if err != nil {
		return nil, fmt.Errorf("%s: the schema of the spec: %w", d.ID(), err)
	}
	status, err := openAPI(d.Status)
	if err != nil {
		return nil, fmt.Errorf("%s: the schema of the status: %w", d.ID(), err)
	}
	fields, _ := status["properties"].(map[string]any)
	if fields == nil {
		fields = map[string]any{}
	}
	for name, s := range d.engineFields() {
		fields[name] = s
	}
	status["properties"] = fields
	whole := described(object(map[string]any{
		"apiVersion": described(of("string"), "The group and version of the kind: "+d.APIVersion()+"."),
		"kind":       described(of("string"), "The name of the kind: "+d.Kind+"."),
		"metadata":   described(of("object"), "What every object has."),
		"spec":       described(spec, "The desired configuration."),
		"status":     described(status, "What is reported about the object."),
	}), d.Description)
	whole["x-kubernetes-group-version-kind"] = []any{map[string]any{"group": d.Group, "version": d.Version, "kind": d.Kind}}
	return json.Marshal(whole)
}

// engineFields are the schemas of the engine's part of a status.
func (d *Definition) engineFields() map[string]any {
	state := described(of("string"), "The place in the kind's lifecycle.")
	if len(d.Lifecycle) > 0 {
		var states []any
		for _, r := range d.Lifecycle {
			states = append(states, string(r.State))
		}
		state["enum"] = states
	}
	conditions := listBy("type", object(map[string]any{
		"type": of("string"), "status": enum(string(True), string(False), string(Unknown)), "reason": of("string"), "message": of("string"),
		"observedGeneration": integer(), "lastTransitionTime": moment(),
	}, "type", "status"))
	waits := listBy("controller", object(map[string]any{
		"controller": of("string"), "code": of("string"), "message": of("string"), "class": of("string"),
		"until": moment(), "since": moment(),
		"on": map[string]any{"type": "array", "items": object(map[string]any{
			"command": of("string"),
			"object":  object(map[string]any{"kind": of("string"), "namespace": of("string"), "name": of("string")}),
		})},
	}, "controller", "code"))
	return map[string]any{
		"state":              state,
		"stateSince":         described(moment(), "When the state was entered."),
		"observedGeneration": described(integer(), "The generation that the kind's driver has last acted on."),
		"conditions":         described(conditions, "Observations about the object, one per type."),
		"waits":              described(waits, "What each controller that is not at rest waits for."),
		"action":             described(actionSchema(), "The action under way."),
		"lastAction":         described(lastActionSchema(), "How the action before it ended."),
		"signals":            described(signalSchema(), "The signals that stand, as the driver's last turn left them."),
	}
}

func of(kind string) map[string]any { return map[string]any{"type": kind} }
func integer() map[string]any       { return map[string]any{"type": "integer", "format": "int64"} }
func moment() map[string]any        { return map[string]any{"type": "string", "format": "date-time"} }

func enum(words ...any) map[string]any { return map[string]any{"type": "string", "enum": words} }

func object(fields map[string]any, required ...any) map[string]any {
	s := map[string]any{"type": "object", "properties": fields}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func listBy(key string, item map[string]any) map[string]any {
	return map[string]any{"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": []any{key}}
}

// described sets a description unless there is one.
func described(s map[string]any, text string) map[string]any {
	if _, ok := s["description"]; !ok && text != "" {
		s["description"] = text
	}
	return s
}

// openAPI turns a JSON schema into the dialect of OpenAPI 3.0. A nil schema allows any object.
func openAPI(s *jsonschema.Schema) (map[string]any, error) {
	if s == nil {
		return map[string]any{"type": "object", preserve: true}, nil
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return nil, err
	}
	return dialect(v), nil
}

// dialect rewrites one schema, in place where it can.
func dialect(v any) map[string]any {
	s, ok := v.(map[string]any)
	if !ok { // true, or false, which stands only where closedness is said otherwise
		return map[string]any{preserve: true}
	}
	oneType(s)
	for exclusive, bound := range map[string]string{"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"} {
		if limit, ok := s[exclusive].(float64); ok {
			s[bound], s[exclusive] = limit, true
		}
	}
	if only, ok := s["const"]; ok {
		s["enum"] = []any{only}
		delete(s, "const")
	}
	delete(s, "$schema")
	delete(s, "$comment")
	if closed, ok := s["additionalProperties"].(bool); ok && !closed {
		delete(s, "additionalProperties") // fields that are not listed are unknown in any case
	}
	for _, keyword := range []string{"items", "additionalProperties", "not", "propertyNames", "if", "then", "else"} {
		if sub, ok := s[keyword]; ok {
			s[keyword] = dialect(sub)
		}
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		if list, ok := s[keyword].([]any); ok {
			for i := range list {
				list[i] = dialect(list[i])
			}
		}
	}
	for _, keyword := range []string{"properties", "patternProperties"} {
		if fields, ok := s[keyword].(map[string]any); ok {
			for name := range fields {
				fields[name] = dialect(fields[name])
			}
		}
	}
	return s
}

// oneType writes a list of types as one type that may be null; any other mixture is left open.
func oneType(s map[string]any) {
	types, ok := s["type"].([]any)
	if !ok {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(types), func(t any) bool { return t == "null" })
	if len(rest) < len(types) {
		s["nullable"] = true
	}
	delete(s, "type")
	if len(rest) == 1 {
		s["type"] = rest[0]
	} else {
		s[preserve] = true
	}
}
