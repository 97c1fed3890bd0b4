package resource

import (
	"bytes"
	"math/big"
	"strconv"
)

// isWhole reports whether a number's text means a whole number: 3, 3.0, 30e-1 do.
func isWhole(text []byte) bool {
	if !bytes.ContainsAny(text, ".eE") {
		return true
	}
	x, ok := number(text)
	return ok && x.IsInt()
}

// number reads a number exactly. It refuses exponents that would make it fill the memory.
func number(text []byte) (*big.Rat, bool) {
	if _, exponent, found := bytes.Cut(bytes.ToLower(text), []byte("e")); found {
		if e, err := strconv.Atoi(string(exponent)); err != nil || e > 400 || e < -400 {
			return nil, false
		}
	}
	return new(big.Rat).SetString(string(text))
}

// sameValue is same, and takes 1 and 1.0 for the same.
func sameValue(a, b *node) bool {
	if a.kind == jsonNumber && b.kind == jsonNumber {
		x, okX := number(a.raw)
		y, okY := number(b.raw)
		return okX && okY && x.Cmp(y) == 0
	}
	return same(a, b)
}

func (r *rule) judgeNumber(n *node, cs *causes) {
	if r.minimum == nil && r.maximum == nil && r.above == nil && r.below == nil && r.multiple == nil {
		return
	}
	x, ok := number(n.raw)
	if !ok {
		cs.add("", WrongValue, "%s is too large or too small a number", quoteNode(n))
		return
	}
	for _, b := range []struct {
		bound  *big.Rat
		broken func(int) bool
		words  string
	}{
		{r.minimum, func(c int) bool { return c < 0 }, "at least"},
		{r.maximum, func(c int) bool { return c > 0 }, "at most"},
		{r.above, func(c int) bool { return c <= 0 }, "more than"},
		{r.below, func(c int) bool { return c >= 0 }, "less than"},
	} {
		if b.bound != nil && b.broken(x.Cmp(b.bound)) {
			cs.add("", WrongValue, "%s is not %s %s", quoteNode(n), b.words, decimal(b.bound))
		}
	}
	if r.multiple != nil && !new(big.Rat).Quo(x, r.multiple).IsInt() {
		cs.add("", WrongValue, "%s is not a multiple of %s", quoteNode(n), decimal(r.multiple))
	}
}

func decimal(x *big.Rat) string {
	f, _ := x.Float64() // exact: it was made from a float64
	return strconv.FormatFloat(f, 'f', -1, 64)
}
