package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/resource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const hostname = "shop.example"

// issue makes a self-signed certificate; its serial is its common name.
func issue(serial string) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: serial}, DNSNames: []string{hostname},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), err
}

// certificates issues each serial once.
func certificates() func(string) ([]byte, []byte, error) {
	type pair struct{ cert, key []byte }
	var mu sync.Mutex
	issued := map[string]pair{}
	return func(serial string) ([]byte, []byte, error) {
		mu.Lock()
		defer mu.Unlock()
		if serial == "missing" {
			return nil, nil, errors.New("not issued yet")
		}
		p, ok := issued[serial]
		if !ok {
			var err error
			if p.cert, p.key, err = issue(serial); err != nil {
				return nil, nil, err
			}
			issued[serial] = p
		}
		return p.cert, p.key, nil
	}
}

// start runs a proxy in this process and returns its admin URL and how to end it.
func start(t *testing.T, boot string) (admin string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	bound, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() { ended <- Run(ctx, Options{Boot: boot, Ready: func(a net.Addr) { bound <- a }}) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("proxy: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return "http://" + (<-bound).String() + "/" + boot, stop
}

func newAdapter(t *testing.T) *Adapter {
	a := NewAdapter(AdapterOptions{Certificates: certificates()})
	t.Cleanup(a.options.HTTP.CloseIdleConnections)
	return a
}

func push(admin string, counter, intent uint64, token string, request any) command.Call {
	c := command.Call{
		Token: command.Token(token), Epoch: resource.Epoch{Incarnation: 1, Counter: counter}, Intent: intent, Destination: admin,
	}
	if request != nil {
		text, err := json.Marshal(request)
		if err != nil {
			panic(err)
		}
		c.Request = text
	}
	return c
}

// upstream answers with its name and the path.
func upstream(t *testing.T, name string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.WriteString(w, name+" "+r.URL.Path); err != nil {
			t.Logf("upstream: %v", err)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// browser speaks TLS to an address whatever the name.
func browser(t *testing.T, address string) *http.Client {
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: hostname},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func get(t *testing.T, c *http.Client, url string) (status int, body, serial string) {
	t.Helper()
	response, err := c.Get(url)
	if err != nil {
		return 0, err.Error(), ""
	}
	text, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return 0, err.Error(), ""
	}
	return response.StatusCode, string(text), response.TLS.PeerCertificates[0].Subject.CommonName
}

func want(t *testing.T, r command.Result, outcome command.Outcome, class command.Class) {
	t.Helper()
	if r.Outcome != outcome || r.Class != class {
		t.Fatalf("got %+v: want %s %s", r, outcome, class)
	}
}

func TestServesWhatItIsTold(t *testing.T) {
	admin, _ := start(t, "b1")
	adapter := newAdapter(t)
	address := fmt.Sprintf("127.78.0.1:%d", testkit.Port(t))
	blue, green := upstream(t, "blue"), upstream(t, "green")
	dead := "http://127.0.0.1:1"
	request := Request{Hostname: hostname, Listen: []string{address}, CertificateSerial: "s1", Routes: []Route{
		{"/", blue}, {"/api", green}, {"/api/dead", dead},
	}}
	want(t, adapter.Do(t.Context(), push(admin, 1, 1, "t1", request)), command.OutcomeDone, "")
	client := browser(t, address)
	for _, c := range []struct {
		url    string
		status int
		body   string
		reason string
	}{
		{"/", 200, "blue /", "the root"},
		{"/apix", 200, "blue /apix", "a prefix ends at a segment's border"},
		{"/api", 200, "green /api", "the longest prefix wins, exactly"},
		{"/api/x", 200, "green /api/x", "and below"},
		{"/api/dead/x", 502, "does not answer", "an upstream that is away"},
	} {
		status, body, serial := get(t, client, "https://"+hostname+c.url)
		if status != c.status || !strings.Contains(body, c.body) || serial != "s1" {
			t.Errorf("%s: got %d %q from %s: want %d %q", c.reason, status, body, serial, c.status, c.body)
		}
	}
	if status, body, _ := get(t, client, "https://other.example/"); status != 404 || !strings.Contains(body, "other.example") {
		t.Errorf("another host got %d %q: want 404 that names it", status, body)
	}
	request.CertificateSerial, request.Routes = "s2", []Route{{"/only", blue}}
	want(t, adapter.Do(t.Context(), push(admin, 1, 2, "t2", request)), command.OutcomeDone, "")
	if status, _, serial := get(t, browser(t, address), "https://"+hostname+"/"); status != 404 || serial != "s2" {
		t.Errorf("after the change got %d from %s: want 404 from s2", status, serial)
	}
	want(t, adapter.Do(t.Context(), push(admin, 1, 3, "t3", nil)), command.OutcomeDone, "")
	if status, body, _ := get(t, browser(t, address), "https://"+hostname+"/only"); status != 0 {
		t.Errorf("after unloading got %d %q: want the connection to be refused", status, body)
	}
}

func TestVersions(t *testing.T) {
	admin, _ := start(t, "b1")
	adapter := newAdapter(t)
	one := Request{Hostname: hostname, CertificateSerial: "s1"}
	two := Request{Hostname: hostname, CertificateSerial: "s2"}
	bad := Request{Hostname: hostname, CertificateSerial: "s1", Routes: []Route{{"x", "y"}}}
	restored := push(admin, 1, 1, "t9", one)
	restored.Epoch = resource.Epoch{Incarnation: 2, Counter: 1}
	for _, step := range []struct {
		call    command.Call
		outcome command.Outcome
		class   command.Class
		result  string
		reason  string
	}{
		{push(admin, 1, 2, "t2", one), command.OutcomeDone, "", `{"version":"1.1/2","boot":"b1"}`, "the first"},
		{push(admin, 1, 2, "t2", one), command.OutcomeDone, "", `{"version":"1.1/2","boot":"b1"}`, "a repeat"},
		{push(admin, 1, 2, "t2", two), command.OutcomeRefused, command.Terminal, "", "one token, two wishes"},
		{push(admin, 1, 1, "t1", two), command.OutcomeRefused, command.Stale, "", "a delayed older one"},
		{push(admin, 2, 2, "t2", one), command.OutcomeDone, "", `{"version":"1.2/2","boot":"b1"}`, "the next owner repeats"},
		{push(admin, 1, 3, "t3", two), command.OutcomeRefused, command.Stale, "", "the former owner"},
		{push(admin, 2, 3, "t3", bad), command.OutcomeRefused, command.Terminal, "", "a bad one is refused"},
		{push(admin, 2, 2, "t2", one), command.OutcomeRefused, command.Stale, "", "and was seen all the same"},
		{push(admin, 2, 4, "t4", Request{Hostname: hostname, CertificateSerial: "missing"}), command.OutcomeRefused, command.Retry, "", "no key yet"},
		{restored, command.OutcomeDone, "", `{"version":"2.1/1","boot":"b1"}`, "a restored plane counts intents again"},
		{push(admin, 9, 9, "t5", two), command.OutcomeRefused, command.Stale, "", "the plane from before the restoration"},
	} {
		r := adapter.Do(t.Context(), step.call)
		if r.Outcome != step.outcome || r.Class != step.class || string(r.Body) != step.result {
			t.Errorf("%s: got %s %s %s (%s)", step.reason, r.Outcome, r.Class, r.Body, r.Message)
		}
	}
	if r, known, err := adapter.LookUp(t.Context(), restored); err != nil || !known || string(r.Body) != `{"version":"2.1/1","boot":"b1"}` {
		t.Errorf("look-up of the loaded one: %s, %v, %v", r.Body, known, err)
	}
	if _, known, err := adapter.LookUp(t.Context(), push(admin, 2, 4, "t4", one)); err != nil || known {
		t.Errorf("look-up of one that was never loaded: known %v, %v", known, err)
	}
}

func TestProcessesThatAreNotThere(t *testing.T) {
	admin, stop := start(t, "b1")
	adapter := newAdapter(t)
	other := strings.TrimSuffix(admin, "b1") + "b0"
	request := Request{Hostname: hostname, CertificateSerial: "s1"}
	want(t, adapter.Do(t.Context(), push(other, 1, 1, "t1", request)), command.OutcomeRefused, command.Retry)
	want(t, adapter.Do(t.Context(), push(other, 1, 2, "t2", nil)), command.OutcomeDone, "")
	want(t, adapter.Do(t.Context(), push(admin, 1, 1, "t1", request)), command.OutcomeDone, "")
	stop()
	adapter.options.HTTP.CloseIdleConnections()
	want(t, adapter.Do(t.Context(), push(admin, 1, 2, "t3", request)), command.OutcomeRefused, command.Retry)
	want(t, adapter.Do(t.Context(), push(admin, 1, 3, "t4", nil)), command.OutcomeDone, "")
	want(t, adapter.Do(t.Context(), push("nonsense", 1, 3, "t4", nil)), command.OutcomeRefused, command.Terminal)
	for _, gone := range []string{admin, other} { // after an attempt whose outcome is not known
		if _, known, err := adapter.LookUp(t.Context(), push(gone, 1, 3, "t4", nil)); err != nil || known {
			t.Errorf("look-up at %s, where no process is: known %v, error %v: want neither, so that the call is made", gone, known, err)
		}
	}
}

func TestReplicasShareAPortAndSwapsDropNothing(t *testing.T) {
	first, _ := start(t, "b1")
	second, _ := start(t, "b2")
	adapter := newAdapter(t)
	address := fmt.Sprintf("127.78.0.2:%d", testkit.Port(t))
	request := Request{Hostname: hostname, Listen: []string{address}, CertificateSerial: "s1", Routes: []Route{{"/", upstream(t, "up")}}}
	for _, admin := range []string{first, second} {
		want(t, adapter.Do(t.Context(), push(admin, 1, 1, "t1", request)), command.OutcomeDone, "")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var served sync.Map
	for n := range 4 {
		clients.Go(func() {
			for count := 0; ctx.Err() == nil; count++ {
				status, body, _ := get(t, browser(t, address), "https://"+hostname+"/")
				if status != 200 {
					t.Errorf("got %d %q: want 200 throughout", status, body)
					return
				}
				served.Store(n, count)
			}
		})
	}
	for intent := range uint64(10) {
		request.CertificateSerial = fmt.Sprint("s", intent%2)
		for _, admin := range []string{first, second} {
			want(t, adapter.Do(t.Context(), push(admin, 1, intent+2, fmt.Sprint("x", intent), request)), command.OutcomeDone, "")
		}
	}
	testkit.Wait(t, "each client was served", func() bool {
		n := 0
		served.Range(func(_, count any) bool {
			if count.(int) > 2 {
				n++
			}
			return true
		})
		return n == 4
	})
	cancel()
	clients.Wait()
}

// desk expects configurations, and takes the first report of losses.
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

func TestAProcessThatIsAheadIsReportedAtTheStart(t *testing.T) {
	admin, _ := start(t, "b1")
	right, _ := start(t, "b2")
	gone, stop := start(t, "b3")
	stop()
	adapter := newAdapter(t)
	request := Request{Hostname: hostname, CertificateSerial: "s1"}
	want(t, adapter.Do(t.Context(), push(admin, 1, 2, "t2", request)), command.OutcomeDone, "")
	want(t, adapter.Do(t.Context(), push(right, 1, 2, "t9", request)), command.OutcomeDone, "")
	d := desk{lost: make(chan []command.Loss), expected: []command.Expectation{
		{Key: "a", Destination: admin, Token: "t1"}, {Key: "b", Destination: right, Token: "t9"}, {Key: "c", Destination: gone, Token: "t1"},
	}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- adapter.Observe(ctx, d) }()
	losses := <-d.lost
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(losses) != 1 || losses[0].Key != "a" || losses[0].Token != "t1" {
		t.Errorf("reported %+v, want only the process that has loaded something else", losses)
	}
}
