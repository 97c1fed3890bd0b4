package upgrade

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/test/internal/follower"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// TestUpgrade: three nodes of version N become N+1, one at a time, and N again, while clients are at work and commands and actions are under way. No request fails that the client's retries do not
// cure, no watch misses anything or is told twice, no command spends an attempt, no effect is made twice; and what was begun by one version is finished by it, or decided by an operator.
func TestUpgrade(t *testing.T) {
	random := program.Seeded(t)
	s := newSite(t, 3)
	s.prepared()
	record := &record{done: map[command.Token]bool{}}
	watcher := follower.Start(t, s.database.URL, record.see)
	for _, n := range s.nodes {
		n.start(programs.old)
	}
	for _, n := range s.nodes {
		n.ready()
	}
	s.divided("N", "N", "N")
	l := newLoad(s, time.Duration(program.Size(200, 80))*time.Millisecond)
	viewers := []*viewer{l.watch("viewer-0"), l.watch("viewer-1")}
	l.begin(random, program.Size(1, 3))
	moves := &moves{load: l, client: s.client("operator")}

	for round := range program.Size(1, 2) {
		how := []func(*node, string){(*node).maintained, (*node).restarted}
		moves.begin(programOld)
		s.setpoint("migrate", "up", "--store", s.database.URL)
		s.become("N+1", programs.next, l, how[round%2])
		moves.look(programNext)
		moves.begin(programNext)
		if round == 0 {
			l.weigh(moves.client)
		}
		l.weighed(moves.client)
		s.become("N", programs.old, l, how[(round+1)%2])
		moves.look(programOld)
		l.light(moves.client)
	}
	moves.abandon()
	l.stop()
	l.judge()
	s.settled(l)
	s.database.Rest(s.diagnosis)
	moves.judge()
	l.right()
	s.database.Legal()
	s.database.Owned()
	record.judge(s, viewers)
	effects, repeated := s.machines.once()
	t.Logf("%d effects, each once; %d calls were made again; a reader of the feed agrees on each of %d commits; %v", effects, repeated, watcher.Agrees(), l.tally)
}

// begin employs clients: so many of each sort times a few.
func (l *load) begin(random *rand.Rand, times int) {
	l.site.Helper()
	c := l.site.client("overseer")
	for i := range 3 * times {
		name := fmt.Sprintf("job-%d", i)
		if err := l.apply(l.site.Context(), c, "jobs", name, struct{}{}); err != nil {
			l.site.Fatal(err)
		}
	}
	program.Await(l.site.T, "the jobs are there", func() (string, bool) {
		n := l.site.database.Number("SELECT count(*) FROM setpoint.object WHERE kind LIKE 'Job.%' AND state = 'Idle'")
		return fmt.Sprint(n), n == 3*times
	}, l.site.diagnosis)
	for i := range 3 * times {
		name := fmt.Sprintf("job-%d", i)
		l.employ("foreman-"+name, random, l.foreman(name))
	}
	for i := range 3 * times {
		who := fmt.Sprintf("customer-%d", i)
		l.employ(who, random, l.customer(who))
	}
	for i := range 2 * times {
		l.employ(fmt.Sprintf("clerk-%d", i), random, l.clerk(fmt.Sprintf("register-%d", i)))
		l.employ(fmt.Sprintf("reader-%d", i), random, l.reader)
	}
	l.progress(2)
}

// become puts a program in the place of each node, one after the other, while everybody works. The doctor says so while versions differ, and not afterwards.
func (s *site) become(version, path string, l *load, how func(*node, string)) {
	s.Helper()
	former := map[string]string{"N": "N+1", "N+1": "N"}[version]
	now := []string{former, former, former}
	for i, n := range s.nodes {
		answer := l.caught(n, i == 0)
		how(n, path)
		answer()
		now[i] = version
		s.divided(now...)
		l.progress(2)
		if found := s.findings()["VersionsDiffer"]; (found != "") != (i < len(s.nodes)-1) {
			s.Errorf("with nodes of %v the doctor says of versions: %q", now, found)
		}
	}
	if found := s.findings()["SchemaNewer"]; (found != "") != (version == programOld) {
		s.Errorf("with all nodes of version %s the doctor says of the schema: %q", version, found)
	}
}

// caught has an order under way, if it is wanted, whose call the node that is about to stop has made, and which takes longer than its grace. The call is answered when another node has made it again.
func (l *load) caught(n *node, wanted bool) (answer func()) {
	s := l.site
	s.Helper()
	if !wanted {
		return func() {}
	}
	name := "slow-0"
	for i := 1; l.wished(name) || s.holder(name) != n.name; i++ {
		name = fmt.Sprintf("slow-%d", i)
	}
	key := "default/" + name
	release := s.machines.hold(key)
	s.Cleanup(release)
	if err := l.apply(s.Context(), s.client("overseer"), "orders", name, map[string]any{"value": "slow", "weight": 1}); err != nil {
		s.Fatal(err)
	}
	l.wish(name, "slow")
	calls := func(count int) {
		s.Helper()
		program.Await(s.T, fmt.Sprintf("%d calls for %s", count, key), func() (string, bool) {
			tokens := s.machines.called(key)
			return fmt.Sprint(tokens), len(tokens) >= count
		}, s.diagnosis)
	}
	calls(1)
	return func() {
		s.Helper()
		calls(2)
		if tokens := s.machines.called(key); tokens[0] != tokens[1] {
			s.Errorf("%s was called under two tokens: %v", key, tokens)
		}
		release()
	}
}

// maintained is how a node is replaced that is first relieved of its work.
func (n *node) maintained(path string) {
	n.site.Helper()
	other := at(n.site.other(n))
	n.site.setpoint("drain", n.name, "--wait", other)
	n.stop()
	n.start(path)
	n.ready()
	n.site.setpoint("uncordon", n.name, other)
}

// restarted is how a node is replaced as its supervisor does it.
func (n *node) restarted(path string) {
	n.site.Helper()
	n.stop()
	n.start(path)
	n.ready()
}

// heavy orders have a field that only the next version knows.
const heavy = "heavy"

// weigh has an order with a weight, at nodes that know what that is.
func (l *load) weigh(c *client.Client) {
	l.site.Helper()
	if err := l.apply(l.site.Context(), c, "orders", heavy, map[string]any{"value": heavy, "weight": 7}); err != nil {
		l.site.Fatal(err)
	}
	l.wish(heavy, heavy)
	l.weighed(c)
}

// weighed waits until the heavy order was weighed.
func (l *load) weighed(c *client.Client) {
	l.site.Helper()
	_, err := c.Wait(l.site.Context(), l.kinds["orders"], ref(heavy), func(o *client.Object) (bool, error) {
		var status struct{ Weighed int }
		if o == nil {
			return false, nil
		}
		err := o.DecodeStatus(&status)
		return status.Weighed == 7, err
	})
	if err != nil {
		l.site.Fatal(err)
	}
}

// light orders are written with a weight at nodes that do not know what that is: they take them, without it.
func (l *load) light(c *client.Client) {
	s := l.site
	s.Helper()
	if err := l.apply(s.Context(), c, "orders", "light", map[string]any{"value": "light", "weight": 7}); err != nil {
		s.Fatal(err)
	}
	l.wish("light", "light")
	if have := s.database.Query("SELECT spec FROM setpoint.object WHERE name = 'light'")[0][0]; have != `{"value":"light"}` {
		s.Errorf("the old version has stored %s", have)
	}
}
