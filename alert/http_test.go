package alert_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/setpointhq/setpoint/alert"
)

// serve runs a receiver on the loopback interface, and hands on what it gets.
func serve(t *testing.T, answer http.HandlerFunc) (url string, got <-chan request) {
	t.Helper()
	all := make(chan request, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		all <- request{path: r.URL.Path, header: r.Header, body: body}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, all
}

func TestAWebhookIsSigned(t *testing.T) {
	key := []byte("known to both")
	url, got := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	s, err := alert.NewWebhook(alert.WebhookOptions{URL: url + "/hook", Plane: "edge", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	end := run(s)
	c := change(alert.Raised, "NoAddress", 1000, alert.Critical)
	c.Group.Examples = []alert.Example{{Object: device(1), Since: epoch, Message: "the pool is empty"}}
	put(t, s, c)
	q := <-got
	wantEnd(t, end, nil)

	n := decode[alert.Notice](t, q.body)
	if n.Version != alert.NoticeVersion || n.Event != alert.Raised || n.Fingerprint != c.Group.Fingerprint || n.Plane != "edge" || n.Kind != "Device.edge.example" ||
		n.State != "Provisioning" || n.Cause != "NoAddress" || n.Severity != alert.Critical || n.Count != 1000 || !n.Since.Equal(c.Group.Since) || !n.At.Equal(c.At) ||
		n.Summary != "1000 Device.edge.example in state Provisioning: NoAddress" || len(n.Examples) != 1 || n.Examples[0] != c.Group.Examples[0] {
		t.Errorf("got %s", q.body)
	}
	signature := q.header.Get(alert.SignatureHeader)
	for _, c := range []struct {
		reason    string
		key       []byte
		body      string
		signature string
		want      bool
	}{
		{"it is as it was sent", key, string(q.body), signature, true},
		{"the body was changed", key, strings.Replace(string(q.body), "1000", "1", 1), signature, false},
		{"another key", []byte("guessed"), string(q.body), signature, false},
		{"no key at all must not pass", nil, string(q.body), signature, false},
		{"not signed", key, string(q.body), "", false},
		{"no digits", key, string(q.body), "sha256=none", false},
		{"another algorithm", key, string(q.body), strings.Replace(signature, "sha256", "sha1", 1), false},
		{"cut short", key, string(q.body), signature[:40], false},
	} {
		if got := alert.Verify(c.key, []byte(c.body), c.signature); got != c.want {
			t.Errorf("%s: %v", c.reason, got)
		}
	}
}

// TestSignatureOfAKnownBody: the case 2 of RFC 4231.
func TestSignatureOfAKnownBody(t *testing.T) {
	if !alert.Verify([]byte("Jefe"), []byte("what do ya want for nothing?"), "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843") {
		t.Error("not the HMAC-SHA256")
	}
}

func TestAWebhookWithoutAKeyIsNotSigned(t *testing.T) {
	url, got := serve(t, func(http.ResponseWriter, *http.Request) {})
	s, err := alert.NewWebhook(alert.WebhookOptions{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	end := run(s)
	put(t, s, change(alert.Raised, "NoAddress", 1, alert.Warning))
	if q := <-got; q.header.Get(alert.SignatureHeader) != "" || q.path != "/" {
		t.Errorf("%s %v", q.path, q.header)
	}
	wantEnd(t, end, nil)
}

func TestARedirectIsNotFollowed(t *testing.T) {
	elsewhere, strayed := serve(t, func(http.ResponseWriter, *http.Request) {})
	url, got := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
	})
	s, err := alert.NewWebhook(alert.WebhookOptions{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	end := run(s)
	put(t, s, change(alert.Raised, "NoAddress", 1, alert.Warning))
	<-got
	wantEnd(t, end, nil)
	if n := len(strayed); n != 0 || s.Stats().Refused != 1 {
		t.Errorf("%d requests went elsewhere; %+v", n, s.Stats())
	}
}

func TestAnAnswerThatIsNoHTTPIsTriedAgain(t *testing.T) {
	var requests atomic.Int32
	url, got := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) > 1 {
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		garble(t, conn)
	})
	s, err := alert.NewAlertmanager(alert.AlertmanagerOptions{URL: url, Delivery: alert.Delivery{Base: 1, Cap: 1}})
	if err != nil {
		t.Fatal(err)
	}
	end := run(s)
	put(t, s, change(alert.Raised, "NoAddress", 1, alert.Warning))
	<-got
	<-got
	wantEnd(t, end, nil)
	if stats := s.Stats(); stats.Delivered != 1 || stats.Failed != 1 {
		t.Errorf("%+v", stats)
	}
}

func garble(t *testing.T, conn net.Conn) {
	if _, err := conn.Write([]byte("220 mail.example ESMTP\r\n")); err != nil {
		t.Error(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}
