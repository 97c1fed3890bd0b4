package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/setpointhq/setpoint/internal/legible"
)

// printable replaces control characters, so that no text from elsewhere can move the cursor or change colours. Line feeds and tabs
// stay when lines is set, and become spaces otherwise.
func printable(s string, lines bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			if lines {
				return r
			}
			return ' '
		case unicode.IsControl(r), r == utf8.RuneError:
			return '\uFFFD'
		}
		return r
	}, s)
}

// age writes a duration as people read it, in at most two units: 45s, 12m, 3h20m, 5d.
func age(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		h, m := int(d.Hours()), int(d.Minutes())%60
		if h < 10 && m > 0 {
			return fmt.Sprintf("%dh%dm", h, m)
		}
		return fmt.Sprintf("%dh", h)
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

// since writes how long ago a moment was, "-" for none.
func (a *app) since(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return age(a.Now().Sub(t))
}

// moment writes a time and how long ago it was.
func (a *app) moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	if ahead := t.Sub(a.Now()); ahead > 0 {
		return fmt.Sprintf("%s (in %s)", t.UTC().Format(time.RFC3339), age(ahead))
	}
	return fmt.Sprintf("%s (%s ago)", t.UTC().Format(time.RFC3339), a.since(t))
}

// cell writes a value of a table.
func cell(v any) string {
	text := ""
	switch v := v.(type) {
	case nil:
	case string:
		text = printable(v, false)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			text = strconv.FormatInt(int64(v), 10)
		} else {
			text = strconv.FormatFloat(v, 'g', -1, 64)
		}
	default:
		body, err := json.Marshal(v)
		if err != nil {
			return "?"
		}
		text = printable(string(body), false)
	}
	return legible.Dash(text)
}

// grid lays out lines of cells in columns. Widths only grow, so that a grid that goes on stays readable.
type grid struct {
	indent string
	widths []int
}

// write lays out lines.
func (g *grid) write(w io.Writer, lines [][]string) error {
	for _, line := range lines {
		for i, c := range line {
			if i == len(g.widths) {
				g.widths = append(g.widths, 0)
			}
			g.widths[i] = max(g.widths[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(g.indent)
		for i, c := range line {
			b.WriteString(c)
			if i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", g.widths[i]-utf8.RuneCountInString(c)+3))
			}
		}
		b.WriteByte('\n')
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}
