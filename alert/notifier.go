package alert

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// Options of a [Notifier]. The zero value keeps groups and tells nobody.
type Options struct {
	Rules Rules
	// Every is how often it is looked whether something is worth telling: 5 s by default. What happens in between is told at once.
	Every time.Duration
	// Senders are told every change. They belong to the notifier, which runs them.
	Senders []*Sender
	// Silent reports whether somebody else tells: the same notifier of another process, which sees the same. It is asked before anything is told, and by each sender before each attempt: what is still to
	// be delivered, or to be repeated, is then the other's business. When it is over, all that is so is told again, and what has cleared in the last five minutes too: nobody
	// here knows what the other had told. Default: never.
	Silent func() bool
	Logger *slog.Logger
}

// Notifier groups what it is told, and has its senders tell it. Its methods never wait for a receiver, and may be called by many goroutines.
type Notifier struct {
	every   time.Duration
	senders []*Sender
	silent  func() bool
	log     *slog.Logger

	quiet atomic.Bool // somebody else may have told since it was last told from here

	mu      sync.Mutex
	grouper *Grouper
	cleared cleared
}

// New makes a notifier that is told and asked at once, and tells others when it is run.
func New(o Options) *Notifier {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Silent == nil {
		o.Silent = func() bool { return false }
	}
	if o.Every <= 0 {
		o.Every = 5 * time.Second
	}
	n := &Notifier{every: o.Every, senders: o.Senders, silent: o.Silent, log: o.Logger, grouper: NewGrouper(o.Rules)}
	n.cleared = cleared{limit: n.grouper.rules.MaxGroups, changes: map[Fingerprint]recovery{}}
	return n
}

// Set is [Grouper.Set].
func (n *Notifier) Set(t Trouble) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.grouper.Set(t)
}

// Remove is [Grouper.Remove].
func (n *Notifier) Remove(object resource.Key, source Source) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.grouper.Remove(object, source)
}

// Forget is [Grouper.Forget].
func (n *Notifier) Forget(object resource.Key) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.grouper.Forget(object)
}

// Observe takes what [Judge] finds on an object in the place of what it found before. It is to be called for every object once, and for every
// change; and Forget when the object is gone.
func (n *Notifier) Observe(o *resource.Object, table lifecycle.Table) error {
	t, troubled := Judge(o, table)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, source := range judged {
		if !troubled || source != t.Source {
			n.grouper.Remove(o.Key, source)
		}
	}
	if !troubled {
		return nil
	}
	return n.grouper.Set(t)
}

// Groups is [Grouper.Groups].
func (n *Notifier) Groups() []Group {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.grouper.Groups()
}

// Firing is [Grouper.Firing].
func (n *Notifier) Firing() map[Severity]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.grouper.Firing()
}

// Objects lists the objects that are in trouble, in no order.
func (n *Notifier) Objects() []resource.Key {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Keys(n.grouper.objects))
}

// Senders are those that the notifier was made with.
func (n *Notifier) Senders() []*Sender { return slices.Clone(n.senders) }

// Run tells the senders what is worth telling until ctx ends; then it tells them what has happened since, and waits until each has delivered it or used up its grace
// period. It returns nil, or what the senders say.
func (n *Notifier) Run(ctx context.Context) error {
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	problems := make([]error, len(n.senders))
	var running sync.WaitGroup
	for i, s := range n.senders {
		running.Go(func() { problems[i] = s.run(sending, func() bool { return n.hush(s) }) })
	}
	tick := time.NewTicker(n.every)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			n.tell()
		case <-ctx.Done():
		}
	}
	n.tell()
	stop()
	running.Wait()
	return errors.Join(problems...)
}

// hush reports whether somebody else tells; then some senders have nothing to deliver any more. In this order: what is put once it is known that all has to be told again must stay.
func (n *Notifier) hush(senders ...*Sender) bool {
	if !n.silent() {
		return false
	}
	for _, s := range senders {
		s.box.clear()
	}
	n.quiet.Store(true)
	return true
}

// tell passes on what has become worth telling.
func (n *Notifier) tell() {
	silent := n.hush(n.senders...)
	now := time.Now()
	n.mu.Lock()
	var again []Change
	if !silent && n.quiet.Swap(false) {
		again = n.cleared.recent(now)
		n.grouper.Renew()
	}
	changes := n.grouper.Changes(now)
	n.cleared.note(changes, now)
	n.mu.Unlock()
	if silent {
		return
	}
	changes = append(again, changes...)
	for _, c := range changes {
		for _, s := range n.senders {
			if err := s.Put(c); err != nil {
				n.log.Error("alert not taken", "cause", err)
			}
		}
	}
}
