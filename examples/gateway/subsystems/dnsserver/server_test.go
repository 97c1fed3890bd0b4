package dnsserver

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const apex = "edge.example."

// life is one life of a server.
type life struct {
	*Server
	address, control string
	end              func()
}

func begin(t *testing.T, dir string, key *Key) *life {
	t.Helper()
	type bound struct{ dns, control net.Addr }
	ready := make(chan bound, 1)
	s, err := Open(Options{
		Zone: "Edge.Example", Dir: dir, Key: key, Control: "127.0.0.1:0",
		Ready: func(d, c net.Addr) { ready <- bound{d, c} }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	b := <-ready
	l := &life{Server: s, address: b.dns.String(), control: "http://" + b.control.String()}
	var once sync.Once
	l.end = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("serve: %v", err)
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

func (l *life) exchange(t *testing.T, network string, m *dns.Msg) (*dns.Msg, error) {
	t.Helper()
	client := &dns.Client{Net: network, Timeout: 500 * time.Millisecond}
	if l.options.Key != nil {
		client.TsigSecret = map[string]string{l.options.Key.Name: l.options.Key.Secret}
	}
	reply, _, err := client.Exchange(m, l.address)
	return reply, err
}

func (l *life) ask(t *testing.T, name string, rtype uint16) (rcode int, values []string) {
	t.Helper()
	reply, err := l.exchange(t, "udp", new(dns.Msg).SetQuestion(name, rtype))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reply.Answer {
		values = append(values, dns.Field(r, 1))
	}
	slices.Sort(values)
	return reply.Rcode, values
}

func (l *life) serial(t *testing.T) uint32 {
	t.Helper()
	reply, err := l.exchange(t, "tcp", new(dns.Msg).SetQuestion(apex, dns.TypeSOA))
	if err != nil || len(reply.Answer) != 1 {
		t.Fatalf("SOA: %v, %v", reply, err)
	}
	return reply.Answer[0].(*dns.SOA).Serial
}

// update sends records in the raw form: "<name> <ttl> <class> <type> <data>".
func (l *life) update(t *testing.T, conditions, changes []string) int {
	t.Helper()
	reply, err := l.exchange(t, "tcp", message(t, conditions, changes))
	if err != nil {
		t.Fatal(err)
	}
	return reply.Rcode
}

func message(t *testing.T, conditions, changes []string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetUpdate(apex)
	m.Answer, m.Ns = raw(t, conditions), raw(t, changes)
	return m
}

func raw(t *testing.T, lines []string) (records []dns.RR) {
	t.Helper()
	for _, line := range lines {
		fields := strings.SplitN(line, " ", 5)
		h := dns.RR_Header{Name: fields[0], Class: dns.StringToClass[fields[2]], Rrtype: dns.StringToType[fields[3]]}
		if _, err := fmt.Sscan(fields[1], &h.Ttl); err != nil {
			t.Fatal(err)
		}
		if len(fields) < 5 {
			records = append(records, &dns.ANY{Hdr: h})
			continue
		}
		r, err := dns.NewRR(fmt.Sprintf("%s %s IN %s %s", fields[0], fields[1], fields[3], fields[4]))
		if err != nil {
			t.Fatal(err)
		}
		r.Header().Class = h.Class
		records = append(records, r)
	}
	return records
}

func TestUpdateByTheBook(t *testing.T) {
	const a, b = "a.edge.example.", "b.edge.example."
	add := []string{"new.edge.example. 30 IN A 127.0.0.9"}
	for _, c := range []struct {
		conditions []string
		changes    []string
		rcode      int
		asked      string
		values     []string
		reason     string
	}{
		{[]string{a + " 0 ANY A"}, add, dns.RcodeSuccess, "new.", []string{"127.0.0.9"}, "set exists"},
		{[]string{b + " 0 ANY A"}, add, dns.RcodeNXRrset, "new.", nil, "set does not exist"},
		{[]string{a + " 0 ANY ANY"}, add, dns.RcodeSuccess, "new.", []string{"127.0.0.9"}, "name in use"},
		{[]string{b + " 0 ANY ANY"}, add, dns.RcodeNameError, "new.", nil, "name not in use"},
		{[]string{a + " 0 NONE A"}, add, dns.RcodeYXRrset, "new.", nil, "set exists after all"},
		{[]string{a + " 0 NONE TXT"}, add, dns.RcodeSuccess, "new.", []string{"127.0.0.9"}, "set does not exist, as wished"},
		{[]string{a + " 0 NONE ANY"}, add, dns.RcodeYXDomain, "new.", nil, "name in use after all"},
		{[]string{a + " 0 IN A 127.0.0.2", a + " 0 IN A 127.0.0.1"}, add, dns.RcodeSuccess, "new.", []string{"127.0.0.9"}, "set is exactly so, in any order"},
		{[]string{a + " 0 IN A 127.0.0.1"}, add, dns.RcodeNXRrset, "new.", nil, "set is larger"},
		{[]string{a + " 0 IN A 127.0.0.1", a + " 0 IN A 127.0.0.3"}, add, dns.RcodeNXRrset, "new.", nil, "set is another"},
		{[]string{a + " 5 ANY A"}, add, dns.RcodeFormatError, "new.", nil, "a condition has no TTL"},
		{[]string{"x.other. 0 ANY A"}, add, dns.RcodeNotZone, "new.", nil, "a condition outside the zone"},
		{nil, []string{add[0], "x.other. 0 IN A 127.0.0.1"}, dns.RcodeNotZone, "new.", nil, "one bad change spoils all"},
		{nil, []string{a + " 0 ANY A"}, dns.RcodeSuccess, "a.", nil, "delete a set"},
		{nil, []string{a + " 0 ANY ANY"}, dns.RcodeSuccess, "a.", nil, "delete a name"},
		{nil, []string{a + " 0 NONE A 127.0.0.1"}, dns.RcodeSuccess, "a.", []string{"127.0.0.2"}, "delete one record"},
		{nil, []string{a + " 0 NONE A 127.0.0.7"}, dns.RcodeSuccess, "a.", []string{"127.0.0.1", "127.0.0.2"}, "delete what is not there"},
		{nil, []string{a + " 0 ANY A", a + " 60 IN A 127.0.0.5"}, dns.RcodeSuccess, "a.", []string{"127.0.0.5"}, "replace, in order"},
		{nil, []string{a + " 60 IN CNAME b.edge.example."}, dns.RcodeSuccess, "a.", []string{"127.0.0.1", "127.0.0.2"}, "a CNAME beside others is ignored"},
		{nil, []string{"edge.example. 0 ANY ANY"}, dns.RcodeSuccess, "ns.", []string{"127.0.0.1"}, "the apex keeps SOA and NS"},
		{nil, []string{a + " 5 ANY A"}, dns.RcodeFormatError, "a.", []string{"127.0.0.1", "127.0.0.2"}, "a deletion has no TTL"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			l := begin(t, t.TempDir(), nil)
			if rcode := l.update(t, nil, []string{a + " 30 IN A 127.0.0.1", a + " 30 IN A 127.0.0.2"}); rcode != dns.RcodeSuccess {
				t.Fatalf("preparation: %s", dns.RcodeToString[rcode])
			}
			before := l.serial(t)
			if rcode := l.update(t, c.conditions, c.changes); rcode != c.rcode {
				t.Errorf("got %s: want %s", dns.RcodeToString[rcode], dns.RcodeToString[c.rcode])
			}
			_, values := l.ask(t, c.asked+apex, dns.TypeA)
			if !slices.Equal(values, c.values) {
				t.Errorf("%s has %v: want %v", c.asked, values, c.values)
			}
			changed := !slices.Equal(c.values, []string{"127.0.0.1", "127.0.0.2"}) && c.rcode == dns.RcodeSuccess && c.asked != "ns."
			if raised := l.serial(t) - before; (raised == 1) != changed || raised > 1 {
				t.Errorf("the serial rose by %d, changed %v", raised, changed)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	l := begin(t, t.TempDir(), nil)
	var big []string
	for i := range 100 {
		big = append(big, fmt.Sprintf("big.edge.example. 30 IN A 127.1.0.%d", i))
	}
	l.update(t, nil, append(big, `x.deep.edge.example. 30 IN TXT "hello"`, "alias.edge.example. 30 IN CNAME big.edge.example."))
	for _, c := range []struct {
		name   string
		rtype  uint16
		rcode  int
		count  int
		reason string
	}{
		{"X.Deep.Edge.Example.", dns.TypeTXT, dns.RcodeSuccess, 1, "names have no case"},
		{"x.deep.edge.example.", dns.TypeA, dns.RcodeSuccess, 0, "the name is there, the type is not"},
		{"deep.edge.example.", dns.TypeA, dns.RcodeSuccess, 0, "a name with names below it is there"},
		{"none.edge.example.", dns.TypeA, dns.RcodeNameError, 0, "no such name"},
		{"alias.edge.example.", dns.TypeA, dns.RcodeSuccess, 1, "a CNAME answers for every type"},
		{"edge.example.", dns.TypeNS, dns.RcodeSuccess, 1, "the apex"},
		{"elsewhere.example.", dns.TypeA, dns.RcodeRefused, 0, "not ours"},
	} {
		if rcode, values := l.ask(t, c.name, c.rtype); rcode != c.rcode || len(values) != c.count {
			t.Errorf("%s: got %s %v", c.reason, dns.RcodeToString[rcode], values)
		}
	}
	small, err := l.exchange(t, "udp", new(dns.Msg).SetQuestion("big.edge.example.", dns.TypeA))
	if err != nil || !small.Truncated {
		t.Errorf("a large answer over UDP: %v, truncated %v: want truncated", err, small != nil && small.Truncated)
	}
	whole, err := l.exchange(t, "tcp", new(dns.Msg).SetQuestion("big.edge.example.", dns.TypeA))
	if err != nil || len(whole.Answer) != 100 {
		t.Errorf("over TCP: %v: want 100 records", err)
	}
	if n := len(transfer(t, l)); n != 106 {
		t.Errorf("a transfer of %d records: want 106, the SOA twice", n)
	}
}

func transfer(t *testing.T, l *life) (records []dns.RR) {
	t.Helper()
	x := &dns.Transfer{}
	m := new(dns.Msg).SetAxfr(apex)
	if k := l.options.Key; k != nil {
		x.TsigSecret = map[string]string{k.Name: k.Secret}
		m.SetTsig(k.Name, dns.HmacSHA256, 300, time.Now().Unix())
	}
	pages, err := x.In(m, l.address)
	if err != nil {
		t.Fatal(err)
	}
	for page := range pages {
		if page.Error != nil {
			t.Error(page.Error)
		}
		records = append(records, page.RR...)
	}
	return records
}

func TestKeyIsNeeded(t *testing.T) {
	key := &Key{Name: "k.", Secret: "c2VjcmV0LXNlY3JldC1zZWNyZXQ="}
	l := begin(t, t.TempDir(), key)
	change := []string{"a.edge.example. 30 IN A 127.0.0.1"}
	if rcode := l.update(t, nil, change); rcode != dns.RcodeNotAuth {
		t.Errorf("unsigned: %s: want NOTAUTH", dns.RcodeToString[rcode])
	}
	m := message(t, nil, change)
	m.SetTsig("k.", dns.HmacSHA256, 300, time.Now().Unix())
	if reply, err := l.exchange(t, "tcp", m); err != nil || reply.Rcode != dns.RcodeSuccess {
		t.Errorf("signed: %v, %v", reply, err)
	}
	if n := len(transfer(t, l)); n != 5 {
		t.Errorf("a signed transfer of %d records: want 5", n)
	}
}

func TestRestartAndTornLine(t *testing.T) {
	dir := t.TempDir()
	l := begin(t, dir, nil)
	for i := range 5 {
		l.update(t, nil, []string{fmt.Sprintf("n%d.edge.example. 30 IN A 127.0.0.%d", i, i)})
	}
	l.update(t, nil, []string{"n0.edge.example. 0 ANY ANY"})
	serial := l.serial(t)
	before, err := l.Ledger()
	if err != nil {
		t.Fatal(err)
	}
	l.end()
	for file, change := range map[string]func([]byte) []byte{
		subsystem.JournalFile: func(b []byte) []byte { return append(b, `{"lines":[{"se`...) },
		subsystem.LedgerFile:  func(b []byte) []byte { return b[:len(b)-5] },
	} {
		content, err := os.ReadFile(filepath.Join(dir, file))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), change(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	l = begin(t, dir, nil)
	if got := l.serial(t); got != serial {
		t.Errorf("serial %d: want %d", got, serial)
	}
	if _, values := l.ask(t, "n3.edge.example.", dns.TypeA); !slices.Equal(values, []string{"127.0.0.3"}) {
		t.Errorf("n3 has %v", values)
	}
	if rcode, _ := l.ask(t, "n0.edge.example.", dns.TypeA); rcode != dns.RcodeNameError {
		t.Errorf("n0: %s: want NXDOMAIN", dns.RcodeToString[rcode])
	}
	if after, err := l.Ledger(); err != nil || len(after) != len(before) {
		t.Errorf("%d lines in the ledger, %v: want the torn one of %d to be written again", len(after), err, len(before))
	}
}

func TestJournalIsCompacted(t *testing.T) {
	dir := t.TempDir()
	l := begin(t, dir, nil)
	for i := range 1200 {
		if rcode := l.serveLocal(t, fmt.Sprintf("127.0.%d.%d", i/200, i%200)); rcode != dns.RcodeSuccess {
			t.Fatal(rcode)
		}
	}
	if l.records > 1000 {
		t.Errorf("the journal has %d records: want it to have been rewritten", l.records)
	}
	serial := l.serial(t)
	l.end()
	l = begin(t, dir, nil)
	if _, values := l.ask(t, "a.edge.example.", dns.TypeA); !slices.Equal(values, []string{"127.0.5.199"}) || l.serial(t) != serial {
		t.Errorf("after a restart a has %v at serial %d: want serial %d", values, l.serial(t), serial)
	}
}

// serveLocal replaces one address without the network.
func (l *life) serveLocal(t *testing.T, address string) int {
	t.Helper()
	m := message(t, nil, []string{"a.edge.example. 0 ANY A", "a.edge.example. 30 IN A " + address})
	packed, err := m.Pack()
	if err == nil {
		err = m.Unpack(packed)
	}
	if err != nil {
		t.Fatal(err)
	}
	rcode, _ := l.serveUpdate(m)
	return rcode
}

func TestEachFault(t *testing.T) {
	change := []string{"a.edge.example. 30 IN A 127.0.0.1", `_f.edge.example. 30 IN TXT "1"`}
	for _, c := range []struct {
		faults  string
		answers bool
		rcodes  []int
		address bool
		fence   bool
		reason  string
	}{
		{`{"loseRequest":1}`, false, nil, false, false, "nothing is done, nothing is said"},
		{`{"refuse":1}`, true, []int{dns.RcodeRefused, dns.RcodeServerFailure}, false, false, "nothing is done"},
		{`{"halfway":1}`, true, []int{dns.RcodeServerFailure}, true, false, "the address, not the fence"},
		{`{"loseAnswer":1}`, false, nil, true, true, "done, and nothing is said"},
		{`{"slow":1,"delayMillis":20}`, true, []int{dns.RcodeSuccess}, true, true, "late"},
		{`{"forget":1}`, true, []int{dns.RcodeSuccess}, true, true, "forgets what was before"},
	} {
		for _, network := range []string{"tcp", "udp"} {
			t.Run(c.reason+" "+network, func(t *testing.T) {
				l := begin(t, t.TempDir(), nil)
				l.update(t, nil, []string{"before.edge.example. 30 IN A 127.0.0.1"})
				tell(t, l, c.faults)
				reply, err := l.exchange(t, network, message(t, nil, change))
				if (err == nil) != c.answers {
					t.Fatalf("answer %v, %v: want one: %v", reply, err, c.answers)
				}
				if c.answers && !slices.Contains(c.rcodes, reply.Rcode) {
					t.Errorf("got %s", dns.RcodeToString[reply.Rcode])
				}
				testkit.Wait(t, "the address is as it should be", func() bool {
					_, values := l.ask(t, "a.edge.example.", dns.TypeA)
					return (len(values) == 1) == c.address
				})
				if _, values := l.ask(t, "_f.edge.example.", dns.TypeTXT); (len(values) == 1) != c.fence {
					t.Errorf("the fence is %v: want it there: %v", values, c.fence)
				}
				forgets := strings.Contains(c.faults, "forget")
				if rcode, _ := l.ask(t, "before.edge.example.", dns.TypeA); (rcode == dns.RcodeNameError) != forgets {
					t.Errorf("what was before: %s", dns.RcodeToString[rcode])
				}
			})
		}
	}
}

func tell(t *testing.T, l *life, faults string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Post(l.control+"/v1/faults", "application/json", strings.NewReader(faults))
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", response.StatusCode, err)
	}
}

func TestLedgerOverControl(t *testing.T) {
	l := begin(t, t.TempDir(), nil)
	l.update(t, nil, []string{"a.edge.example. 30 IN A 127.0.0.1"})
	tell(t, l, `{"forgetNow":true}`)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(l.control + "/v1/ledger")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("\n")); n != 2 || !bytes.Contains(text, []byte("127.0.0.1")) {
		t.Errorf("ledger %q: want the address and the SOA, also after forgetting", text)
	}
	if l.serial(t) != 1 {
		t.Error("want an empty zone at serial 1")
	}
}

func TestShutdownEndsDelays(t *testing.T) {
	l := begin(t, t.TempDir(), nil)
	tell(t, l, `{"slow":1,"delayMillis":3600000}`)
	var slow sync.WaitGroup
	slow.Go(func() {
		client := &dns.Client{Net: "tcp", Timeout: time.Minute}
		if reply, _, err := client.Exchange(message(t, nil, []string{"a.edge.example. 30 IN A 127.0.0.1"}), l.address); err == nil {
			t.Errorf("got %v: want no answer", reply)
		}
	})
	testkit.Wait(t, "the update has the turn", func() bool { return len(l.turn) == 1 })
	l.end()
	slow.Wait()
}
