package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/resource"
)

// desk writes down what is raised.
type desk struct {
	mu       sync.Mutex
	raised   []string
	notices  []command.Notice
	refusals int
	expected []command.Expectation
}

func (d *desk) Expected(destination string) []command.Expectation {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.expected)
}

func (d *desk) Lost(context.Context, []command.Loss) error { return nil }

func (d *desk) Raise(_ context.Context, notices []command.Notice) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refusals > 0 {
		d.refusals--
		return errors.New("told to refuse")
	}
	for _, n := range notices {
		d.raised = append(d.raised, fmt.Sprintf("%s %s", n.Signal, aboutServer(n.Dedupe)))
		d.notices = append(d.notices, n)
	}
	return nil
}

// aboutServer is the server that a notice is about: its Dedupe ends with the reader's name and a number.
func aboutServer(dedupe string) string {
	words := strings.Split(dedupe, "/")
	return strings.Join(words[:max(0, len(words)-2)], "/")
}

func (d *desk) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.raised)
}

// until waits for what was raised so far.
func (d *desk) until(t *testing.T, want ...string) {
	t.Helper()
	testkit.Wait(t, fmt.Sprintf("raised are %v", want), func() bool { return slices.Equal(d.all(), want) })
}

// observe runs an adapter's observer until the test, or the function that it returns, ends it.
func observe(t *testing.T, a *Adapter, d *desk) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Observe(ctx, d) }()
	var once sync.Once
	end = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("observe: %v", err)
			}
		})
	}
	t.Cleanup(end)
	return end
}

func object(server string) (resource.Key, bool) {
	return resource.Key{Kind: "Server.db.example", Name: resource.Name(server)}, true
}

// transport is closed when the test ends.
func client(t *testing.T, url string) subsystem.ClientOptions {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return subsystem.ClientOptions{URL: url, HTTP: &http.Client{Transport: transport}, Log: quiet, Audit: -1}
}

func TestAFrozenServerIsMissedAndSeenAgain(t *testing.T) {
	l := first(t, patient)
	a := l.done(t, "a", primaryWish())
	b := l.done(t, "b", standbyWish(a))
	d := &desk{}
	observe(t, NewAdapter(AdapterOptions{Client: client(t, l.base), Object: object, Beat: 200 * time.Millisecond, Log: quiet}), d)
	l.health(t, "b", "streams", streaming)

	for _, c := range []struct {
		server, reason string
		at             Result
		all            bool
	}{
		{"a", "only the postmaster is stopped, and sessions go on", a, false},
		{"b", "all its processes are stopped", b, true},
	} {
		s := l.server(c.server)
		found, err := s.processes()
		if err != nil {
			t.Fatal(err)
		}
		signal := func(signal unix.Signal) {
			t.Helper()
			for _, p := range found {
				if err := unix.Kill(p.pid, signal); (c.all || p.postmaster && p.pid == pidOf(t, s)) && err != nil && !errors.Is(err, unix.ESRCH) {
					t.Fatal(err)
				}
			}
		}
		if !c.all {
			found = slices.DeleteFunc(found, func(p process) bool { return p.pid != pidOf(t, s) })
		}
		before := d.all()
		signal(unix.SIGSTOP)
		missed := l.health(t, c.server, c.reason, Health.Missed)
		if !missed.Running || missed.Role == "" || missed.Problem == "" {
			t.Errorf("%s: it is %+v: want it running, with what it last said", c.reason, missed)
		}
		d.until(t, append(before, "Missed "+c.server)...)
		signal(unix.SIGCONT)
		l.health(t, c.server, "it answers again", healthy)
		d.until(t, append(before, "Missed "+c.server, "Seen "+c.server)...)
	}
	l.health(t, "b", "streams again", streaming)
	d.mu.Lock()
	n := d.notices[0]
	d.mu.Unlock()
	var h Health
	if err := json.Unmarshal(n.Payload, &h); err != nil || h.Server != "a" || h.Answering || n.Object.Name != "a" || !strings.HasPrefix(n.Dedupe, "a/") || n.Why == "" {
		t.Errorf("raised %+v, %v", n, err)
	}
	// What is down on purpose is not missed.
	l.do(t, Operation{Server: "b", Do: Restart})
	l.health(t, "b", "streams again", streaming)
	l.do(t, Operation{Server: "b", Do: Fence})
	l.health(t, "b", "fenced", func(h Health) bool { return h.Fenced && !h.Running })
	d.until(t, "Missed a", "Seen a", "Missed b", "Seen b", "Missed b") // it may be still to be written to, as far as the host knows
	// What dies is.
	if err := l.server("a").kill(); err != nil {
		t.Fatal(err)
	}
	d.until(t, "Missed a", "Seen a", "Missed b", "Seen b", "Missed b", "Missed a")
}

// script is a host that says what a test wants.
type script struct {
	board *board
	mu    sync.Mutex
	asked []string
	down  bool
	*httptest.Server
}

