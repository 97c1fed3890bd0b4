package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// rule is a schema made ready to judge JSON values. It reports every fault with the path of the field, which is why schemas
// are judged here and not by the library that holds them: that one stops at the first.
type rule struct {
	schema *jsonschema.Schema
	// anyType is set when the schema does not name types.
	anyType bool
	types   [jsonObject + 1]bool
	integer bool // numbers must be whole
	enum    []node
	// bounds of numbers, exact
	minimum, maximum, above, below, multiple *big.Rat
	pattern                                  *regexp.Regexp
	format                                   func(string) error
	properties                               map[string]*rule
	patterns                                 []patternRule
	other                                    *rule // additionalProperties
	closed                                   bool  // no other properties
	names                                    *rule
	items                                    *rule
	all, any, one                            []*rule
	not, when, then, otherwise               *rule
	hasDefaults                              bool
}

type patternRule struct {
	pattern *regexp.Regexp
	rule    *rule
}

// compile makes a rule of the schema of a spec or a status. A nil schema allows any object.
func compile(part string, s *jsonschema.Schema) (*rule, error) {
	if s == nil {
		s = &jsonschema.Schema{Type: "object", Extra: map[string]any{preserve: true}}
	}
	c := compiler{}
	r := c.rule(part, s, true)
	if s.Type != "object" {
		c.refuse(part, `must have the type "object"`)
	}
	if len(c.errs) > 0 {
		return nil, errors.Join(c.errs...)
	}
	return r, nil
}

type compiler struct {
	errs  []error
	depth int
}

func (c *compiler) refuse(path, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("the schema of %s %s", path, fmt.Sprintf(format, args...)))
}

// rule compiles one schema. Structural schemas (the outermost, and what its properties and items lead to) say which fields
// exist; those inside of allOf, anyOf, oneOf, not and if only judge values.
func (c *compiler) rule(path string, s *jsonschema.Schema, structural bool) *rule {
	if s == nil {
		return nil
	}
	if c.depth++; c.depth > MaxDepth {
		c.refuse(path, "is nested deeper than %d levels", MaxDepth)
		return nil
	}
	defer func() { c.depth-- }()
	r := &rule{schema: s}
	c.refuseUnsupported(path, s)
	c.types(path, s, r)
	c.values(path, s, r)
	c.objects(path, s, r, structural)
	if r.items = c.rule(path+"[]", s.Items, structural); r.items != nil {
		r.hasDefaults = r.hasDefaults || r.items.hasDefaults
		if s.Items.Default != nil {
			c.refuse(path+"[]", "has a default, which items cannot have")
		}
	}
	r.all, r.any, r.one = c.list(path, s.AllOf), c.list(path, s.AnyOf), c.list(path, s.OneOf)
	r.not, r.when = c.rule(path, s.Not, false), c.rule(path, s.If, false)
	r.then, r.otherwise = c.rule(path, s.Then, false), c.rule(path, s.Else, false)
	if s.Default != nil && len(c.errs) == 0 {
		c.checkDefault(path, s, r)
	}
	return r
}

// refuseUnsupported names keywords that would silently not be enforced.
func (c *compiler) refuseUnsupported(path string, s *jsonschema.Schema) {
	unsupported := map[string]bool{
		"$ref": s.Ref != "", "$dynamicRef": s.DynamicRef != "", "$anchor": s.Anchor != "", "prefixItems": s.PrefixItems != nil,
		"items (as a list)": s.ItemsArray != nil, "additionalItems": s.AdditionalItems != nil, "contains": s.Contains != nil,
		"unevaluatedItems": s.UnevaluatedItems != nil, "unevaluatedProperties": s.UnevaluatedProperties != nil,
		"dependentSchemas": s.DependentSchemas != nil, "contentSchema": s.ContentSchema != nil,
		"dependencies": s.DependencySchemas != nil || s.DependencyStrings != nil,
	}
	for _, keyword := range slices.Sorted(maps.Keys(unsupported)) {
		if unsupported[keyword] {
			c.refuse(path, "uses %s, which is not supported", keyword)
		}
	}
}

