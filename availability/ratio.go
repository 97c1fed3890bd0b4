package availability

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// ErrRatio says that a text is not a ratio: JSON wants a number from 0 to 1, or null for no data. Correct the text.
var ErrRatio = errors.New("not a ratio")

// Ratio is up time over counted time, from 0 to 1; or nothing, when no time counted: an object that does not exist is neither available nor
// not. The zero value is nothing. It is never NaN.
//
// Its JSON is a number or null, its text a percentage or "no data".
type Ratio struct {
	value float64
	known bool
}

// RatioOf is up over up and down together, and nothing when both are no time.
func RatioOf(up, down Span) Ratio {
	all := up.Add(down)
	if all.IsZero() {
		return Ratio{}
	}
	return Ratio{up.nanos() / all.nanos(), true}
}

// Value is the ratio, and whether there is one.
func (r Ratio) Value() (float64, bool) { return r.value, r.known }

// Compare orders ratios, the worst first, and nothing last.
func (r Ratio) Compare(o Ratio) int {
	if r.known != o.known {
		if r.known {
			return -1
		}
		return 1
	}
	return cmp.Compare(r.value, o.value)
}

// String is a percentage with up to four digits after the point, rounded down, so that only what was never down reads "100%"; or "no data".
func (r Ratio) String() string {
	if !r.known {
		return "no data"
	}
	const parts = 1e6                              // one ten-thousandth of a percent
	n := math.Floor(r.value * parts * (1 + 1e-12)) // the factor undoes what binary fractions lose: 0.9995 reads 99.95%
	if r.value < 1 {
		n = min(n, parts-1)
	}
	return strconv.FormatFloat(n/(parts/100), 'f', -1, 64) + "%"
}

// MarshalJSON writes a number from 0 to 1, or null.
func (r Ratio) MarshalJSON() ([]byte, error) {
	if !r.known {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, r.value, 'g', -1, 64), nil
}

// UnmarshalJSON reads what [Ratio.MarshalJSON] wrote. It fails with [ErrRatio].
func (r *Ratio) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*r = Ratio{}
		return nil
	}
	v, err := strconv.ParseFloat(string(data), 64)
	if err != nil || !(v >= 0 && v <= 1) {
		return fmt.Errorf("read the ratio %s: %w: write a number from 0 to 1, or null", data, ErrRatio)
	}
	*r = Ratio{v, true}
	return nil
}
