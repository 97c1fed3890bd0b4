package resource

import (
	"fmt"
	"strings"
)

// CheckName reports why a name is not one: lower-case letters, digits, '-' and '.', each part between dots beginning
// and ending with a letter or digit, at most 253 in all (a DNS subdomain, RFC 1123).
func CheckName(n Name) error { return checkSubdomain(string(n)) }

// CheckNamespace reports why a namespace is not one: lower-case letters, digits and '-', beginning and ending with a
// letter or digit, at most 63 (a DNS label, RFC 1123).
func CheckNamespace(n Namespace) error { return checkLabel(string(n)) }

func checkSubdomain(s string) error {
	if len(s) > 253 {
		return fmt.Errorf("is %d characters long, at most 253 are allowed", len(s))
	}
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return fmt.Errorf("%q must be lower-case letters, digits, '-' and '.', each part beginning and ending with a letter or digit", s)
		}
	}
	return nil
}

func checkLabel(s string) error {
	if len(s) > 63 {
		return fmt.Errorf("is %d characters long, at most 63 are allowed", len(s))
	}
	if !isLabel(s) {
		return fmt.Errorf("%q must be lower-case letters, digits and '-', beginning and ending with a letter or digit", s)
	}
	return nil
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLabel(s string) bool {
	for i := 0; i < len(s); i++ {
		inner := i > 0 && i < len(s)-1
		if !isLower(s[i]) && !isDigit(s[i]) && !(inner && s[i] == '-') {
			return false
		}
	}
	return s != ""
}

// checkQualified is the rule for keys of labels and annotations: an optional DNS subdomain and a slash, then a name.
func checkQualified(key string) error {
	prefix, name, found := strings.Cut(key, "/")
	if !found {
		prefix, name = "", key
	} else if err := checkSubdomain(prefix); err != nil {
		return fmt.Errorf("%q: the part before the slash %w", key, err)
	}
	if name == "" {
		return fmt.Errorf("%q has no name", key)
	}
	return checkWord(name)
}

// checkWord is the rule for values of labels, and for names in keys. The empty word is allowed.
func checkWord(s string) error {
	if len(s) > 63 {
		return fmt.Errorf("is %d characters long, at most 63 are allowed", len(s))
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		inner := i > 0 && i < len(s)-1
		if !isLower(c) && !isUpper(c) && !isDigit(c) && !(inner && (c == '-' || c == '_' || c == '.')) {
			return fmt.Errorf("%q must be letters, digits, '-', '_' and '.', beginning and ending with a letter or digit", s)
		}
	}
	return nil
}

// isCamelCase is the rule for kinds and states: a capital letter, then letters and digits.
func isCamelCase(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isUpper(c) && (i == 0 || !isLower(c) && !isDigit(c)) {
			return false
		}
	}
	return s != "" && len(s) <= 63
}
