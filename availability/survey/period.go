package survey

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/availability"
)

// ErrPeriod: what was asked for is no period of the past. Name two of From, To and Length, of which the end is not after now.
var ErrPeriod = errors.New("not a period of the past")

// DefaultLength is the length of a period of which none is named.
const DefaultLength = 30 * 24 * time.Hour

// Period is a window as people name it: by its ends, or by one of them and its length. The zero value is the last 30 days.
type Period struct {
	From, To time.Time
	Length   time.Duration
}

// Window is the period as seen now. What is not said: the end is now, or the length after From; the length is [DefaultLength]. It fails with [ErrPeriod], and with
// [availability.ErrWindow] when it would end before it begins.
func (p Period) Window(now time.Time) (availability.Window, error) {
	switch {
	case p.Length < 0:
		return availability.Window{}, fmt.Errorf("%w: a length of %s; want more than 0", ErrPeriod, p.Length)
	case p.Length > 0 && !p.From.IsZero() && !p.To.IsZero():
		return availability.Window{}, fmt.Errorf("%w: both ends and a length are named; leave one out", ErrPeriod)
	case p.To.After(now):
		return availability.Window{}, fmt.Errorf("%w: it ends at %s, and now it is %s; leave the end out to end now", ErrPeriod, stamp(p.To), stamp(now))
	}
	length := p.Length
	if length == 0 {
		length = DefaultLength
	}
	from, to := p.From, p.To
	switch {
	case from.IsZero() && to.IsZero():
		from, to = now.Add(-length), now
	case from.IsZero():
		from = to.Add(-length)
	case to.IsZero() && p.Length > 0:
		to = from.Add(length)
	case to.IsZero():
		to = now
	}
	if to.After(now) {
		return availability.Window{}, fmt.Errorf("%w: %s from %s would end at %s, and now it is %s", ErrPeriod, length, stamp(from), stamp(to), stamp(now))
	}
	return availability.Between(from, to)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// ErrLength: a text names no length of time. Write "30d", "1w", "36h" or "1h30m".
var ErrLength = errors.New("not a length of time")

// units are those that package time does not know.
var units = map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour}

// ParseLength reads a length of time: what [time.ParseDuration] reads, or a whole number of days ("30d") or weeks ("2w"). It is more than 0. It fails with [ErrLength].
func ParseLength(text string) (time.Duration, error) {
	refuse := func() (time.Duration, error) {
		return 0, fmt.Errorf("%.40q: %w: want days (30d), weeks (2w), or hours, minutes and seconds (1h30m)", text, ErrLength)
	}
	if text == "" {
		return refuse()
	}
	if unit, known := units[text[len(text)-1]]; known {
		n, err := strconv.ParseInt(strings.TrimSpace(text[:len(text)-1]), 10, 64)
		if err != nil || n <= 0 || n > int64(1<<63-1)/int64(unit) {
			return refuse()
		}
		return time.Duration(n) * unit, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return refuse()
	}
	return d, nil
}
