package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// load is what clients do all the time. Each has a client of its own, with the retries of the package.
type load struct {
	site  *site
	kinds map[string]client.Kind
	pace  time.Duration
	shift sync.WaitGroup
	day   context.Context // while it lasts, they begin something new
	end   context.CancelFunc

	mu       sync.Mutex
	busy     map[string]int // what each is about, by its number
	tally    map[string]int
	failures []string          // requests that failed for good
	orders   map[string]string // the value that was asked for last, by name
	register map[string]int    // the value that was acknowledged last, by name
}

func newLoad(s *site, pace time.Duration) *load {
	s.Helper()
	l := &load{site: s, kinds: map[string]client.Kind{}, pace: pace, busy: map[string]int{}, tally: map[string]int{}, orders: map[string]string{}, register: map[string]int{}}
	l.day, l.end = context.WithCancel(s.Context())
	s.Cleanup(l.shift.Wait)
	s.Cleanup(l.end)
	c := s.client("overseer")
	for _, plural := range []string{"orders", "registers", "jobs", "moves"} {
		k, err := c.Resolve(s.Context(), plural)
		if err != nil {
			s.Fatal(err)
		}
		l.kinds[plural] = k
	}
	return l
}

// stop sends everybody home, each when what he has begun is done.
func (l *load) stop() {
	l.site.Helper()
	l.end()
	program.Await(l.site.T, "everybody has gone home", func() (string, bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return fmt.Sprint(l.busy), len(l.busy) == 0
	}, func() string { return fmt.Sprint(l.failures) + l.site.diagnosis() })
	l.shift.Wait()
}

// note says what somebody is about, 0 when he has gone home.
func (l *load) note(who string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy[who] = n
	if n == 0 {
		delete(l.busy, who)
	}
}

// employ has somebody do the same thing over and over.
func (l *load) employ(name string, seed *rand.Rand, work func(ctx context.Context, c *client.Client, random *rand.Rand, n int) error) {
	c, random := l.site.client(name), rand.New(rand.NewPCG(seed.Uint64(), 0))
	ctx := l.site.Context()
	l.shift.Go(func() {
		defer l.note(name, 0)
		for n := 1; l.day.Err() == nil; n++ {
			l.note(name, n)
			if err := work(ctx, c, random, n); err != nil {
				l.failed(fmt.Errorf("%s: %w", name, err))
			}
			if pause(l.day, l.pace/2+time.Duration(random.Int64N(int64(l.pace)))) != nil {
				return
			}
		}
	})
}

func (l *load) count(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tally[what]++
}

func (l *load) counted(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tally[what]
}

func (l *load) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, time.Now().Format("15:04:05.000 ")+err.Error())
}

// progress waits until some more runs of jobs have ended, some more orders are done, and some more reads were answered.
func (l *load) progress(more int) {
	l.site.Helper()
	for _, what := range []string{"runs", "orders done", "reads"} {
		want := l.counted(what) + more
		program.Await(l.site.T, fmt.Sprintf("%d more %s", more, what), func() (string, bool) {
			n := l.counted(what)
			return fmt.Sprint(n), n >= want
		}, l.site.diagnosis)
	}
}

func ref(name string) client.Ref {
	return client.Ref{Namespace: "default", Name: resource.Name(name)}
}

// insist does what may be repeated until its outcome is known: a request whose answer was lost may have been executed.
func (l *load) insist(do func(again bool) error) error {
	for again := false; ; again = true {
		err := do(again)
		if !errors.Is(err, client.ErrUnknown) {
			return err
		}
		l.lose(err)
	}
}

// lose notes a write whose answer was lost, so that it had to be looked what became of it.
func (l *load) lose(err error) {
	l.count("answers lost")
	l.site.Logf("an answer was lost: %v", err)
}

func (l *load) apply(ctx context.Context, c *client.Client, plural, name string, spec any) error {
	text, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	for {
		_, _, err = c.Apply(ctx, l.kinds[plural], &client.Object{Metadata: client.Metadata{Namespace: "default", Name: resource.Name(name)}, Spec: text}, client.WriteOptions{})
		if !errors.Is(err, client.ErrDeleting) {
			l.count("writes")
			return err
		}
		// A node whose view was a moment behind has said that its namesake is gone.
		l.count("too early")
		if err := pause(ctx, l.pace); err != nil {
			return err
		}
	}
}

// wish notes what an order was asked to be last, "" when it was to be gone.
func (l *load) wish(name, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.orders[name] = value
	if value == "" {
		delete(l.orders, name)
	}
}

func (l *load) wished(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.orders[name] != ""
}

