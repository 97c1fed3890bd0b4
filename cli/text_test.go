package cli

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/client"
)

func TestTemplate(t *testing.T) {
	const object = `{"a": {"b": [{"c": "x", "n": 1}, {"c": "y", "n": 2}], "d.e": true, "big": 12345678901234567890}, "null": null}`
	for _, test := range []struct{ template, want, reason string }{
		{".a.b[0].c", "x", "a path needs no braces"},
		{"{.a.b[1].c}", "y", "an index"},
		{"{$.a.b[-1].c}", "y", "an index from the end, and a dollar"},
		{"{.a.b[*].c}", "x y", "all items, separated by spaces"},
		{`{.a.b[?(@.c=="y")].n}`, "2", "the items that pass a test"},
		{`{.a.b[?(@.n==1)].c}`, "x", "a test on a number"},
		{`{.a.b[?(@.c!='y')].c}`, "x", "a test that must fail, in single quotes"},
		{"{.a['d.e']}", "true", "a field with a dot in its name"},
		{"{.a.big}", "12345678901234567890", "numbers stay as they are written"},
		{"{.null}", "null", "null is a value"},
		{"{.none.such}", "", "what is not there is empty"},
		{"{.a.b.c}", "", "a field of a list is not there"},
		{"{.a.b[7].c}", "", "nor an item beyond the end"},
		{"[{.a.b[0].n}]", "[1]", "text around a path"},
		{`{range .a.b[*]}{.c}={.n}{"\n"}{end}`, "x=1\ny=2\n", "a range"},
		{`{range .a.b[*]}{.c}{"}"}{end}`, "x}y}", "a brace in quotes"},
		{"{.a.b[0]}", `{"c":"x","n":1}`, "objects are JSON"},
	} {
		parsed, err := parseTemplate(test.template)
		if err != nil {
			t.Errorf("%s: %v: %s", test.template, err, test.reason)
			continue
		}
		v, err := decodeAny([]byte(object))
		if err != nil {
			t.Fatal(err)
		}
		if have := parsed.render(v); have != test.want {
			t.Errorf("%s: %q, want %q: %s", test.template, have, test.want, test.reason)
		}
	}
}

func TestTemplateRefuses(t *testing.T) {
	for _, test := range []struct{ template, reason string }{
		{"{.a", "not closed"}, {"{}", "nothing"}, {"{a.b}", "no dot"}, {"{.a[x]}", "no index"}, {"{.a[?(@.b)]}", "no test"},
		{"{range .a}", "no end"}, {"{.a}{end}", "no range"}, {"{..a}", "recursion is not for us"}, {`{"a}`, "no closing quote"}, {"{.a[}", "no closing bracket"},
	} {
		if _, err := parseTemplate(test.template); err == nil {
			t.Errorf("%s is accepted, though there is %s", test.template, test.reason)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 119 * time.Minute: "119m",
		3*time.Hour + 20*time.Minute: "3h20m", 4 * time.Hour: "4h", 30*time.Hour + time.Minute: "30h", 49 * time.Hour: "2d",
	} {
		if have := age(d); have != want {
			t.Errorf("%v is written %s, want %s", d, have, want)
		}
	}
}

func TestCell(t *testing.T) {
	for _, test := range []struct {
		value        any
		want, reason string
	}{
		{nil, "-", "nothing"}, {"", "-", "an empty text"}, {"a\x1b[2Jb\nc", "a\uFFFD[2Jb c", "control characters"},
		{3.0, "3", "a whole number"}, {2.5, "2.5", "a fraction"}, {true, "true", "a boolean"}, {[]any{"a"}, `["a"]`, "a list"},
	} {
		if have := cell(test.value); have != test.want {
			t.Errorf("%s: %q, want %q", test.reason, have, test.want)
		}
	}
}

func TestExitCode(t *testing.T) {
	live := context.Background()
	ended, cancel := context.WithCancel(live)
	cancel()
	for _, test := range []struct {
		ctx    context.Context
		err    error
		want   int
		reason string
	}{
		{live, nil, ExitOK, "no error"},
		{live, errors.New("x"), ExitError, "any error"},
		{live, usage("x"), ExitUsage, "a mistake in what was typed"},
		{live, fmt.Errorf("a: %w", client.ErrNotFound), ExitNotFound, "a sentinel in a chain"},
		{live, failed([]error{nil, client.ErrInvalid, client.ErrConflict}), ExitRefused, "of several failures, the first"},
		{live, failed([]error{nil, client.ErrConflict, nil}), ExitConflict, "one failure is itself"},
		{live, failed([]error{nil}), ExitOK, "no failure is none"},
		{live, errors.Join(client.ErrConflict, client.ErrInvalid), ExitConflict, "of several causes of one, the first of the table"},
		{live, fmt.Errorf("%w: %w", errTimeout, client.ErrNotFound), ExitTimeout, "a time-out goes before what it waited for"},
		{live, &client.StatusError{Code: 504}, ExitUnavailable, "a server that had no time"},
		{live, context.DeadlineExceeded, ExitTimeout, "a deadline"},
		{ended, context.Canceled, ExitInterrupted, "a signal"},
		{ended, usage("x"), ExitUsage, "a mistake stays one"},
	} {
		if have := exitCode(test.ctx, test.err); have != test.want {
			t.Errorf("%v: %d, want %d: %s", test.err, have, test.want, test.reason)
		}
	}
}

// TestExitCodesAreDocumented: every code that a sentinel leads to is in the list.
func TestExitCodesAreDocumented(t *testing.T) {
	listed := map[int]bool{}
	for i, e := range ExitCodes {
		if i > 0 && e.Code <= ExitCodes[i-1].Code {
			t.Errorf("%d comes after %d", e.Code, ExitCodes[i-1].Code)
		}
		listed[e.Code] = true
	}
	for _, c := range causes {
		if !listed[c.code] {
			t.Errorf("%d, the code of %v, is not documented", c.code, c.err)
		}
	}
}
