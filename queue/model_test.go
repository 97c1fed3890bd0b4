package queue

import (
	"cmp"
	"context"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/setpointhq/setpoint/resource"
)

const none = time.Duration(math.MaxInt64)

// model is the queue as plainly as it can be written: records in a map, searched from end to end.
type model struct {
	records map[string]*record
	turns   map[Priority][]resource.Namespace // tenants in the order in which they are served
	seq     int
	strict  int
	ageing  time.Duration
}

type record struct {
	key                 string
	plain, change, look time.Duration
	held, removed       bool
	working, ready      bool
	at                  time.Duration
	seq                 int
	attempts, woken     int
	priority            Priority
}

func (r *record) due() time.Duration {
	if r.held {
		return min(r.change, r.look)
	}
	return min(r.plain, r.change, r.look)
}

func (r *record) clear() {
	*r = record{key: r.key, working: r.working, at: r.at, plain: none, change: none, look: none, priority: math.MinInt8}
}

func tenantOf(key string) resource.Namespace { return resource.Namespace(key[:1]) }

func (m *model) record(key string) *record {
	r := m.records[key]
	if r == nil {
		r = &record{key: key, at: none}
		r.clear()
		m.records[key] = r
	}
	return r
}

func (m *model) sorted(match func(*record) bool) []*record {
	var list []*record
	for _, r := range m.records {
		if match(r) {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *record) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq)) })
	return list
}

func (m *model) waiting() []*record { return m.sorted(func(r *record) bool { return r.ready }) }
func (m *model) delayed() []*record {
	return m.sorted(func(r *record) bool { return !r.ready && !r.working && r.at != none })
}
func (m *model) inProgress() []*record { return m.sorted(func(r *record) bool { return r.working }) }

// settle follows a change of what is scheduled or of the time.
func (m *model) settle(now time.Duration) {
	for _, r := range m.records {
		if r.working {
			continue
		}
		if due := r.due(); due != r.at {
			m.seq++ // at most one record is changed by one operation
			r.at, r.seq, r.ready = due, m.seq, false
		}
	}
	for _, r := range m.delayed() {
		if r.at <= now {
			r.ready = true
			m.line(r)
		}
	}
	m.tidy()
}

// line makes the tenant wait for its turn at the record's priority.
func (m *model) line(r *record) {
	if t := tenantOf(r.key); !slices.Contains(m.turns[r.priority], t) {
		m.turns[r.priority] = append(m.turns[r.priority], t)
	}
}

func (m *model) tidy() {
	for p, tenants := range m.turns {
		m.turns[p] = slices.DeleteFunc(tenants, func(t resource.Namespace) bool {
			return !slices.ContainsFunc(m.waiting(), func(r *record) bool { return r.priority == p && tenantOf(r.key) == t })
		})
	}
	for key, r := range m.records {
		if !r.working && r.at == none && r.attempts == 0 {
			delete(m.records, key)
		}
	}
}

// next says which key is handed out.
func (m *model) next() *record {
	waiting := m.waiting()
	if len(waiting) == 0 {
		return nil
	}
	rank := func(r *record) time.Duration { return r.at - time.Duration(r.priority)*m.ageing }
	highest := slices.MaxFunc(waiting, func(a, b *record) int { return cmp.Compare(a.priority, b.priority) }).priority
	aged := slices.MinFunc(waiting, func(a, b *record) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), -cmp.Compare(a.priority, b.priority))
	}).priority
	chosen := highest
	if aged != highest && m.strict >= agedShare-1 {
		chosen, m.strict = aged, 0
	} else {
		m.strict++
	}
	tenant := m.turns[chosen][0]
	m.turns[chosen] = append(m.turns[chosen][1:], tenant)
	for _, r := range waiting {
		if r.priority == chosen && tenantOf(r.key) == tenant {
			return r
		}
	}
	panic("the model has a turn for a tenant with nothing ready")
}

// take hands out, and returns how many wakes are answered.
func (m *model) take(r *record, now time.Duration) (woken int) {
	for _, t := range []*time.Duration{&r.plain, &r.change, &r.look} {
		if *t <= now {
			*t = none
		}
	}
	woken = r.woken
	if r.plain == none && r.change == none {
		r.woken, r.priority = 0, math.MinInt8
	}
	m.seq++
	r.at, r.seq, r.working, r.ready = now, m.seq, true, false
	m.tidy()
	return woken
}

// machine drives the queue and the model side by side.
type machine struct {
	*rapid.T
	q     *Queue[string]
	m     *model
	start time.Time
	o     Options[string]
}

func (s *machine) now() time.Duration { return time.Since(s.start) }

