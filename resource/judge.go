package resource

import (
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// judge adds to cs all that is wrong with n; fields are named as seen from n.
func (r *rule) judge(n *node, cs *causes) {
	if !r.anyType && !r.types[n.kind] || n.kind == jsonNumber && r.integer && !isWhole(n.raw) {
		cs.add("", WrongType, "want %s, not %s", r.wanted(), describe(n))
		return // what else could be said follows from this
	}
	if r.enum != nil && !slices.ContainsFunc(r.enum, func(e node) bool { return sameValue(&e, n) }) {
		cs.add("", NotSupported, "%s is not one of %s%s", quoteNode(n), r.allowed(), r.nearest(n))
	}
	switch n.kind {
	case jsonNumber:
		r.judgeNumber(n, cs)
	case jsonString:
		r.judgeString(n.str, cs)
	case jsonArray:
		r.judgeArray(n, cs)
	case jsonObject:
		r.judgeObject(n, cs)
	}
	r.judgeLogic(n, cs)
}

func (r *rule) ok(n *node) bool {
	var cs causes
	r.judge(n, &cs)
	return len(cs) == 0
}

func (r *rule) judgeString(s string, cs *causes) {
	length := -1
	if r.schema.MinLength != nil || r.schema.MaxLength != nil {
		length = utf8.RuneCountInString(s)
	}
	if least := r.schema.MinLength; least != nil && length < *least {
		if length == 0 {
			cs.add("", Required, "must not be empty")
		} else {
			cs.add("", WrongValue, "is %d characters long, want at least %d", length, *least)
		}
	}
	if most := r.schema.MaxLength; most != nil && length > *most {
		cs.add("", TooLong, "is %d characters long, want at most %d", length, *most)
	}
	if r.pattern != nil && !r.pattern.MatchString(s) {
		cs.add("", WrongValue, "%s does not match %s", strconv.Quote(s), r.pattern)
	}
	if r.format != nil {
		if err := r.format(s); err != nil {
			cs.add("", WrongValue, "%s is not %s", strconv.Quote(s), err.Error())
		}
	}
}

func (r *rule) judgeArray(n *node, cs *causes) {
	if least := r.schema.MinItems; least != nil && len(n.items) < *least {
		cs.add("", WrongValue, "has %d items, want at least %d", len(n.items), *least)
	}
	if most := r.schema.MaxItems; most != nil && len(n.items) > *most {
		cs.add("", TooMany, "has %d items, want at most %d", len(n.items), *most)
	}
	if r.schema.UniqueItems {
		seen := map[string]int{}
		for i := range n.items {
			text := string(canonical(&n.items[i]))
			if first, twice := seen[text]; twice {
				cs.add("["+strconv.Itoa(i)+"]", Duplicate, "%s is there already, at [%d]", quoteNode(&n.items[i]), first)
				continue
			}
			seen[text] = i
		}
	}
	if r.items == nil {
		return
	}
	for i := range n.items {
		mark := len(*cs)
		r.items.judge(&n.items[i], cs)
		cs.inItem(mark, i)
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

func (r *rule) judgeObject(n *node, cs *causes) {
	if least := r.schema.MinProperties; least != nil && len(n.members) < *least {
		cs.add("", WrongValue, "has %d fields, want at least %d", len(n.members), *least)
	}
	if most := r.schema.MaxProperties; most != nil && len(n.members) > *most {
		cs.add("", TooMany, "has %d fields, want at most %d", len(n.members), *most)
	}
	for _, name := range r.schema.Required {
		if n.get(name) == nil {
			cs.add(pathField("", name), Required, "is required")
		}
	}
	for _, field := range slices.Sorted(maps.Keys(r.schema.DependentRequired)) {
		for _, name := range r.schema.DependentRequired[field] {
			if n.get(field) != nil && n.get(name) == nil {
				cs.add(pathField("", name), Required, "is required when %s is set", field)
			}
		}
	}
	for i := range n.members {
		r.judgeMember(&n.members[i], cs)
	}
}

func (r *rule) judgeMember(m *member, cs *causes) {
	mark := len(*cs)
	if r.names != nil {
		name := node{kind: jsonString, str: m.key, raw: appendString(nil, m.key)}
		r.names.judge(&name, cs)
	}
	if sub, ok := r.properties[m.key]; ok {
		sub.judge(&m.val, cs)
	}
	known := false
	for sub := range r.others(m.key) {
		known = true
		sub.judge(&m.val, cs)
	}
	if !known && r.closed && r.properties[m.key] == nil {
		cs.add("", UnknownField, "%s", r.unknown(m.key))
	}
	cs.inField(mark, m.key)
}

func (r *rule) unknown(name string) string {
	return "unknown field" + didYouMean(name, slices.Collect(maps.Keys(r.properties)))
}

// others yields what judges a field's value beside its property: the patterns that its name fits, and when it has no property and fits
// none, what is said of all other fields.
func (r *rule) others(name string) iter.Seq[*rule] {
	return func(yield func(*rule) bool) {
		fits := r.properties[name] != nil
		for _, p := range r.patterns {
			if p.pattern.MatchString(name) {
				if fits = true; !yield(p.rule) {
					return
				}
			}
		}
		if !fits && r.other != nil {
			yield(r.other)
		}
	}
}

// knows reports whether a field may be there.
func (r *rule) knows(name string) bool {
	if r.properties[name] != nil || !r.closed {
		return true
	}
	for range r.others(name) {
		return true
	}
	return false
}

func (r *rule) judgeLogic(n *node, cs *causes) {
	for _, sub := range r.all {
		sub.judge(n, cs)
	}
	if len(r.any) > 0 && !slices.ContainsFunc(r.any, func(sub *rule) bool { return sub.ok(n) }) {
		cs.add("", WrongValue, "fits none of the %d forms it may have", len(r.any))
		r.closest(r.any, n, cs)
	}
	if len(r.one) > 0 {
		fits := 0
		for _, sub := range r.one {
			if sub.ok(n) {
				fits++
			}
		}
		if fits != 1 {
			cs.add("", WrongValue, "fits %d of the %d forms of which it must have exactly one", fits, len(r.one))
		}
		if fits == 0 {
			r.closest(r.one, n, cs)
		}
	}
	if r.not != nil && r.not.ok(n) {
		cs.add("", WrongValue, "has a form that is not allowed")
	}
	if r.when == nil {
		return
	}
	branch := r.otherwise
	if r.when.ok(n) {
		branch = r.then
	}
	if branch != nil {
		branch.judge(n, cs)
	}
}

// closest explains the form with the fewest faults.
func (r *rule) closest(forms []*rule, n *node, cs *causes) {
	var best causes
	for i, form := range forms {
		var faults causes
		if form.judge(n, &faults); i == 0 || len(faults) < len(best) {
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
	mark := len(*cs)
	r.judge(&n, cs)
	cs.within(mark, part)
	return n, len(*cs) == mark
}
