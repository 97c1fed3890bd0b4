package allocator

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/adapter/subsystem/subsystemtest"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/resource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir, cidr string) *subsystem.Server {
	t.Helper()
	a, err := New(map[string]string{"edge": cidr})
	if err != nil {
		t.Fatal(err)
	}
	s, err := subsystem.Open(subsystem.Options{Dir: dir, Handler: a})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func teach(t *testing.T, s *subsystem.Server, items ...subsystem.RestoreItem) subsystem.RestoreAnswer {
	t.Helper()
	a, err := s.Restore(subsystem.RestoreRequest{Memory: s.Memory(), Items: items})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ask wishes and returns the address, or the class of the refusal.
func ask(t *testing.T, s *subsystem.Server, key string, intent uint64, request, previous string) string {
	t.Helper()
	a, err := s.Apply(subsystem.ApplyRequest{
		Token: command.Token(fmt.Sprintf("%s-%d", key, intent)), Epoch: resource.Epoch{Incarnation: 1}, Intent: intent,
		Key: key, Request: json.RawMessage(request), Previous: json.RawMessage(previous),
	})
	if err != nil {
		t.Fatal(err)
	}
	if a.Outcome != command.OutcomeDone {
		return string(a.Outcome) + " " + string(a.Class)
	}
	var r Result
	if a.Result != nil {
		if err := json.Unmarshal(a.Result, &r); err != nil {
			t.Fatal(err)
		}
	}
	return r.Address
}

func TestGrants(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "127.77.0.0/29") // six addresses
	teach(t, s)
	const any = `{"pool":"edge"}`
	for _, step := range []struct {
		key      string
		intent   uint64
		request  string
		previous string
		want     string
		reason   string
	}{
		{"a", 1, any, "", "127.77.0.1", "the first free one; the network's own address is not granted"},
		{"b", 1, any, "", "127.77.0.2", "the next"},
		{"a", 1, any, "", "127.77.0.1", "a repeat"},
		{"a", 2, any, "", "127.77.0.1", "a new intent for the same keeps it"},
		{"c", 1, `{"pool":"edge","address":"127.77.0.2"}`, "", "refused Throttled", "somebody else has it"},
		{"c", 2, `{"pool":"edge","address":"127.77.0.5"}`, "", "127.77.0.5", "asked for by name"},
		{"c", 3, `{"pool":"edge","address":"127.77.0.7"}`, "", "refused Terminal", "the broadcast address is not granted"},
		{"c", 4, `{"pool":"none"}`, "", "refused Terminal", "there is no such pool"},
		{"c", 5, `[]`, "", "refused Terminal", "that is no wish"},
		{"d", 1, any, `{"address":"127.77.0.6"}`, "127.77.0.6", "a repair gets its former address"},
		{"e", 1, any, `{"address":"127.77.0.6"}`, "127.77.0.3", "unless it is taken"},
		{"f", 1, any, "", "127.77.0.4", "the last one"},
		{"g", 1, any, "", "refused Throttled", "the pool is empty"},
		{"b", 2, "", "", "", "given back"},
		{"g", 1, any, "", "127.77.0.2", "and granted to the one that was refused"},
		{"b", 3, any, "", "refused Throttled", "the former holder has to wait"},
		{"c", 6, `{"pool":"edge","address":"127.77.0.5"}`, "", "127.77.0.5", "it has that one still, after its refusals"},
	} {
		if got := ask(t, s, step.key, step.intent, step.request, step.previous); got != step.want {
			t.Errorf("%s: %s got %q: want %q", step.reason, step.key, got, step.want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, "127.77.0.0/29")
	if got := ask(t, s, "h", 1, any, ""); got != "refused Throttled" {
		t.Errorf("after a restart h got %q: want the pool to be empty still", got)
	}
	if got := ask(t, s, "a", 2, any, ""); got != "127.77.0.1" {
		t.Errorf("after a restart a got %q", got)
	}
}

func TestHalfwayReservesOnce(t *testing.T) {
	s := open(t, t.TempDir(), "127.77.0.0/30") // two addresses
	teach(t, s)
	for _, halfway := range []float64{1, 1, 0} {
		if err := s.SetFaults(subsystem.Faults{Halfway: halfway}); err != nil {
			t.Fatal(err)
		}
		want := "failed Retry"
		if halfway == 0 {
			want = "127.77.0.1"
		}
		if got := ask(t, s, "a", 1, `{"pool":"edge"}`, ""); got != want {
			t.Errorf("got %q: want %q", got, want)
		}
	}
	if got := ask(t, s, "b", 1, `{"pool":"edge"}`, ""); got != "127.77.0.2" {
		t.Errorf("b got %q: want the other address to be free", got)
	}
}

func TestRestoreReserves(t *testing.T) {
	s := open(t, t.TempDir(), "127.77.0.0/29")
	item := func(key, address string) subsystem.RestoreItem {
		return subsystem.RestoreItem{
			Key: key, Token: command.Token(key + "-1"), Intent: 1, Request: json.RawMessage(`{"pool":"edge"}`),
			Result: json.RawMessage(fmt.Sprintf(`{"address":%q}`, address)),
		}
	}
	a := teach(t, s, item("a", "127.77.0.1"), item("b", "127.77.0.1"), item("c", "nonsense"))
	if a.Restored != 1 || len(a.Lost) != 2 {
		t.Errorf("got %+v: want one restored, and two that cannot be", a)
	}
	if got := ask(t, s, "d", 1, `{"pool":"edge"}`, ""); got != "127.77.0.2" {
		t.Errorf("d got %q: want the restored address to be kept out", got)
	}
	if err := s.SetFaults(subsystem.Faults{ForgetNow: true}); err != nil {
		t.Fatal(err)
	}
	teach(t, s)
	if got := ask(t, s, "e", 1, `{"pool":"edge"}`, `{"address":"127.77.0.1"}`); got != "127.77.0.1" {
		t.Errorf("e got %q: want everything to be free after forgetting", got)
	}
}

func TestPoolsAreChecked(t *testing.T) {
	for _, cidr := range []string{"", "127.0.0.1", "127.0.0.0/31", "::/64"} {
		if _, err := New(map[string]string{"x": cidr}); err == nil {
			t.Errorf("pool %q was taken: want an error", cidr)
		}
	}
}

func TestRunServesAClient(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	bound, ended := make(chan net.Addr, 1), make(chan error, 1)
	dir := t.TempDir()
	go func() {
		ended <- Run(ctx, Options{Dir: dir, Ready: func(a net.Addr) { bound <- a }})
	}()
	client := subsystem.NewClient(subsystem.ClientOptions{URL: "http://" + (<-bound).String(), Base: time.Millisecond})
	observed := make(chan error, 1)
	go func() { observed <- client.Observe(ctx, nothing{}) }()
	call := command.Call{Token: "t", Intent: 1, Key: "a", Request: []byte(`{"pool":"edge"}`)}
	testkit.Wait(t, "an address is granted", func() bool { return client.Do(ctx, call).Outcome == command.OutcomeDone })
	cancel()
	for _, end := range []chan error{ended, observed} {
		if err := <-end; err != nil {
			t.Error(err)
		}
	}
}

type nothing struct {
	command.Desk // what these tests do not ask for
}

func (nothing) Expected(string) []command.Expectation      { return nil }
func (nothing) Lost(context.Context, []command.Loss) error { return nil }

func TestHandlerContract(t *testing.T) {
	subsystemtest.Run(t, subsystemtest.Suite{
		New: func(t *testing.T) subsystem.Handler {
			a, err := New(nil)
			if err != nil {
				t.Fatal(err)
			}
			return a
		},
		Request: []byte(`{"pool":"edge"}`),
		Other:   []byte(`{"pool":"edge","address":"127.77.200.9"}`),
	})
}
