package authority_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/authority"
)

func open(t *testing.T, dir string) *authority.Authority {
	t.Helper()
	a, err := authority.Open(dir, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *authority.Authority, token command.Token) authority.Result {
	t.Helper()
	r := a.Do(context.Background(), command.Call{Token: token, Key: "default/shop.tls", Request: []byte(`{"hostname":"shop.edge.test","rotation":0}`)})
	var result authority.Result
	if r.Outcome != command.OutcomeDone || json.Unmarshal(r.Body, &result) != nil {
		t.Fatalf("issue: %+v", r)
	}
	return result
}

func TestACertificateServesItsHostname(t *testing.T) {
	a := open(t, t.TempDir())
	certPEM, keyPEM, err := a.Find(issue(t, a, "aa01").Serial)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(a.RootPath())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "shop.edge.test", Roots: roots}); err != nil {
		t.Error(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "other.edge.test", Roots: roots}); err == nil {
		t.Error("it is good for another name as well")
	}
}

func TestOneCertificatePerToken(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir)
	first := issue(t, a, "aa01")
	if again := issue(t, a, "aa01"); again != first {
		t.Errorf("the same token again: %+v, want %+v", again, first)
	}
	if again := issue(t, open(t, dir), "aa01"); again != first {
		t.Errorf("the same token after a restart: %+v, want %+v", again, first)
	}
	if next := issue(t, a, "aa02"); next.Serial == first.Serial {
		t.Error("another token got the same certificate")
	}
	if n, err := a.Issued(); n != 2 || err != nil {
		t.Errorf("%d certificates (%v), want 2", n, err)
	}
	if r := a.Do(t.Context(), command.Call{Token: "aa03", Key: "default/shop.tls"}); r.Outcome != command.OutcomeDone {
		t.Errorf("withdraw: %+v", r)
	}
	if n, err := a.Issued(); n != 0 || err != nil {
		t.Errorf("%d certificates (%v) after they were withdrawn, want none", n, err)
	}
}

func TestWhatIsNotARequestIsRefused(t *testing.T) {
	a := open(t, t.TempDir())
	for request, reason := range map[string]string{`{`: "not JSON", `{}`: "no hostname"} {
		r := a.Do(t.Context(), command.Call{Token: "aa01", Key: "k", Request: []byte(request)})
		if r.Outcome != command.OutcomeRefused || r.Class != command.Terminal {
			t.Errorf("%s: %+v, want a refusal for good", reason, r)
		}
	}
	if _, _, err := a.Find("../ca"); err == nil || !strings.Contains(err.Error(), "not a serial") {
		t.Errorf("a serial that leads out of the directory: %v", err)
	}
}

// desk expects certificates, and takes the first report of losses.
type desk struct {
	command.Desk // what these tests do not ask for

	expected []command.Expectation
	lost     chan []command.Loss
}

func (d desk) Expected(string) []command.Expectation { return d.expected }

func (d desk) Lost(ctx context.Context, losses []command.Loss) error {
	select {
	case d.lost <- losses:
	case <-ctx.Done():
	}
	return nil
}

func TestWhatVanishesIsReported(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir)
	issue(t, a, "aa01")
	issue(t, a, "aa02")
	if err := os.Remove(filepath.Join(dir, "issued", "default_shop.tls", "aa02.crt")); err != nil {
		t.Fatal(err)
	}
	d := desk{lost: make(chan []command.Loss)}
	for _, token := range []command.Token{"aa01", "aa02", "aa03"} {
		d.expected = append(d.expected, command.Expectation{Key: "default/shop.tls", Token: token, Request: []byte("{}")})
	}
	d.expected = append(d.expected, command.Expectation{Key: "default/gone.tls", Token: "aa04"}) // absence was asked for, and is there
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Observe(ctx, d) }()
	losses := <-d.lost
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(losses) != 2 || losses[0].Token != "aa02" || losses[1].Token != "aa03" {
		t.Errorf("reported %+v, want the one whose file was removed and the one that never was", losses)
	}
}
