package resource

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// judge adds to cs all that is wrong with n, which stands at path.
func (r *rule) judge(path string, n *node, cs *causes) {
	if !r.anyType && !r.types[n.kind] || n.kind == jsonNumber && r.integer && !isWhole(n.raw) {
		cs.add(path, WrongType, "want %s, not %s", r.wanted(), describe(n))
		return // what else could be said follows from this
	}
	if r.enum != nil && !slices.ContainsFunc(r.enum, func(e node) bool { return sameValue(&e, n) }) {
		cs.add(path, NotSupported, "%s is not one of %s%s", quoteNode(n), r.allowed(), r.nearest(n))
	}
	switch n.kind {
	case jsonNumber:
		r.judgeNumber(path, n, cs)
	case jsonString:
		r.judgeString(path, n.str, cs)
	case jsonArray:
		r.judgeArray(path, n, cs)
	case jsonObject:
		r.judgeObject(path, n, cs)
	}
	r.judgeLogic(path, n, cs)
}

func (r *rule) ok(n *node) bool {
	var cs causes
	r.judge("", n, &cs)
	return len(cs) == 0
}

func (r *rule) judgeString(path, s string, cs *causes) {
	length := -1
	if r.schema.MinLength != nil || r.schema.MaxLength != nil {
		length = utf8.RuneCountInString(s)
	}
	if least := r.schema.MinLength; least != nil && length < *least {
		if length == 0 {
			cs.add(path, Required, "must not be empty")
		} else {
			cs.add(path, WrongValue, "is %d characters long, want at least %d", length, *least)
		}
	}
	if most := r.schema.MaxLength; most != nil && length > *most {
		cs.add(path, TooLong, "is %d characters long, want at most %d", length, *most)
	}
	if r.pattern != nil && !r.pattern.MatchString(s) {
		cs.add(path, WrongValue, "%s does not match %s", strconv.Quote(s), r.pattern)
	}
	if r.format != nil {
		if err := r.format(s); err != nil {
			cs.add(path, WrongValue, "%s is not %s", strconv.Quote(s), err.Error())
		}
	}
}

func (r *rule) judgeArray(path string, n *node, cs *causes) {
	if least := r.schema.MinItems; least != nil && len(n.items) < *least {
		cs.add(path, WrongValue, "has %d items, want at least %d", len(n.items), *least)
	}
	if most := r.schema.MaxItems; most != nil && len(n.items) > *most {
		cs.add(path, TooMany, "has %d items, want at most %d", len(n.items), *most)
	}
	if r.schema.UniqueItems {
		seen := map[string]int{}
		for i := range n.items {
			text := string(canonical(&n.items[i]))
			if first, twice := seen[text]; twice {
				cs.add(path+"["+strconv.Itoa(i)+"]", Duplicate, "%s is there already, at [%d]", quoteNode(&n.items[i]), first)
				continue
			}
			seen[text] = i
		}
	}
	if r.items == nil {
		return
	}
	for i := range n.items {
		r.items.judge(path+"["+strconv.Itoa(i)+"]", &n.items[i], cs)
	}
}

// canonical writes equal values as equal bytes: fields sorted, strings escaped alike.
func canonical(n *node) []byte {
	switch n.kind {
	case jsonString:
		return appendString(nil, n.str)
	case jsonArray:
		out := []byte{'['}
		for i := range n.items {
			out = append(append(out, canonical(&n.items[i])...), ',')
		}
		return append(out, ']')
	case jsonObject:
		out := []byte{'{'}
		for _, m := range slices.SortedFunc(slices.Values(n.members), func(a, b member) int { return strings.Compare(a.key, b.key) }) {
			out = append(append(appendString(out, m.key), ':'), canonical(&m.val)...)
			out = append(out, ',')
		}
		return append(out, '}')
	}
	return n.raw
}

func (r *rule) judgeObject(path string, n *node, cs *causes) {
	if least := r.schema.MinProperties; least != nil && len(n.members) < *least {
		cs.add(path, WrongValue, "has %d fields, want at least %d", len(n.members), *least)
	}
	if most := r.schema.MaxProperties; most != nil && len(n.members) > *most {
		cs.add(path, TooMany, "has %d fields, want at most %d", len(n.members), *most)
	}
	for _, name := range r.schema.Required {
		if n.get(name) == nil {
			cs.add(pathField(path, name), Required, "is required")
		}
	}
	for _, field := range slices.Sorted(maps.Keys(r.schema.DependentRequired)) {
		for _, name := range r.schema.DependentRequired[field] {
			if n.get(field) != nil && n.get(name) == nil {
				cs.add(pathField(path, name), Required, "is required when %s is set", field)
			}
		}
	}
	for i := range n.members {
		r.judgeMember(path, &n.members[i], cs)
	}
}

func (r *rule) judgeMember(path string, m *member, cs *causes) {
	at := pathField(path, m.key)
	if r.names != nil {
		name := node{kind: jsonString, str: m.key, raw: appendString(nil, m.key)}
		r.names.judge(at, &name, cs)
	}
	rules := r.rulesFor(m.key)
	if rules == nil && r.closed {
		cs.add(at, UnknownField, "unknown field%s", didYouMean(m.key, slices.Collect(maps.Keys(r.properties))))
	}
	for _, sub := range rules {
		sub.judge(at, &m.val, cs)
	}
}

// rulesFor lists what judges a field's value; none for a field that is not known.
func (r *rule) rulesFor(name string) (rules []*rule) {
	if sub, ok := r.properties[name]; ok {
		rules = append(rules, sub)
	}
	for _, p := range r.patterns {
		if p.pattern.MatchString(name) {
			rules = append(rules, p.rule)
		}
	}
	if rules == nil && r.other != nil {
		rules = append(rules, r.other)
	}
	return rules
}

func (r *rule) judgeLogic(path string, n *node, cs *causes) {
	for _, sub := range r.all {
		sub.judge(path, n, cs)
	}
	if len(r.any) > 0 && !slices.ContainsFunc(r.any, func(sub *rule) bool { return sub.ok(n) }) {
		cs.add(path, WrongValue, "fits none of the %d forms it may have", len(r.any))
		r.closest(r.any, path, n, cs)
	}
	if len(r.one) > 0 {
		fits := 0
		for _, sub := range r.one {
			if sub.ok(n) {
				fits++
			}
		}
		if fits != 1 {
			cs.add(path, WrongValue, "fits %d of the %d forms of which it must have exactly one", fits, len(r.one))
		}
		if fits == 0 {
			r.closest(r.one, path, n, cs)
		}
	}
	if r.not != nil && r.not.ok(n) {
		cs.add(path, WrongValue, "has a form that is not allowed")
	}
	if r.when == nil {
		return
	}
	branch := r.otherwise
	if r.when.ok(n) {
		branch = r.then
	}
	if branch != nil {
		branch.judge(path, n, cs)
	}
}

// closest explains the form with the fewest faults.
func (r *rule) closest(forms []*rule, path string, n *node, cs *causes) {
	var best causes
	for i, form := range forms {
		var faults causes
		if form.judge(path, n, &faults); i == 0 || len(faults) < len(best) {
			best = faults
		}
	}
	*cs = append(*cs, best...)
}

// judgePart judges a spec or a status.
func (r *rule) judgePart(part string, body json.RawMessage, cs *causes) (node, bool) {
	n, err := parseOptional(body)
	if err != nil {
		cs.add(part, WrongValue, "is not JSON: %s", err.Error())
		return n, false
	}
	before := len(*cs)
	r.judge(part, &n, cs)
	return n, len(*cs) == before
}
