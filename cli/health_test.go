package cli_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/cli"
)

// sick answers probes as the path of its base says: /well/livez, /stuck/readyz.
func sick(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/well/livez", "/well/readyz", "/standby/livez":
		fmt.Fprint(w, "ok")
	case "/standby/readyz":
		http.Error(w, "waiting for lease plane: it is held", http.StatusServiceUnavailable)
	case "/stuck/livez", "/stuck/readyz":
		http.Error(w, "controller note: 2 calls do not return", http.StatusServiceUnavailable)
	case "/silent/livez", "/silent/readyz":
		<-r.Context().Done()
	default:
		http.NotFound(w, r)
	}
}

func TestHealth(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(sick))
	defer s.Close()
	for _, c := range []struct {
		reason, server string
		args           []string
		code           int
		out, complaint string
	}{
		{"it does its work", s.URL + "/well", nil, cli.ExitOK, "ready\n", ""},
		{"it is alive", s.URL + "/well", []string{"--live"}, cli.ExitOK, "alive\n", ""},
		{"who stands by does no work", s.URL + "/standby", nil, cli.ExitUnavailable, "", "waiting for lease plane"},
		{"who stands by need not be restarted", s.URL + "/standby", []string{"--live"}, cli.ExitOK, "alive\n", ""},
		{"who is stuck has to be restarted", s.URL + "/stuck", []string{"--live"}, cli.ExitUnavailable, "", "2 calls do not return"},
		{"a supervisor does not wait for ever", s.URL + "/silent", []string{"--timeout", "20ms"}, cli.ExitUnavailable, "", "no answer within 20ms"},
		{"nobody listens", "http://127.0.0.1:1", []string{"--live"}, cli.ExitUnavailable, "", "cannot connect"},
		{"what answers is no server of ours", s.URL, nil, cli.ExitUnavailable, "", "not found"},
		{"no time is no question", s.URL, []string{"--timeout", "0s"}, cli.ExitUsage, "", "want more than 0s"},
	} {
		var out, complaint strings.Builder
		p := cli.Program{Stdout: &out, Stderr: &complaint, Environ: func() []string { return []string{"SETPOINT_SERVER=" + c.server} }}
		code := cli.Run(context.Background(), p, append([]string{"health"}, c.args...))
		if code != c.code || out.String() != c.out || !strings.Contains(complaint.String(), c.complaint) {
			t.Errorf("%s: exit code %d, output %q, complaint %q; want %d, %q, %q", c.reason, code, out.String(), complaint.String(), c.code, c.out, c.complaint)
		}
	}
}
