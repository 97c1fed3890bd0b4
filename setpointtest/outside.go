package setpointtest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/store"
)

// outside runs functions outside of a bubble for those inside. Its goroutines and channels are made before the bubble, so that waiting for them
// is not being at rest: virtual time stands still until they answer. Nothing that belongs to the bubble may be used by the functions: no
// channel, no timer, no context.
type outside struct {
	ctx    context.Context
	cancel context.CancelFunc
	// idle has the workers that nobody uses.
	idle    chan *worker
	workers sync.WaitGroup

	mu     sync.Mutex
	opened []store.Store
}

// worker runs one function at a time.
type worker struct {
	work chan func()
	done chan struct{}
}

const (
	// crew is how many calls can be under way at once: as many can share one commit of the database.
	crew = 32
	// patience bounds one call, in real time, so that a database that never answers fails the test with a sentence instead of stopping it.
	patience = 2 * time.Minute
)

var (
	errSilent = errors.New("the database has not answered for " + patience.String())
	errExited = errors.New("the call ended its goroutine, as failing a test does; an Opener and its store return errors instead")
)

func newOutside() *outside {
	o := &outside{idle: make(chan *worker, crew)}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	for range crew {
		w := &worker{work: make(chan func()), done: make(chan struct{})}
		o.idle <- w
		o.workers.Go(w.run)
	}
	return o
}

func (w *worker) run() {
	for f := range w.work {
		ended := make(chan struct{})
		go func() { // of its own, because a call that fails the test ends its goroutine
			defer close(ended)
			f()
		}()
		<-ended
		w.done <- struct{}{}
	}
}

// do runs a function outside, and returns when it has.
func (o *outside) do(f func()) {
	w := <-o.idle
	w.work <- f
	<-w.done
	o.idle <- w
}

// ask runs a call outside, under a context from there, unless the caller's has ended before.
func ask[T any](ctx context.Context, o *outside, call func(context.Context) (T, error)) (answer T, err error) {
	if ctx.Err() != nil {
		return answer, context.Cause(ctx)
	}
	err = errExited
	o.do(func() {
		out, cancel := context.WithTimeoutCause(o.ctx, patience, errSilent)
		defer cancel()
		if answer, err = call(out); err != nil && out.Err() != nil {
			err = errors.Join(err, context.Cause(out))
		}
	})
	return answer, err
}

// tell is ask for calls without an answer.
func tell(ctx context.Context, o *outside, call func(context.Context) error) error {
	_, err := ask(ctx, o, func(ctx context.Context) (struct{}, error) { return struct{}{}, call(ctx) })
	return err
}

// open opens a database. Should its world not close it, stop does.
func (o *outside) open(ctx context.Context, open Opener) (store.Store, error) {
	return ask(ctx, o, func(context.Context) (store.Store, error) {
		st, err := open(o.ctx)
		if err == nil {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.opened = append(o.opened, st)
		}
		return st, err
	})
}

// stop waits for calls under way, ends the workers, and closes what a failed test has left open. It is called outside, after the bubble.
func (o *outside) stop() error {
	for range crew {
		close((<-o.idle).work)
	}
	o.workers.Wait()
	var errs []error
	for _, st := range o.opened {
		errs = append(errs, st.Close())
	}
	o.cancel()
	return errors.Join(errs...)
}