// customer orders, changes his mind, and takes orders back.
func (l *load) customer(who string) func(context.Context, *client.Client, *rand.Rand, int) error {
	return func(ctx context.Context, c *client.Client, random *rand.Rand, n int) error {
		name, value := fmt.Sprintf("%s-%d", who, random.IntN(5)), fmt.Sprintf("%s/%d", who, n)
		if l.wished(name) && random.IntN(6) == 0 {
			return l.takeBack(ctx, c, name)
		}
		if err := l.apply(ctx, c, "orders", name, map[string]any{"value": value, "weight": n}); err != nil {
			return err
		}
		l.wish(name, value)
		if random.IntN(2) == 0 {
			return nil
		}
		_, err := c.Wait(ctx, l.kinds["orders"], ref(name), func(o *client.Object) (bool, error) {
			var status struct{ Seen string }
			if o == nil {
				return false, nil
			}
			err := o.DecodeStatus(&status)
			return status.Seen == value, err
		})
		l.count("orders done")
		return err
	}
}

// takeBack deletes an order, and waits until it is gone.
func (l *load) takeBack(ctx context.Context, c *client.Client, name string) error {
	l.wish(name, "")
	l.count("deletions")
	return l.insist(func(again bool) error {
		_, err := c.Delete(ctx, l.kinds["orders"], ref(name), client.DeleteOptions{})
		if again && errors.Is(err, client.ErrNotFound) {
			err = nil
		}
		if err == nil {
			_, err = c.Wait(ctx, l.kinds["orders"], ref(name), func(o *client.Object) (bool, error) { return o == nil, nil })
		}
		return err
	})
}

// clerk counts a register up, each write on condition of the version that was read.
func (l *load) clerk(name string) func(context.Context, *client.Client, *rand.Rand, int) error {
	return func(ctx context.Context, c *client.Client, _ *rand.Rand, n int) error {
		if n == 1 {
			return l.apply(ctx, c, "registers", name, map[string]int{"value": 0})
		}
		l.mu.Lock()
		next := l.register[name] + 1
		l.mu.Unlock()
		for {
			err := l.writeRegister(ctx, c, name, next)
			switch {
			case err == nil:
				l.count("writes")
				l.mu.Lock()
				l.register[name] = next
				l.mu.Unlock()
				return nil
			case errors.Is(err, client.ErrConflict):
				l.count("conflicts")
			case errors.Is(err, client.ErrUnknown):
				l.lose(err)
			default:
				return err
			}
		}
	}
}

// writeRegister writes a register unless it has been written already.
func (l *load) writeRegister(ctx context.Context, c *client.Client, name string, value int) error {
	o, err := c.Get(ctx, l.kinds["registers"], ref(name))
	if err != nil {
		return err
	}
	var now struct{ Value int }
	if err := o.DecodeSpec(&now); err != nil || now.Value == value {
		return err
	}
	if err := o.SetSpec(map[string]int{"value": value}); err != nil {
		return err
	}
	_, err = c.Update(ctx, l.kinds["registers"], o, client.WriteOptions{})
	return err
}

// reader lists orders and reads a job.
func (l *load) reader(ctx context.Context, c *client.Client, random *rand.Rand, _ int) error {
	for _, err := range c.All(ctx, l.kinds["orders"], client.ListOptions{}) {
		if err != nil {
			return err
		}
	}
	_, err := c.Get(ctx, l.kinds["jobs"], ref(fmt.Sprintf("job-%d", random.IntN(2))))
	l.count("reads")
	return err
}

// foreman has a job run again whenever it has run.
func (l *load) foreman(name string) func(context.Context, *client.Client, *rand.Rand, int) error {
	asked := 0
	return func(ctx context.Context, c *client.Client, _ *rand.Rand, n int) error {
		err := l.insist(func(bool) error {
			_, err := c.Signal(ctx, l.kinds["jobs"], ref(name), client.Signal{Name: "NeedsRun", Key: fmt.Sprint(n), Why: "it is time"})
			return err
		})
		if err != nil {
			return err
		}
		asked++
		l.count("signals")
		if err := l.awaitRuns(ctx, c, "jobs", name, asked); err != nil {
			return err
		}
		l.count("runs")
		return nil
	}
}

// awaitRuns waits until an object has run so often.
func (l *load) awaitRuns(ctx context.Context, c *client.Client, plural, name string, runs int) error {
	_, err := c.Wait(ctx, l.kinds[plural], ref(name), func(o *client.Object) (bool, error) {
		var status struct{ Runs int }
		if o == nil {
			return false, nil
		}
		err := o.DecodeStatus(&status)
		return status.Runs >= runs, err
	})
	return err
}
