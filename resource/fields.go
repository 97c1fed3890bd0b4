package resource

import (
	"maps"
	"slices"
)

// prune removes the fields that the schema does not know, and says which.
func (r *rule) prune(n *node, cs *causes) {
	if r.items != nil {
		for i := range n.items {
			mark := len(*cs)
			r.items.prune(&n.items[i], cs)
			cs.inItem(mark, i)
		}
	}
	n.members = slices.DeleteFunc(n.members, func(m member) bool {
		known := r.knows(m.key)
		if !known {
			cs.add(pathField("", m.key), UnknownField, "%s", r.unknown(m.key))
		}
		return !known
	})
	for i := range n.members {
		m, mark := &n.members[i], len(*cs)
		if sub := r.properties[m.key]; sub != nil {
			sub.prune(&m.val, cs)
		}
		for sub := range r.others(m.key) {
			sub.prune(&m.val, cs)
		}
		cs.inField(mark, m.key)
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
