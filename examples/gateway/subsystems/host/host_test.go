package host

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/proxy"
	"github.com/setpointhq/setpoint/internal/testkit"
)

// Environment of a host process: its folder, and its address.
const (
	hostDir     = "HOST_TEST_DIR"
	hostAddress = "HOST_TEST_ADDRESS"
)

// TestMain is also the program that the host starts, and a host that a test can kill.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, "demo-proxy") {
		if err := proxy.Main(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if dir := os.Getenv(hostDir); dir != "" {
		if err := Run(context.Background(), Options{Dir: dir, Listen: os.Getenv(hostAddress)}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// life is one life of a host.
type life struct {
	*Host
	base string
	end  func()
}

// begin starts a host on a folder.
func begin(t *testing.T, o Options) *life {
	t.Helper()
	o.Log = quiet
	ctx, cancel := context.WithCancel(context.Background())
	h, listener, err := Open(ctx, o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(ctx, listener) }()
	var once sync.Once
	l := &life{Host: h, base: "http://" + listener.Addr().String()}
	l.end = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("host: %v", err)
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

func (l *life) teach(t *testing.T, items ...subsystem.RestoreItem) subsystem.RestoreAnswer {
	t.Helper()
	a, err := l.Kit().Restore(subsystem.RestoreRequest{Memory: l.Kit().Memory(), Items: items})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const wish = `{"image":"proxy"}`

func (l *life) apply(t *testing.T, key string, intent uint64, request string) subsystem.ApplyAnswer {
	t.Helper()
	a, err := l.Kit().Apply(subsystem.ApplyRequest{
		Token: command.Token(fmt.Sprintf("%s-%d", key, intent)), Intent: intent, Key: key, Request: json.RawMessage(request),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// run wishes for an instance and insists on it.
func (l *life) run(t *testing.T, key string, intent uint64) Result {
	t.Helper()
	a := l.apply(t, key, intent, wish)
	if a.Outcome != command.OutcomeDone {
		t.Fatalf("%s: got %+v: want done", key, a)
	}
	return resultOf(a.Result)
}

func (l *life) lost(t *testing.T) []subsystem.LossEvent {
	t.Helper()
	c, err := l.Kit().Changes(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	return c.Lost
}

func alive(pid int) bool {
	_, ok := readStart(fmt.Sprintf("/proc/%d", pid))
	return ok
}

func status(t *testing.T, admin string) (s proxy.Status, err error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	response, err := client.Get(admin + "/status")
	if err != nil {
		return s, err
	}
	err = json.NewDecoder(response.Body).Decode(&s)
	if closing := response.Body.Close(); err == nil {
		err = closing
	}
	return s, err
}

func TestStartsReplacesAndEnds(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l := begin(t, Options{Dir: t.TempDir(), StopInstances: true, Images: map[string][]string{
		"proxy": {program, "demo-proxy"}, "proxy2": {program, "demo-proxy"}, "missing": {"/nonexistent"},
	}})
	l.teach(t)
	first := l.run(t, "a", 1)
	if s, err := status(t, first.Admin); err != nil || s.Boot != first.Boot {
		t.Errorf("status %+v, %v: want boot %s", s, err, first.Boot)
	}
	if again := l.run(t, "a", 2); again != first {
		t.Errorf("a new intent for the same image gave %+v: want the running %+v", again, first)
	}
	a := l.apply(t, "a", 3, `{"image":"proxy2"}`)
	second := resultOf(a.Result)
	if a.Outcome != command.OutcomeDone || second.Boot == first.Boot || alive(first.PID) || !alive(second.PID) {
		t.Errorf("replacing %+v gave %+v", first, a)
	}
	for _, c := range []struct {
		request string
		class   command.Class
		reason  string
	}{
		{`{"image":"none"}`, command.Terminal, "there is no such image"},
		{`[]`, command.Terminal, "that is no wish"},
		{`{"image":"missing"}`, command.Retry, "its program is not there"},
	} {
		if a := l.apply(t, "b", 1, c.request); a.Class != c.class {
			t.Errorf("%s: got %+v: want %s", c.reason, a, c.class)
		}
	}
	for range 2 {
		if a := l.apply(t, "a", 4, ""); a.Outcome != command.OutcomeDone || alive(second.PID) {
			t.Errorf("ending gave %+v, alive %v", a, alive(second.PID))
		}
	}
	if lost := l.lost(t); len(lost) != 0 {
		t.Errorf("announced %+v: want nothing, all ends were wanted", lost)
	}
	last := l.run(t, "c", 1)
	l.end()
	if alive(last.PID) {
		t.Error("an instance outlived a host that was to end it")
	}
}

func TestDeathIsAnnouncedAndNotRepaired(t *testing.T) {
	l := begin(t, Options{Dir: t.TempDir(), StopInstances: true})
	l.teach(t)
	first := l.run(t, "a", 1)
	l.run(t, "a", 2) // the process now stands for another token
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, "the death is announced", func() bool { return len(l.lost(t)) == 1 })
	if got, want := l.lost(t)[0], fmt.Sprintf("process %d exited: signal: killed", first.PID); got.Reason != want || got.Token != "a-2" {
		t.Errorf("announced %+v: want %q of token a-2", got, want)
	}
	if again := l.run(t, "a", 2); again != first {
		t.Errorf("a repeat of the old token gave %+v: want the old answer, not a new process", again)
	}
	if next := l.run(t, "a", 3); next.Boot == first.Boot || !alive(next.PID) {
		t.Errorf("a new intent gave %+v: want a new process", next)
	}
}

func TestProcessesOutliveTheHost(t *testing.T) {
	dir := t.TempDir()
	l := begin(t, Options{Dir: dir})
	l.teach(t)
	stays, dies := l.run(t, "stays", 1), l.run(t, "dies", 1)
	l.run(t, "stays", 2)
	l.end()
	if !alive(stays.PID) {
		t.Fatal("an instance ended with its host")
	}
	if err := syscall.Kill(dies.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, "it is dead", func() bool { return !alive(dies.PID) })
	l = begin(t, Options{Dir: dir, StopInstances: true})
	if lost := l.lost(t); len(lost) != 1 || lost[0].Key != "dies" {
		t.Errorf("announced %+v: want the one that died meanwhile", lost)
	}
	if same := l.run(t, "stays", 3); same != stays {
		t.Errorf("got %+v: want %+v, no second start", same, stays)
	}
	if err := syscall.Kill(stays.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, "the death of one that was found again is announced", func() bool { return len(l.lost(t)) == 2 })
	if got := l.lost(t)[1]; got.Token != "stays-3" {
		t.Errorf("announced %+v: want the token it stands for", got)
	}
}

func TestProcessOfACrashBeforeTheNote(t *testing.T) {
	dir := t.TempDir()
	l := begin(t, Options{Dir: dir})
	l.teach(t)
	// The host crashes between starting the process and writing it down: the handler acts, and the kit never hears of it.
	answer := l.Host.Apply(t.Context(), subsystem.Change{Key: "a", Token: "a-1", Intent: 1, Request: []byte(wish)})
	started := resultOf(answer.Result)
	l.end()
	l = begin(t, Options{Dir: dir, StopInstances: true})
	if found := l.run(t, "a", 1); found != started {
		t.Errorf("the repeated token gave %+v: want the process %+v that it had started", found, started)
	}
	lines, err := l.Kit().Ledger()
	if err != nil || len(lines) != 1 || lines[0].Effect != subsystem.Create {
		t.Errorf("ledger %+v, %v: want one creation", lines, err)
	}
}

func TestHostIsKilled(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, address := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", testkit.Port(t))
	t.Setenv(hostDir, dir)
	t.Setenv(hostAddress, address)
	first := testkit.Start(t, program)
	transport := &http.Transport{DisableKeepAlives: true}
	client := subsystem.NewClient(subsystem.ClientOptions{URL: "http://" + address, HTTP: &http.Client{Transport: transport}})
	restore := func() bool {
		response, err := (&http.Client{Transport: transport}).Get("http://" + address + "/v1/changes")
		if err != nil {
			return false
		}
		var c subsystem.Changes
		err = json.NewDecoder(response.Body).Decode(&c)
		if closing := response.Body.Close(); err != nil || closing != nil {
			return false
		}
		body := strings.NewReader(fmt.Sprintf(`{"memory":%q,"items":[]}`, c.Memory))
		response, err = (&http.Client{Transport: transport}).Post("http://"+address+"/v1/restore", "application/json", body)
		return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}
	testkit.Wait(t, "the host serves", restore)
	started := client.Do(t.Context(), command.Call{Key: "a", Token: "a-1", Intent: 1, Request: []byte(wish)})
	before := resultOf(started.Body)
	if started.Outcome != command.OutcomeDone {
		t.Fatalf("got %+v: want done", started)
	}
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.Ended()
	l := begin(t, Options{Dir: dir, StopInstances: true, Images: map[string][]string{"proxy": {program, "demo-proxy"}}})
	if again := l.run(t, "a", 2); again != before || !alive(before.PID) {
		t.Errorf("got %+v: want the running %+v", again, before)
	}
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, "the death of a process that is no child is announced", func() bool { return len(l.lost(t)) == 1 })
	if got := l.lost(t)[0]; got.Token != "a-2" {
		t.Errorf("announced %+v: want token a-2", got)
	}
}

func TestHalfwayStartsOneProcess(t *testing.T) {
	l := begin(t, Options{Dir: t.TempDir(), StopInstances: true})
	l.teach(t)
	setFaults(t, l, subsystem.Faults{Halfway: 1})
	for range 2 {
		if a := l.apply(t, "a", 1, wish); a.Outcome != command.OutcomeFailed {
			t.Fatalf("got %+v: want failed", a)
		}
	}
	half := l.at("a")
	setFaults(t, l, subsystem.Faults{})
	if r := l.run(t, "a", 1); r.Boot != half.Boot {
		t.Errorf("got %+v: want the process %+v that was started half-way", r, half.Result)
	}
	// One that dies after the first half is acknowledged and announced, and not started a second time by its token.
	setFaults(t, l, subsystem.Faults{Halfway: 1})
	l.apply(t, "b", 1, wish)
	setFaults(t, l, subsystem.Faults{})
	pid := l.at("b").PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, "the host has noticed", func() bool { return l.at("b") == nil })
	if r := l.run(t, "b", 1); r.PID != pid {
		t.Errorf("got %+v: want the answer of process %d", r, pid)
	}
	if lost := l.lost(t); len(lost) != 1 || lost[0].Key != "b" {
		t.Errorf("announced %+v: want the loss of b", lost)
	}
}

func setFaults(t *testing.T, l *life, f subsystem.Faults) {
	t.Helper()
	if err := l.Kit().SetFaults(f); err != nil {
		t.Fatal(err)
	}
}

func TestForgettingKills(t *testing.T) {
	l := begin(t, Options{Dir: t.TempDir(), StopInstances: true})
	l.teach(t)
	r := l.run(t, "a", 1)
	setFaults(t, l, subsystem.Faults{ForgetNow: true})
	if alive(r.PID) {
		t.Error("the process outlived its machine")
	}
	a := l.teach(t, subsystem.RestoreItem{Key: "a", Token: "a-1", Intent: 1, Request: []byte(wish), Result: mustJSON(t, r)})
	if len(a.Lost) != 1 || a.Restored != 0 {
		t.Errorf("got %+v: want a to be lost", a)
	}
	if lost := l.lost(t); len(lost) != 1 || lost[0].Token != "a-1" {
		t.Errorf("announced %+v: want a, also after a crash of the one who restored", lost)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestOneThatDoesNotEndIsKilled(t *testing.T) {
	l := begin(t, Options{Dir: t.TempDir(), StopInstances: true, Grace: 50 * time.Millisecond, Images: map[string][]string{
		"stubborn": {"/bin/sh", "-c", `trap "" TERM; while :; do read -t 1000 x </dev/zero; done`},
	}})
	l.teach(t)
	a := l.apply(t, "a", 1, `{"image":"stubborn"}`)
	pid := resultOf(a.Result).PID
	if a := l.apply(t, "a", 2, ""); a.Outcome != command.OutcomeDone || alive(pid) {
		t.Errorf("got %+v, alive %v: want it to be killed", a, alive(pid))
	}
}

func TestSimulated(t *testing.T) {
	dir := t.TempDir()
	l := begin(t, Options{Dir: dir, Simulated: true})
	l.teach(t)
	a, b := l.run(t, "a", 1), l.run(t, "b", 1)
	adapter := proxy.NewAdapter(proxy.AdapterOptions{
		HTTP:         &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		Certificates: func(string) ([]byte, []byte, error) { return []byte("c"), []byte("k"), nil },
	})
	call := command.Call{Token: "c-1", Intent: 1, Destination: a.Admin, Request: []byte(`{"hostname":"x.example"}`)}
	if r := adapter.Do(t.Context(), call); r.Outcome != command.OutcomeDone {
		t.Fatalf("push: %+v", r)
	}
	if s, err := status(t, a.Admin); err != nil || s.Hostname != "x.example" || s.Boot != a.Boot {
		t.Errorf("status %+v, %v", s, err)
	}
	post(t, a.Admin+"/kill", http.StatusOK)
	post(t, a.Admin+"/kill", http.StatusGone)
	if lost := l.lost(t); len(lost) != 1 || lost[0].Key != "a" {
		t.Errorf("announced %+v: want a", lost)
	}
	if r := adapter.Do(t.Context(), call); r.Class != command.Retry {
		t.Errorf("pushing to a dead one gave %+v: want Retry", r)
	}
	if answer := l.apply(t, "b", 2, ""); answer.Outcome != command.OutcomeDone {
		t.Errorf("ending b gave %+v", answer)
	}
	if _, err := status(t, b.Admin); err == nil {
		t.Error("b answers after its end")
	}
	c := l.run(t, "c", 1)
	l.end()
	l = begin(t, Options{Dir: dir, Simulated: true})
	if lost := l.lost(t); lost[len(lost)-1].Key != "c" {
		t.Errorf("announced %+v: want c %+v, which died with its host", lost, c)
	}
}

func post(t *testing.T, url string, want int) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Post(url, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != want {
		t.Errorf("%s: status %d: want %d", url, response.StatusCode, want)
	}
}

func TestRunReportsItsAddress(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	bound := make(chan net.Addr, 1)
	dir := t.TempDir()
	go func() { ended <- Run(ctx, Options{Dir: dir, Simulated: true, Ready: func(a net.Addr) { bound <- a }}) }()
	if (<-bound).(*net.TCPAddr).Port == 0 {
		t.Error("the bound port is not reported")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
