package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// quarter are two tenants with an adapter each. The subsystem of one fails, whatever it is asked. That of the other is well, and no way to it is ever cut: what happens there comes of the nodes, of
// the database, or of the neighbours, and the last is what must not be (I11).
type quarter struct {
	town    *town
	kind    client.Kind
	shift   sync.WaitGroup
	dismiss context.CancelFunc

	mu       sync.Mutex
	wishes   map[string]int // of the quiet tenant, by object
	took     []time.Duration
	attempts map[command.Token]*effort
	failed   int // attempts of the poisoned neighbour
}

// effort is what the commits say of one command of the quiet tenant.
type effort struct {
	key      string
	attempts int
	from, to time.Time
	says     string // of the last attempt that was not done
}

const (
	quiet    = "quiet"
	poisoned = "poisoned"
)

func newQuarter(w *town) *quarter {
	return &quarter{town: w, wishes: map[string]int{}, attempts: map[command.Token]*effort{}}
}

// see notes what the watcher sees of commands.
func (q *quarter) see(b store.Batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, change := range b.Commands {
		c := change.Command
		switch c.Adapter {
		case poisoned:
			if c.Phase != command.Done && c.Attempt > 0 {
				q.failed++
			}
		case quiet:
			e := q.attempts[c.Token]
			if e == nil {
				e = &effort{key: c.Key, from: c.Created}
				q.attempts[c.Token] = e
			}
			e.attempts, e.to = max(e.attempts, c.Attempt), c.Changed
			if c.Class != "" {
				e.says = fmt.Sprintf("%s: %s", c.Class, c.Message)
			}
		}
	}
}

// settle makes the neighbour's objects, none of which can get ready.
func (q *quarter) settle(count int) {
	q.town.Helper()
	q.kind = q.town.kind("orders")
	q.town.each(count, func(i int) error {
		return q.town.applyIn(q.town.Context(), poisoned, q.kind, fmt.Sprintf("p-%d", i), orderSpec{Value: "v", Via: poisoned})
	})
}

// begin lets the quiet tenant work: so many objects, each of which is changed when its last wish is done.
func (q *quarter) begin(count int, pace time.Duration) {
	ctx, dismiss := context.WithCancel(q.town.Context())
	q.dismiss = dismiss
	for i := range count {
		name := fmt.Sprintf("q-%d", i)
		q.shift.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				if err := q.wish(q.town.Context(), name, fmt.Sprint(n)); err != nil {
					q.town.Errorf("the quiet tenant: %v", err)
					return
				}
				pause(ctx, pace)
			}
		})
	}
}

// wish asks for something, and waits until it is so.
func (q *quarter) wish(ctx context.Context, name, value string) error {
	began := time.Now()
	for {
		err := q.town.applyIn(ctx, quiet, q.kind, name, orderSpec{Value: value, Via: quiet})
		if err == nil {
			break
		}
		if settled(err) || !pause(ctx, 50*time.Millisecond) {
			return fmt.Errorf("wish for %s: %w", name, err)
		}
	}
	ref := client.Ref{Namespace: quiet, Name: resource.Name(name)}
	for {
		var status struct {
			Seen string `json:"seen"`
		}
		o, err := q.town.client.Get(ctx, q.kind, ref)
		if err == nil {
			err = o.DecodeStatus(&status)
		}
		if err == nil && status.Seen == value {
			break
		}
		if !pause(ctx, 20*time.Millisecond) {
			return fmt.Errorf("wait for %s: %w", name, ctx.Err())
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wishes[name]++
	q.took = append(q.took, time.Since(began))
	return nil
}

func (q *quarter) end() {
	q.dismiss()
	q.shift.Wait()
}

// unharmed judges the quiet tenant: each wish had one effect, and no attempt was made in vain but those that a fault of a node or of the database was in the way of. The watcher must have seen everything.
func (q *quarter) unharmed(spells []spell) {
	q.town.Helper()
	effects, sum := q.town.effects(quiet), 0
	for name, n := range q.wishes {
		sum += n
		if effects[quiet+"/"+name] != n {
			q.town.Errorf("the quiet tenant had %d wishes for %s, and they had %d effects", n, name, effects[quiet+"/"+name])
		}
	}
	if len(effects) != len(q.wishes) || sum == 0 {
		q.town.Errorf("the quiet tenant has had %d wishes for %d objects, and effects on %d", sum, len(q.wishes), len(effects))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	again := 0
	for token, e := range q.attempts {
		if e.attempts <= 1 && e.says == "" {
			continue
		}
		again++
		if len(during(spells, e.from, e.to, spell.stops)) == 0 {
			q.town.Errorf("command %s of %s took %d attempts while nothing was in its way: %s", token, e.key, e.attempts, e.says)
		}
	}
	q.town.Logf("the quiet tenant: %d wishes, as many effects, of %d commands; %d of them needed another attempt, each because of a node or of the database; from wish to done %s. Its neighbour had failed %d times",
		sum, len(q.attempts), again, quantiles(q.took), q.failed)
	if q.failed == 0 {
		q.town.Error("the poisoned neighbour has not failed once")
	}
}

// heal ends the neighbour's illness.
func (q *quarter) heal() {
	q.town.Helper()
	if n := q.town.ready("Order", "p-%"); n != 0 {
		q.town.Errorf("%d objects of the poisoned tenant are ready", n)
	}
	if err := os.WriteFile(filepath.Join(q.town.dir, poisoned, "healed"), nil, 0o600); err != nil {
		q.town.Fatal(err)
	}
}

// applyIn asks for an object of a namespace.
func (w *town) applyIn(ctx context.Context, namespace resource.Namespace, k client.Kind, name string, spec any) error {
	text, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	o := &client.Object{Metadata: client.Metadata{Namespace: namespace, Name: resource.Name(name)}, Spec: text}
	_, _, err = w.client.Apply(ctx, k, o, client.WriteOptions{})
	return err
}
