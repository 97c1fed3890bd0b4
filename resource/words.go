package resource

import (
	"strings"
	"unicode/utf8"
)

func (r *rule) wanted() string {
	var words []string
	for kind, ok := range r.types {
		if ok && jsonKind(kind) == jsonNumber && r.integer {
			words = append(words, "a whole number")
		} else if ok && jsonKind(kind) != jsonNull {
			words = append(words, article(jsonKind(kind)))
		}
	}
	if r.types[jsonNull] {
		words = append(words, "null")
	}
	return strings.Join(words, " or ")
}

func article(k jsonKind) string {
	switch k {
	case jsonNull:
		return "null"
	case jsonArray, jsonObject:
		return "an " + k.String()
	}
	return "a " + k.String()
}

func describe(n *node) string {
	switch n.kind {
	case jsonNull:
		return "null"
	case jsonArray, jsonObject:
		return article(n.kind)
	}
	return "the " + n.kind.String() + " " + quoteNode(n)
}

// quoteNode shows a value in a message, cut when it is long.
func quoteNode(n *node) string {
	const most = 60
	text := string(n.raw)
	if len(text) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return text
}

func (r *rule) allowed() string {
	words := make([]string, len(r.enum))
	for i := range r.enum {
		words[i] = string(r.enum[i].raw)
	}
	return strings.Join(words, ", ")
}

func (r *rule) nearest(n *node) string {
	if n.kind != jsonString {
		return ""
	}
	var known []string
	for _, e := range r.enum {
		if e.kind == jsonString {
			known = append(known, e.str)
		}
	}
	return didYouMean(n.str, known)
}