func (s *machine) drawKey() string {
	return rapid.SampledFrom([]string{"a1", "a2", "a3", "a4", "b1", "b2", "b3", "c1", "c2"}).Draw(s.T, "key")
}

// drawTime returns a due time, zero for none; and the same since the start, at least now.
func (s *machine) drawTime(zero time.Duration) (time.Time, time.Duration) {
	d := rapid.SampledFrom([]int{math.MinInt, -1, 0, 1, 2, 3, 5, 20}).Draw(s.T, "seconds")
	if d == math.MinInt {
		return time.Time{}, zero
	}
	after := time.Duration(d) * time.Second
	due := time.Now().Add(after)
	if rapid.Bool().Draw(s.T, "wall") {
		due = due.Round(0)
	}
	return due, s.now() + max(0, after)
}

func (s *machine) drawPriority() Priority {
	return Priority(rapid.SampledFrom([]int{-1, 0, 0, 0, 1, 5}).Draw(s.T, "priority"))
}

func (s *machine) drawWake() (Wake, time.Duration) {
	due, at := s.drawTime(s.now())
	return Wake{
		Due: due, Priority: s.drawPriority(), Change: rapid.Bool().Draw(s.T, "change"),
		Cause: Cause{Revision: resource.Revision(rapid.IntRange(0, 3).Draw(s.T, "revision"))},
	}, at
}

func (s *machine) expectAdd(key string, w Wake, due time.Duration) {
	r := s.m.record(key)
	if w.Change {
		r.change = min(r.change, due)
	} else {
		r.plain = min(r.plain, due)
	}
	r.woken++
	if before := r.priority; w.Priority > before {
		r.priority = w.Priority
		if r.ready && r.due() == r.at {
			s.m.line(r)
		}
	}
	s.m.settle(s.now())
}

func (s *machine) add() {
	key := s.drawKey()
	w, due := s.drawWake()
	s.q.Add(key, w)
	s.expectAdd(key, w, due)
}

func (s *machine) addMany() {
	batch := make([]Request[string], rapid.IntRange(0, 6).Draw(s.T, "batch"))
	dues := make([]time.Duration, len(batch))
	for i := range batch {
		batch[i].Key = s.drawKey()
		batch[i].Wake, dues[i] = s.drawWake()
	}
	s.q.AddMany(batch)
	for i, r := range batch {
		s.expectAdd(r.Key, r.Wake, dues[i])
	}
}

// next calls Next, which may wait for the earliest deadline, unless it would wait for ever.
func (s *machine) next() {
	if len(s.m.waiting()) == 0 {
		delayed := s.m.delayed()
		if len(delayed) == 0 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if item, ok := s.q.Next(ctx); ok {
				s.Fatalf("Next handed out %v, nothing is scheduled", item)
			}
			s.m.settle(s.now())
			return
		}
		s.m.settle(delayed[0].at)
	}
	want := s.m.next()
	at := want.at
	item, ok := s.q.Next(context.Background())
	if !ok || item.Key != want.key || item.Attempts != want.attempts {
		s.Fatalf("Next = %+v, %v, want %+v", item, ok, want)
	}
	if item.Waited != s.now()-at {
		s.Fatalf("%s waited %v, want %v: it was ready at %v and it is %v", item.Key, item.Waited, s.now()-at, at, s.now())
	}
	if woken := s.m.take(want, s.now()); item.Woken != woken || len(item.Causes) > min(woken, s.o.MaxCauses) {
		s.Fatalf("%s: woken %d with causes %v, want %d", item.Key, item.Woken, item.Causes, woken)
	}
}

func (s *machine) tryAcquire() {
	key := s.drawKey()
	r := s.m.record(key)
	item, ok := s.q.TryAcquire(key)
	if ok == r.working {
		s.Fatalf("TryAcquire(%s) = %v, in progress: %v", key, ok, r.working)
	}
	if ok {
		if woken := s.m.take(r, s.now()); item.Key != key || item.Woken != woken || item.Attempts != r.attempts {
			s.Fatalf("TryAcquire = %+v, want %+v with %d wakes", item, r, woken)
		}
	}
}

func (s *machine) done() {
	working := s.m.inProgress()
	if len(working) == 0 {
		return
	}
	r := working[rapid.IntRange(0, len(working)-1).Draw(s.T, "which")]
	v := Verdict{End: End(rapid.IntRange(0, 3).Draw(s.T, "end")), Priority: s.drawPriority()}
	var look time.Duration
	v.Due, look = s.drawTime(none)
	s.q.Done(r.key, v)
	r.working, r.at = false, none
	if r.removed {
		r.removed = false
	} else {
		s.expectVerdict(r, v, look)
	}
	s.m.settle(s.now())
}

