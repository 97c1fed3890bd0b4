package resource

import (
	"maps"
	"slices"
	"strconv"
)

// prune removes the fields that the schema does not know, and says which.
func (r *rule) prune(path string, n *node, cs *causes) {
	switch n.kind {
	case jsonArray:
		for i := range n.items {
			if r.items != nil {
				r.items.prune(path+"["+strconv.Itoa(i)+"]", &n.items[i], cs)
			}
		}
	case jsonObject:
		n.members = slices.DeleteFunc(n.members, func(m member) bool {
			if r.rulesFor(m.key) != nil || !r.closed {
				return false
			}
			cs.add(pathField(path, m.key), UnknownField, "unknown field%s", didYouMean(m.key, slices.Collect(maps.Keys(r.properties))))
			return true
		})
		for i := range n.members {
			for _, sub := range r.rulesFor(n.members[i].key) {
				sub.prune(pathField(path, n.members[i].key), &n.members[i].val, cs)
			}
		}
	}
}

// applyDefaults adds fields that are missing and have a default, and reports whether there were any.
func (r *rule) applyDefaults(n *node) (changed bool) {
	if n.kind == jsonArray && r.items != nil {
		for i := range n.items {
			changed = r.items.applyDefaults(&n.items[i]) || changed
		}
	}
	if n.kind != jsonObject {
		return changed
	}
	for _, name := range slices.Sorted(maps.Keys(r.properties)) {
		sub := r.properties[name]
		if text := sub.schema.Default; text != nil && n.get(name) == nil {
			if value, err := parseJSON(text); err == nil { // compile has refused any other
				n.set(name, value)
				changed = true
			}
		}
		if field := n.get(name); field != nil {
			changed = sub.applyDefaults(field) || changed
		}
	}
	if r.other != nil {
		for i := range n.members {
			if _, named := r.properties[n.members[i].key]; !named {
				changed = r.other.applyDefaults(&n.members[i].val) || changed
			}
		}
	}
	return changed
}
