package setpointtest

import (
	"context"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Watch streams commits when they have been noted: nobody acts on what the witness does not know yet.
func (w witnessed) Watch(ctx context.Context, from resource.Revision) (store.Stream, error) {
	s, err := w.Store.Watch(ctx, from)
	if err != nil {
		return nil, err
	}
	return notedStream{s, w.witness}, nil
}

type notedStream struct {
	store.Stream
	witness *witness
}

// Next waits for the next commit.
func (s notedStream) Next(ctx context.Context) (store.Batch, error) {
	b, err := s.Stream.Next(ctx)
	for err == nil {
		s.witness.mu.Lock()
		noted, moved := s.witness.noted >= b.Revision, s.witness.moved
		s.witness.mu.Unlock()
		if noted {
			break
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return store.Batch{}, ctx.Err()
		}
	}
	return b, err
}

// passed notes that a commit has been noted; w.mu is held.
func (w *witness) passed(rev resource.Revision) {
	w.ahead[rev] = true
	if w.noted == 0 {
		w.noted = rev - 1 // the first there is
	}
	for w.ahead[w.noted+1] {
		w.noted++
		delete(w.ahead, w.noted)
	}
	close(w.moved)
	w.moved = make(chan struct{})
}