func newScript(t *testing.T) *script {
	t.Helper()
	s := &script{board: newBoard()}
	h := &Host{board: s.board, ctx: t.Context(), options: Options{Every: 20 * time.Millisecond, Log: quiet}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.URL.Path)
		down := s.down
		s.mu.Unlock()
		switch {
		case down:
			panic(http.ErrAbortHandler)
		case strings.HasPrefix(r.URL.Path, "/v1/checkins"):
			h.serveCheckins(w, r)
		default:
			http.NotFound(w, r)
		}
	}))
	s.Server.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	return s
}

func (s *script) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// rounds waits until the host was asked a number of times more.
func (s *script) rounds(t *testing.T, n int) {
	t.Helper()
	count := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		found := 0
		for _, path := range s.asked {
			if path == "/v1/checkins" {
				found++
			}
		}
		return found
	}
	from := count()
	testkit.Wait(t, "the host is asked again", func() bool { return count() >= from+n })
}

func up(server string) Health {
	return Health{Server: server, Running: true, Answering: true, Role: Primary}
}

func down(server string) Health { return Health{Server: server, Problem: "there is no process"} }

func scripted(t *testing.T, s *script, o AdapterOptions) *Adapter {
	o.Client, o.Log, o.Beat = client(t, s.URL), quiet, 20*time.Millisecond
	if o.Object == nil {
		o.Object = object
	}
	return NewAdapter(o)
}

func TestOneNoticePerChangeAndNoneWithout(t *testing.T) {
	s, d := newScript(t), &desk{}
	for i := range 100 {
		s.board.report(up(fmt.Sprintf("quiet-%d", i)))
	}
	s.board.report(up("a"))
	observe(t, scripted(t, s, AdapterOptions{}), d)
	s.rounds(t, 3)
	for i, step := range []struct {
		health Health
		want   string
		reason string
	}{
		{down("a"), "Missed a", "it does not answer any more"},
		{Health{Server: "a", Problem: "another"}, "", "it still does not answer"},
		{Health{Server: "a", Fenced: true}, "", "it is fenced, and does not answer still"},
		{Health{Server: "a", Running: true, Planned: "follow"}, "", "it is being worked on"},
		{Health{Server: "a", Running: true, Answering: true, Role: Standby}, "Seen a", "it answers again"},
		{up("a"), "", "its role is no notice"},
		{Health{Server: "a", Fenced: true}, "Missed a", "it was fenced while it answered: whether it is to be written to still, the host does not know"},
		{up("a"), "Seen a", "the fence is gone"},
		{down("a"), "Missed a", "it does not answer"},
	} {
		before := d.all()
		s.board.report(step.health)
		if step.want != "" {
			d.until(t, append(before, step.want)...)
			continue
		}
		s.rounds(t, 3)
		if got := d.all(); len(got) != len(before) {
			t.Errorf("step %d: %s: raised %v", i, step.reason, got[len(before):])
		}
	}
	// A hundred servers more or less are no more questions.
	s.mu.Lock()
	asked := slices.Clone(s.asked)
	s.mu.Unlock()
	for _, path := range asked {
		if path != "/v1/checkins" && path != "/v1/changes" {
			t.Errorf("asked %s", path)
		}
	}
	before := d.all()
	s.board.remove("a")
	s.rounds(t, 3)
	if got := d.all(); len(got) != len(before) {
		t.Errorf("a server that is gone was told of: %v", got)
	}
}

func TestAfterARestartTheDifferenceIsRaisedOnce(t *testing.T) {
	s, d := newScript(t), &desk{}
	for _, h := range []Health{up("fine"), down("dead"), up("back"), down("known")} {
		s.board.report(h)
	}
	a := scripted(t, s, AdapterOptions{Missing: func(server string) bool { return server == "back" || server == "known" }, Missed: "Uncertain", Seen: "Certain"})
	d.refusals = 2 // which costs nothing but time
	end := observe(t, a, d)
	d.until(t, "Certain back", "Uncertain dead")
	s.rounds(t, 3)
	d.until(t, "Certain back", "Uncertain dead")
	end()
}

func TestASilentHostMissesAllItsServers(t *testing.T) {
	s := newScript(t)
	request, err := json.Marshal(primaryWish())
	if err != nil {
		t.Fatal(err)
	}
	owner, _ := object("b")
	d := &desk{expected: []command.Expectation{
		{Key: "a", Request: request, Object: owner}, {Key: "b", Request: request, Object: owner},
		{Key: "gone", Object: owner}, {Key: "op", Request: json.RawMessage(`{"server":"b","do":"promote"}`), Object: owner},
	}}
	s.board.report(up("a"))
	a := scripted(t, s, AdapterOptions{Silence: 60 * time.Millisecond, Changed: "Changed"})
	a.options.Object = nil // the owners of the commands
	observe(t, a, d)
	d.until(t, "Changed a")
	s.setDown(true)
	testkit.Wait(t, "both are missed", func() bool {
		got := d.all()
		return slices.Contains(got, "Missed a") && slices.Contains(got, "Missed b")
	})
	if got := d.all(); slices.ContainsFunc(got, func(r string) bool { return strings.HasSuffix(r, "op") || strings.HasSuffix(r, "gone") }) {
		t.Errorf("raised %v: only servers can be missed", got)
	}
	s.board.report(up("b"))
	s.setDown(false)
	testkit.Wait(t, "both are seen", func() bool {
		got := d.all()
		return slices.Contains(got, "Seen a") && slices.Contains(got, "Seen b")
	})
}

