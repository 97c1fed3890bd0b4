package availability

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// ErrSpan says that a text is not a span: JSON wants a number of seconds, at least 0, without an exponent, with at most nine digits
// after the point. Correct the text.
var ErrSpan = errors.New("not a span of time")

const second = uint64(time.Second)

// Span is a length of time, possibly added up over many objects, exact to the nanosecond and never negative. A [time.Duration] ends at 292
// years, which ten thousand objects live through in eleven days; a Span holds 5·10¹¹ years, and sums beyond that stay there.
//
// Its JSON is the number of seconds, exact: 90.5. Its text names the two largest units: "3d4h". The zero value is no time.
type Span struct{ hi, lo uint64 }

// longest is what sums do not go beyond: the quotient by a second still fits 64 bits.
var longest = Span{hi: second - 1, lo: math.MaxUint64}

// Of is a duration as a span; a negative one is no time.
func Of(d time.Duration) Span { return Span{lo: uint64(max(0, d))} }

// times is n·d for a count and a number of nanoseconds, neither negative.
func times(n, d int64) Span {
	hi, lo := bits.Mul64(uint64(n), uint64(d))
	return Span{hi, lo}
}

// Add is the sum of both.
func (s Span) Add(o Span) Span {
	lo, carry := bits.Add64(s.lo, o.lo, 0)
	hi, over := bits.Add64(s.hi, o.hi, carry)
	if over != 0 || hi > longest.hi {
		return longest
	}
	return Span{hi, lo}
}

// minus is s-o for an o that is not longer.
func (s Span) minus(o Span) Span {
	lo, borrow := bits.Sub64(s.lo, o.lo, 0)
	hi, _ := bits.Sub64(s.hi, o.hi, borrow)
	return Span{hi, lo}
}

// over is the n-th part, rounded down to the nanosecond; n is at least 1.
func (s Span) over(n int) Span {
	hi, rest := s.hi/uint64(n), s.hi%uint64(n)
	lo, _ := bits.Div64(rest, s.lo, uint64(n))
	return Span{hi, lo}
}

// Compare orders spans by length.
func (s Span) Compare(o Span) int { return cmp.Or(cmp.Compare(s.hi, o.hi), cmp.Compare(s.lo, o.lo)) }

// IsZero reports whether s is no time at all.
func (s Span) IsZero() bool { return s == Span{} }

// Seconds is the length in seconds, as near as a float64 comes.
func (s Span) Seconds() float64 { return s.nanos() / float64(second) }

func (s Span) nanos() float64 { return float64(s.hi)*(1<<64) + float64(s.lo) }

// Duration is s as far as a duration goes: 292 years.
func (s Span) Duration() time.Duration {
	if s.hi > 0 || s.lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(s.lo)
}

// units are those that texts use, largest first. A year has 365 days.
var units = []struct {
	seconds uint64
	name    string
}{{365 * 86400, "y"}, {86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}}

// String names the two largest units, rounded down: "3d4h", "5m10s", "2y"; below a second it is that of a [time.Duration]: "250ms".
func (s Span) String() string {
	if s.Compare(Of(time.Second)) < 0 {
		return s.Duration().String()
	}
	whole, _ := bits.Div64(s.hi, s.lo, second)
	for i, u := range units {
		n := whole / u.seconds
		if n == 0 {
			continue
		}
		text := strconv.FormatUint(n, 10) + u.name
		if i+1 < len(units) {
			if m := whole % u.seconds / units[i+1].seconds; m > 0 {
				text += strconv.FormatUint(m, 10) + units[i+1].name
			}
		}
		return text
	}
	return "0s"
}

// MarshalJSON writes seconds, exactly.
func (s Span) MarshalJSON() ([]byte, error) {
	whole, rest := bits.Div64(min(s.hi, longest.hi), s.lo, second)
	text := strconv.FormatUint(whole, 10)
	if rest > 0 {
		text += "." + strings.TrimRight(fmt.Sprintf("%09d", rest), "0")
	}
	return []byte(text), nil
}

// UnmarshalJSON reads what [Span.MarshalJSON] wrote. It fails with [ErrSpan].
func (s *Span) UnmarshalJSON(data []byte) error {
	whole, fraction, _ := strings.Cut(string(data), ".")
	n, err := strconv.ParseUint(whole, 10, 64)
	if err != nil || len(fraction) > 9 {
		return fmt.Errorf("read the span %s: %w: write seconds as in 90.5", data, ErrSpan)
	}
	rest, err := strconv.ParseUint((fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return fmt.Errorf("read the span %s: %w: write seconds as in 90.5", data, ErrSpan)
	}
	hi, lo := bits.Mul64(n, second)
	*s = Span{hi, lo}.Add(Span{lo: rest})
	return nil
}