func (s *machine) expectVerdict(r *record, v Verdict, look time.Duration) {
	r.look, r.held = look, false
	switch v.End {
	case Succeeded:
		r.attempts = 0
	case Throttled:
		r.held = look != none
	case Failed:
		r.attempts++
		r.held = true
		r.look = s.backoff(r, look)
	}
	if r.look != none {
		r.priority = max(r.priority, v.Priority)
	}
}

// backoff learns the random delay from the queue, where it shows, and checks it against the bounds.
func (s *machine) backoff(r *record, look time.Duration) time.Duration {
	top := s.o.Base
	for range r.attempts - 1 {
		top = min(2*top, s.o.Cap)
	}
	var at time.Duration
	s.q.ask(func(o *owned[string]) { at = time.Duration(o.entries[r.key].look) })
	earliest, latest := s.now(), s.now()+top
	if look != none {
		earliest, latest = max(earliest, look), max(latest, look)
	}
	if at < earliest || at > latest {
		s.Fatalf("%s: backoff after %d attempts until %v, want %v to %v", r.key, r.attempts, at, earliest, latest)
	}
	return at
}

func (s *machine) remove() {
	key := s.drawKey()
	s.q.Remove(key)
	if r := s.m.records[key]; r != nil {
		r.clear()
		r.removed = r.working
		if !r.working {
			delete(s.m.records, key)
		}
		s.m.settle(s.now())
	}
}

func (s *machine) sleep() {
	time.Sleep(time.Duration(rapid.IntRange(1, 8).Draw(s.T, "half seconds")) * time.Second / 2)
	s.m.settle(s.now())
}

// check compares all that can be seen.
func (s *machine) check() {
	s.m.settle(s.now())
	got := s.q.Stats()
	if got.Ready != len(s.m.waiting()) || got.Delayed != len(s.m.delayed()) || got.Working != len(s.m.inProgress()) || got.Entries != len(s.m.records) {
		s.Fatalf("stats %+v, want %d ready, %d delayed, %d working, %d in all", got, len(s.m.waiting()), len(s.m.delayed()), len(s.m.inProgress()), len(s.m.records))
	}
	if w := s.m.waiting(); len(w) > 0 && got.Oldest != s.now()-w[0].at {
		s.Fatalf("oldest %v, want %v", got.Oldest, s.now()-w[0].at)
	}
	for i, e := range s.q.InProgress() {
		if want := s.m.inProgress()[i]; e.Since.Sub(s.start) != want.at {
			s.Fatalf("in progress %d: %+v, want %+v", i, e, want)
		}
	}
	for key, r := range s.m.records {
		e, ok := s.q.Inspect(key)
		state := Resting
		switch {
		case r.working:
			state = Working
		case r.ready:
			state = Ready
		case r.at != none:
			state = Delayed
		}
		if due := r.due(); !ok || e.State != state || e.Attempts != r.attempts || e.Held != r.held || e.Woken != r.woken ||
			e.Due.IsZero() != (due == none) || due != none && e.Due.Sub(s.start) != due {
			s.Fatalf("Inspect = %+v, %v, want %+v, %v", e, ok, r, state)
		}
	}
}

// inBubble hides the test's deadline from rapid: it may not be asked for in virtual time.
type inBubble struct{ *testing.T }

func TestModel(t *testing.T) {
	for range 10 { // rapid stops after a day of virtual time, so it gets several
		synctest.Test(t, func(t *testing.T) { rapid.Check(inBubble{t}, runModel) })
	}
}

func runModel(rt *rapid.T) {
	o := Options[string]{Name: "model", Base: 2 * time.Second, Cap: 9 * time.Second, Ageing: 3 * time.Second, MaxCauses: 3, Tenant: tenantOf}
	s := &machine{T: rt, q: New(o), start: time.Now(), o: o, m: &model{
		records: map[string]*record{}, turns: map[Priority][]resource.Namespace{}, strict: agedShare - 1, ageing: o.Ageing,
	}}
	defer s.q.Close()
	act := func(f func()) func(*rapid.T) { return func(t *rapid.T) { s.T = t; f() } }
	for range 3 {
		rt.Repeat(map[string]func(*rapid.T){
			"add": act(s.add), "add more": act(s.add), "add many": act(s.addMany), "next": act(s.next), "next more": act(s.next),
			"try": act(s.tryAcquire), "done": act(s.done), "done more": act(s.done), "remove": act(s.remove), "sleep": act(s.sleep), "": act(s.check),
		})
	}
}