func TestCheckInsComeInOneBatchAndBeat(t *testing.T) {
	l := first(t, patient)
	for i := range 3 {
		l.board.report(up(fmt.Sprint(i)))
	}
	c := l.CheckIns(t.Context(), "", 0)
	if !c.Whole || len(c.Health) != 3 || c.Servers != 3 || c.Answering != 3 {
		t.Fatalf("checked in %+v", c)
	}
	l.board.report(down("1"))
	l.board.report(Health{Server: "2", Running: true, Answering: true, Role: Primary, LSN: "0/1"}) // no change
	c = l.CheckIns(t.Context(), c.Agent, c.Sequence)
	if c.Whole || len(c.Health) != 1 || c.Health[0].Server != "1" || c.Servers != 3 || c.Answering != 2 {
		t.Errorf("checked in %+v: want the one that changed", c)
	}
	var beat CheckIns
	if err := read(web.Get(fmt.Sprintf("%s/v1/checkins?agent=%s&since=%d&hold=60000", l.base, c.Agent, c.Sequence)))(&beat); err != nil {
		t.Fatal(err)
	}
	if beat.Whole || len(beat.Health) != 0 || beat.Servers != 3 {
		t.Errorf("the beat is %+v: want numbers only", beat)
	}
	var none CheckIns
	if err := read(web.Get(l.base + "/v1/checkins?since=x"))(&none); err == nil {
		t.Error("a number that is none is taken")
	}
	for i := range maxGone + 2 {
		l.board.report(up(fmt.Sprint("brief ", i)))
		l.board.remove(fmt.Sprint("brief ", i))
	}
	if late := l.CheckIns(t.Context(), c.Agent, c.Sequence); !late.Whole || len(late.Health) != 3 {
		t.Errorf("who was away for long gets %d healths, whole %v: want all 3", len(late.Health), late.Whole)
	}
}

func TestRequestsThatMakeNoSenseAreRefused(t *testing.T) {
	l := first(t, patient)
	wish := func(change func(*ServerRequest)) ServerRequest {
		w := primaryWish()
		change(&w)
		return w
	}
	now := time.Now()
	for i, c := range []struct {
		request any
		reason  string
	}{
		{[]int{1}, "it is no object"},
		{map[string]any{"role": "primary", "rolle": 1}, "a field is misspelt"},
		{wish(func(w *ServerRequest) { w.Role = "king" }), "there is no such role"},
		{wish(func(w *ServerRequest) { w.Role, w.Upstream = Standby, "nowhere" }), "the upstream has no port"},
		{wish(func(w *ServerRequest) { w.Replication = Login{} }), "there is no way to follow it"},
		{wish(func(w *ServerRequest) { w.Superuser = &Login{Role, "x"} }), "the host's own role is nobody else's"},
		{wish(func(w *ServerRequest) { w.Parameters = map[string]string{"fsync": "off"} }), "the host answers for durability"},
		{wish(func(w *ServerRequest) { w.Parameters = map[string]string{"work_mem": "1\nfsync=off"} }), "a value holds a second line"},
		{wish(func(w *ServerRequest) { w.Parameters = map[string]string{"a'b": "1"} }), "that is no name"},
		{wish(func(w *ServerRequest) { w.Restore = &Restore{Backup: "x", Time: &now, LSN: "0/1"} }), "there are two targets"},
		{wish(func(w *ServerRequest) { w.Port = 70000 }), "there is no such port"},
		{Operation{Server: "a", Do: "explode"}, "there is no such operation"},
		{Operation{Server: "../a", Do: Fence}, "that is no name"},
		{Operation{Server: "nobody", Do: Fence}, "a fence of nothing protects nobody"},
		{BackupRequest{Server: "nobody", Do: Backup, Name: "n"}, "there is nothing to back up"},
		{Operation{Server: "a", Do: Credential, User: "pg_x"}, "the name is PostgreSQL's"},
		{Operation{Server: "a", Do: Credential, User: "u", Password: new("p"), Database: "template1"}, "the database is PostgreSQL's"},
	} {
		if a := l.apply(t, fmt.Sprint("k", i), c.request); a.Class != command.Terminal || a.Message == "" {
			t.Errorf("%s: got %+v: want Terminal", c.reason, a)
		}
	}
	if left := l.all(); len(left) != 0 {
		t.Errorf("refusals have left %d servers", len(left))
	}
}

func TestRunReportsItsAddress(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended, bound := make(chan error, 1), make(chan net.Addr, 1)
	dir := room(t)
	go func() { ended <- Run(ctx, Options{Dir: dir, Log: quiet, Ready: func(a net.Addr) { bound <- a }}) }()
	if (<-bound).(*net.TCPAddr).Port == 0 {
		t.Error("the bound port is not reported")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
