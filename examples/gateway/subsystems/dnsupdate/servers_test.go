package dnsupdate

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/dnsserver"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/resource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const zoneName = "edge.example"

var secret = Key{Name: "setpoint.", Secret: "c2V0cG9pbnQtc2V0cG9pbnQtc2V0cG9pbnQtc2V0cG8="}

// target is a server under test.
type target struct {
	name string
	// ours is nil for a server of others.
	ours    *dnsserver.Server
	address string
	key     *Key
}

// everyServer runs a test against our server, with and without a key, and against Knot.
func everyServer(t *testing.T, test func(t *testing.T, s target)) {
	for _, c := range []struct {
		name  string
		start func(*testing.T) target
	}{
		{"ours", func(t *testing.T) target { return startOurs(t, nil) }},
		{"ours signed", func(t *testing.T) target { return startOurs(t, &secret) }},
		{"knot", startKnot},
	} {
		t.Run(c.name, func(t *testing.T) { test(t, c.start(t)) })
	}
}

func startOurs(t *testing.T, key *Key) target {
	t.Helper()
	bound := make(chan net.Addr, 1)
	o := dnsserver.Options{Zone: zoneName, Dir: t.TempDir(), Ready: func(a, _ net.Addr) { bound <- a }}
	if key != nil {
		o.Key = &dnsserver.Key{Name: key.Name, Secret: key.Secret}
	}
	s, err := dnsserver.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("our server: %v", err)
		}
	})
	return target{"ours", s, (<-bound).String(), key}
}

func startKnot(t *testing.T) target {
	t.Helper()
	program := testkit.Package(t, "knot", "knotd")
	dir, port := t.TempDir(), testkit.Port(t)
	write(t, filepath.Join(dir, "zone"), `$ORIGIN edge.example.
@ 60 SOA ns hostmaster 1 3600 600 86400 5
@ 60 NS ns
ns 60 A 127.0.0.1
`)
	conf := filepath.Join(dir, "knot.conf")
	write(t, conf, fmt.Sprintf(`server:
    rundir: %[1]q
    listen: 127.0.0.1@%[2]d
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: %[1]q
key:
  - id: setpoint.
    algorithm: hmac-sha256
    secret: %[3]s
acl:
  - id: plane
    key: setpoint.
    action: [update, transfer]
zone:
  - domain: edge.example
    file: %[4]q
    acl: plane
    zonefile-sync: -1
    journal-content: changes
    serial-policy: increment
`, dir, port, secret.Secret, filepath.Join(dir, "zone")))
	testkit.Start(t, program, "-c", conf)
	s := target{"knot", nil, fmt.Sprintf("127.0.0.1:%d", port), &secret}
	testkit.Wait(t, "knot answers", func() bool { return ask(s, zoneName, dns.TypeSOA) != nil })
	return s
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s target) adapter(change func(*Options)) *Adapter {
	o := Options{Server: s.address, Zone: zoneName, Key: s.key, Interval: 10 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	return New(o)
}

// ask returns the data of a record set, sorted; nil when there is no answer or none such.
func ask(s target, name string, rtype uint16) (values []string) {
	client := &dns.Client{Net: "tcp", Timeout: 2 * time.Second}
	reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), rtype), s.address)
	if err != nil {
		return nil
	}
	for _, r := range reply.Answer {
		values = append(values, dns.Field(r, 1))
	}
	slices.Sort(values)
	return values
}

// edit makes somebody else's update.
func edit(t *testing.T, s target, change func(*dns.Msg)) {
	t.Helper()
	if rcode := send(t, s, change); rcode != dns.RcodeSuccess {
		t.Fatalf("edit: %s", dns.RcodeToString[rcode])
	}
}

func send(t *testing.T, s target, change func(*dns.Msg)) int {
	t.Helper()
	m := new(dns.Msg).SetUpdate(dns.Fqdn(zoneName))
	change(m)
	client := &dns.Client{Net: "tcp"}
	if s.key != nil {
		client.TsigSecret = map[string]string{s.key.Name: s.key.Secret}
		m.SetTsig(s.key.Name, dns.HmacSHA256, 300, time.Now().Unix())
	}
	reply, _, err := client.Exchange(m, s.address)
	if err != nil {
		t.Fatal(err)
	}
	return reply.Rcode
}

func call(name string, counter, intent uint64, addresses ...string) command.Call {
	c := command.Call{
		Key: name, Intent: intent, Epoch: resource.Epoch{Incarnation: 1, Counter: counter},
		Token: command.Token(fmt.Sprintf("%s-%d", name, intent)),
	}
	if len(addresses) > 0 {
		c.Request = fmt.Appendf(nil, `{"name":%q,"addresses":[`, name)
		for i, a := range addresses {
			if i > 0 {
				c.Request = append(c.Request, ',')
			}
			c.Request = fmt.Appendf(c.Request, "%q", a)
		}
		c.Request = append(c.Request, "]}"...)
	}
	return c
}

func do(t *testing.T, a *Adapter, c command.Call) command.Result {
	t.Helper()
	r := a.Do(t.Context(), c)
	if r.Outcome != command.OutcomeDone {
		t.Fatalf("%s: %+v: want done", c.Token, r)
	}
	return r
}

// desk is a command.Desk with a list of expectations and a record of reports.
type desk struct {
	command.Desk // what these tests do not ask for

	mu       sync.Mutex
	expected map[string]command.Expectation
	reports  []command.Loss
	asked    int
}

func (d *desk) acknowledge(c command.Call) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.expected == nil {
		d.expected = map[string]command.Expectation{}
	}
	d.expected[c.Key] = command.Expectation{Key: c.Key, Token: c.Token, Intent: c.Intent, Request: c.Request}
}

func (d *desk) Expected(string) (all []command.Expectation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	for _, e := range d.expected {
		all = append(all, e)
	}
	return all
}

func (d *desk) Lost(_ context.Context, losses []command.Loss) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range losses {
		d.reports = append(d.reports, l)
		delete(d.expected, l.Key)
	}
	return nil
}

func (d *desk) reported() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var keys []string
	for _, l := range d.reports {
		keys = append(keys, l.Key)
	}
	slices.Sort(keys)
	return keys
}

func (d *desk) comparisons() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

func mustAddress(text string) netip.Addr { return netip.MustParseAddr(text) }