func (c *compiler) types(path string, s *jsonschema.Schema, r *rule) {
	words := s.Types
	if s.Type != "" {
		words = []string{s.Type}
	}
	r.anyType = len(words) == 0
	for _, w := range words {
		kind := slices.Index(jsonKindNames[:], w)
		switch {
		case w == "integer":
			r.types[jsonNumber], r.integer = true, true
		case kind < 0:
			c.refuse(path, "has the type %q, which JSON does not have", w)
		default:
			r.types[kind] = true
		}
	}
	if slices.Contains(words, "number") {
		r.integer = false
	}
	if s.Extra["nullable"] == true {
		r.types[jsonNull] = true
	}
	if s.Extra["x-kubernetes-int-or-string"] == true {
		r.anyType, r.integer = false, true
		r.types[jsonNumber], r.types[jsonString] = true, true
	}
}

func (c *compiler) values(path string, s *jsonschema.Schema, r *rule) {
	allowed := s.Enum
	if s.Const != nil {
		allowed = []any{*s.Const}
	}
	for _, v := range allowed {
		text, err := json.Marshal(v)
		if err != nil {
			c.refuse(path, "allows a value that is not JSON: %v", err)
			continue
		}
		n, err := parseJSON(text)
		if err != nil {
			c.refuse(path, "allows a value that is not JSON: %v", err)
			continue
		}
		r.enum = append(r.enum, n)
	}
	bound := func(f *float64) *big.Rat {
		if f == nil {
			return nil
		}
		return new(big.Rat).SetFloat64(*f)
	}
	r.minimum, r.maximum, r.multiple = bound(s.Minimum), bound(s.Maximum), bound(s.MultipleOf)
	r.above, r.below = bound(s.ExclusiveMinimum), bound(s.ExclusiveMaximum)
	if r.multiple != nil && r.multiple.Sign() <= 0 {
		c.refuse(path, "has a multipleOf that is not above 0")
	}
	if s.Pattern != "" {
		r.pattern = c.regexp(path, s.Pattern)
	}
	r.format = formats[s.Format]
}

func (c *compiler) regexp(path, pattern string) *regexp.Regexp {
	re, err := regexp.Compile(pattern)
	if err != nil {
		c.refuse(path, "has a pattern that is not a regular expression (RE2): %v", err)
	}
	return re
}

func (c *compiler) objects(path string, s *jsonschema.Schema, r *rule, structural bool) {
	if len(s.Properties) > 0 {
		r.properties = make(map[string]*rule, len(s.Properties))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		sub := c.rule(pathField(path, name), s.Properties[name], structural)
		if sub == nil {
			continue
		}
		r.properties[name] = sub
		r.hasDefaults = r.hasDefaults || sub.hasDefaults || s.Properties[name].Default != nil
	}
	for _, pattern := range slices.Sorted(maps.Keys(s.PatternProperties)) {
		if re := c.regexp(path, pattern); re != nil {
			r.patterns = append(r.patterns, patternRule{re, c.rule(path+"[]", s.PatternProperties[pattern], structural)})
		}
	}
	for _, name := range s.Required {
		if _, ok := r.properties[name]; !ok && structural && s.AdditionalProperties != nil && isFalse(s.AdditionalProperties) {
			c.refuse(path, "requires %q, which it does not have%s", name, didYouMean(name, slices.Collect(maps.Keys(r.properties))))
		}
	}
	switch {
	case s.AdditionalProperties != nil && isFalse(s.AdditionalProperties):
		r.closed = true
	case s.AdditionalProperties != nil:
		r.other = c.rule(path+"[]", s.AdditionalProperties, structural)
	default:
		r.closed = structural && s.Properties != nil && s.Extra[preserve] != true
	}
	r.names = c.rule(path, s.PropertyNames, false)
	r.hasDefaults = r.hasDefaults || r.other != nil && r.other.hasDefaults
}

// isFalse recognises the schema that allows nothing.
func isFalse(s *jsonschema.Schema) bool {
	text, err := json.Marshal(s)
	return err == nil && string(text) == "false"
}

func (c *compiler) list(path string, schemas []*jsonschema.Schema) (rules []*rule) {
	for _, s := range schemas {
		if r := c.rule(path, s, false); r != nil {
			rules = append(rules, r)
		}
	}
	return rules
}

func (c *compiler) checkDefault(path string, s *jsonschema.Schema, r *rule) {
	n, err := parseJSON(s.Default)
	if err != nil {
		c.refuse(path, "has a default that is not JSON: %v", err)
		return
	}
	var faults causes
	if r.judge(&n, &faults); len(faults) > 0 {
		var b strings.Builder
		for _, f := range faults {
			b.WriteString("; " + strings.TrimPrefix(f.Field+": ", ": ") + f.Message)
		}
		c.refuse(path, "has a default that it does not allow%s", b.String())
	}
}
