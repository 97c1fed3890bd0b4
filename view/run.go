package view

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/store"
)

// The delay before the feed is opened again: full jitter, doubling from the base to the cap.
const (
	retryBase = 20 * time.Millisecond
	retryCap  = 5 * time.Second
)

// Run feeds the view from a store until ctx ends: it scans, watches, and applies every commit, in order. What a step changed is
// passed to observe (which may be nil) after it has become visible, from this one goroutine; an observe that takes long delays the view.
//
// When the feed is lost, it is opened again where it was left. When the commits in between are not to be had any more, Run scans
// again and applies the difference. Every failure is retried with growing delays and shown by [View.Health].
//
// Run returns nil when ctx ends, and an error that wraps [store.ErrClosed] when the store was closed. It runs once at a time.
func (v *View) Run(ctx context.Context, st store.Store, observe func(Applied)) error {
	f := &follower{view: v, store: st, observe: observe, random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
	if observe == nil {
		f.observe = func(Applied) {}
	}
	v.waiting.resume()
	defer v.stop()

	ctx, cancel := context.WithCancel(ctx)
	var sweeper sync.WaitGroup
	sweeper.Go(func() { v.sweepUntil(ctx.Done()) })
	defer sweeper.Wait()
	defer cancel()
	return f.run(ctx)
}

func (v *View) stop() {
	v.health.stopped(time.Now())
	v.waiting.stop()
}

// sweepUntil frees what snapshots leave when they close.
func (v *View) sweepUntil(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-v.unswept:
			v.Trim()
		}
	}
}

// follower is one Run.
type follower struct {
	view    *View
	store   store.Store
	observe func(Applied)
	random  *rand.Rand
	// rescan says that the feed cannot be continued; distrust that the revisions of the rows mean nothing any more.
	rescan, distrust bool
	incarnation      uint64
	failures         int
}

func (f *follower) run(ctx context.Context) error {
	f.rescan = !f.view.Ready()
	for {
		err := f.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		f.view.health.failed(err, time.Now())
		switch {
		case errors.Is(err, store.ErrClosed):
			return fmt.Errorf("the view ends at revision %d: %w", f.view.Revision(), err)
		case errors.Is(err, store.ErrFuture):
			f.rescan, f.distrust = true, true
		case errors.Is(err, store.ErrCompacted), errors.Is(err, ErrOrder), errors.Is(err, ErrMalformed):
			f.rescan = true
		}
		f.failures++
		pause := time.NewTimer(command.Backoff(retryBase, retryCap, f.failures, f.random))
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-pause.C:
		}
	}
}

// follow loads the view if it must, and applies the feed until it fails.
func (f *follower) follow(ctx context.Context) error {
	if err := f.load(ctx); err != nil {
		return err
	}
	stream, err := f.store.Watch(ctx, f.view.Revision())
	if err != nil {
		return fmt.Errorf("watch from revision %d: %w", f.view.Revision(), err)
	}
	f.view.health.following()
	return errors.Join(f.apply(ctx, stream), stream.Close())
}

// load scans when the feed cannot be continued. A database that was restored has another incarnation, and its revisions
// another meaning.
func (f *follower) load(ctx context.Context) error {
	incarnation := f.store.Info().Incarnation
	if f.incarnation != 0 && incarnation != f.incarnation {
		f.rescan, f.distrust = true, true
	}
	f.incarnation = incarnation
	if !f.rescan {
		return nil
	}
	again := f.view.Ready()
	if err := f.view.load(ctx, f.store.Scan, f.observe, f.distrust); err != nil {
		return err
	}
	if again {
		f.view.health.rescanned()
	}
	f.rescan, f.distrust = false, false
	return nil
}

// apply takes commits until there is an error. Only a commit that was applied counts as progress: a feed that opens and fails
// at once is retried ever more slowly.
func (f *follower) apply(ctx context.Context, stream store.Stream) error {
	for {
		batch, err := stream.Next(ctx)
		if err != nil {
			return fmt.Errorf("next commit after revision %d: %w", f.view.Revision(), err)
		}
		applied, err := f.view.Apply(batch)
		if err != nil {
			return err
		}
		f.failures = 0
		f.observe(applied)
	}
}
