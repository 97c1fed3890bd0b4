package ledger

import (
	"strings"
	"testing"
	"time"
)

// TestRivals: what the prober takes for two servers that write at once, and what not.
func TestRivals(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	span := func(from, until int) *reign { return &reign{from: at(from), until: at(until)} }
	for _, c := range []struct {
		reason string
		reigns map[reigning]*reign
		says   string
	}{
		{"one after the other", map[reigning]*reign{{"a", "00000001"}: span(1, 5), {"b", "00000002"}: span(6, 9)}, ""},
		{"one server in two lines of history", map[reigning]*reign{{"a", "00000001"}: span(1, 5), {"a", "00000002"}: span(4, 9)}, ""},
		{"the former one acknowledges a row that was sent when the next one had begun", map[reigning]*reign{{"a", "00000001"}: span(1, 7), {"b", "00000002"}: span(6, 9)}, "sent 1s after b"},
		{"timelines are compared as hexadecimal numbers of one length", map[reigning]*reign{{"a", "0000000A"}: span(1, 5), {"b", "00000009"}: span(6, 9)}, "a had acknowledged"},
		{"two servers made the same line of history", map[reigning]*reign{{"a", "00000002"}: span(1, 5), {"b", "00000002"}: span(6, 9)}, "both taken writes"},
	} {
		p := &Prober{reigns: c.reigns}
		said := ""
		for _, problem := range p.Rivals() {
			said += problem.Error()
		}
		if (said == "") != (c.says == "") || !strings.Contains(said, c.says) {
			t.Errorf("%s: it says %q, want %q", c.reason, said, c.says)
		}
	}
}

// TestAudit: which rows a ledger misses, and which it does not.
func TestAudit(t *testing.T) {
	for _, c := range []struct {
		reason string
		fate   Fate
		there  bool
		says   string
	}{
		{"an acknowledged row is there", Acknowledged, true, ""},
		{"an acknowledged row is lost", Acknowledged, false, "acknowledged rows are lost: [1]"},
		{"of a row in doubt nothing is known", Doubtful, true, ""},
		{"of a row in doubt nothing is known, also when it is not there", Doubtful, false, ""},
		{"a refused row is there", Refused, true, "cannot be: [1]"},
		{"a refused row is not there", Refused, false, ""},
	} {
		l := New()
		row := l.Next()
		l.fates[row] = c.fate
		said := ""
		for _, problem := range l.Audit(l.Snapshot(), map[int64]bool{row: c.there}) {
			said += problem.Error()
		}
		if (said == "") != (c.says == "") || !strings.Contains(said, c.says) {
			t.Errorf("%s: it says %q, want %q", c.reason, said, c.says)
		}
	}
	l := New()
	if got := l.Audit(l.Snapshot(), map[int64]bool{7: true}); len(got) != 1 {
		t.Errorf("a row that nobody has sent: it says %v, want one complaint", got)
	}
}
