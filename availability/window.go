package availability

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// ErrWindow says that two times are no window: the end is before the beginning, or more than 292 years after it. Ask for another one.
var ErrWindow = errors.New("not a window of time")

// Window is the time from From up to, and not including, To. A window whose end is not after its beginning is empty.
type Window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Between is the window from one time to another. It fails with [ErrWindow].
func Between(from, to time.Time) (Window, error) {
	from, to = plain(from), plain(to)
	if to.Before(from) {
		return Window{}, fmt.Errorf("window from %s to %s: %w: it ends before it begins, exchange them", stamp(from), stamp(to), ErrWindow)
	}
	if to.Sub(from) == math.MaxInt64 {
		return Window{}, fmt.Errorf("window from %s to %s: %w: it is longer than 292 years, take a later beginning", stamp(from), stamp(to), ErrWindow)
	}
	return Window{from, to}, nil
}

// Length is how long the window is.
func (w Window) Length() Span { return Of(time.Duration(w.span())) }

// span is the length in nanoseconds.
func (w Window) span() int64 { return max(0, int64(w.To.Sub(w.From))) }

// offset is how many nanoseconds after the window's beginning t is, or the nearest number inside the window.
func (w Window) offset(t time.Time) int64 { return min(max(0, int64(t.Sub(w.From))), w.span()) }

// at is the time that many nanoseconds after the window's beginning.
func (w Window) at(offset int64) time.Time { return w.From.Add(time.Duration(offset)) }

// plain strips a time of its place and its monotonic reading, so that equal times are equal.
func plain(t time.Time) time.Time { return t.Round(0).UTC() }

// stamp is a time for people.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
