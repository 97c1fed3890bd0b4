package decide_test

import (
	"strings"
	"testing"

	. "github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/internal/testkit/golden"
)

func TestPrinting(t *testing.T) {
	for name, print := range map[string]func(Table) string{"postgres.txt": Text, "postgres.md": Markdown, "postgres.html": HTML} {
		golden.Check(t, name, print(postgres()))
		if got := print(Table{}); got != "" {
			t.Errorf("%s: a table without rows is printed as %q, want nothing", name, got)
		}
		if got := print(Table{Actions: actions}); !strings.Contains(got, "Stay") || strings.Contains(got, "WHEN") {
			t.Errorf("%s: actions without rows are printed as %q", name, got)
		}
	}
}

func TestPrintingQuotes(t *testing.T) {
	table := Table{Rows: []Row{{When: All("S"), Guard: "a|b", Ignore: "<script>alert(1)</script> | *two*\nlines\tand `code`"}}}
	for _, c := range []struct {
		reason, got, want string
	}{
		{"a cell of Markdown ends at a bar, and HTML would be read in it", Markdown(table),
			"| 1 | any | S | a\\|b | 0 | ignore: &lt;script&gt;alert(1)&lt;/script&gt; \\| \\*two\\* lines and \\`code\\` |\n"},
		{"a page must not run what an author wrote", HTML(table), "<td>ignore: &lt;script&gt;alert(1)&lt;/script&gt; | *two*\nlines\tand `code`</td>"},
		{"a line feed would begin a row", Text(table), "ignore: <script>alert(1)</script> | *two* lines and `code`\n"},
	} {
		if !strings.Contains(c.got, c.want) {
			t.Errorf("%s: %q is not in\n%s", c.reason, c.want, c.got)
		}
	}
}
