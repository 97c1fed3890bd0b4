package resource

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// preserve is the keyword by which a schema allows fields it does not list, as Kubernetes spells it.
const preserve = "x-kubernetes-preserve-unknown-fields"

// partSchema derives the schema of a spec or a status from its Go type.
func partSchema[T any](part string) (*jsonschema.Schema, error) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("the %s must be a struct, %s is not", part, t)
	}
	found := map[reflect.Type]*jsonschema.Schema{}
	customSchemas(t, found, map[reflect.Type]bool{})
	s, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: found})
	if err != nil {
		return nil, fmt.Errorf("the %s of type %s has no schema: %w", part, t, err)
	}
	nullMaps(s)
	return s, nil
}

// nullMaps lets maps be null, since that is how Go writes one that is nil.
func nullMaps(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.Type == "object" && s.AdditionalProperties != nil && !isFalse(s.AdditionalProperties) {
		s.Type, s.Types = "", []string{"null", "object"}
	}
	for _, sub := range s.Properties {
		nullMaps(sub)
	}
	nullMaps(s.Items)
	nullMaps(s.AdditionalProperties)
}

// customSchemas finds the types that encode themselves: their fields say nothing about their JSON.
func customSchemas(t reflect.Type, found map[reflect.Type]*jsonschema.Schema, seen map[reflect.Type]bool) {
	if seen[t] {
		return
	}
	seen[t] = true
	if s := customSchema(t); s != nil {
		found[t] = s
		return
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		customSchemas(t.Elem(), found, seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() || f.Anonymous {
				customSchemas(f.Type, found, seen)
			}
		}
	}
}

func customSchema(t reflect.Type) *jsonschema.Schema {
	implements := func(iface reflect.Type) bool {
		return t.Kind() != reflect.Pointer && (t.Implements(iface) || reflect.PointerTo(t).Implements(iface))
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return &jsonschema.Schema{Type: "string", Format: "date-time"}
	case t == reflect.TypeFor[json.Number]():
		return &jsonschema.Schema{Type: "number"}
	case implements(reflect.TypeFor[json.Marshaler]()):
		return &jsonschema.Schema{Extra: map[string]any{preserve: true}}
	case implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return &jsonschema.Schema{Type: "string"}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return &jsonschema.Schema{Types: []string{"null", "string"}, Format: "byte"}
	}
	return nil
}
