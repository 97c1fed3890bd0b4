package adopt_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/setpointhq/setpoint/adopt"
)

// parcel is the row of these tests.
type parcel struct {
	State string
	Token adopt.Token
	Note  string
}

// shelf is a table in memory, with a change log, whose versions rise over all rows. It counts what it is asked, and can fail.
type shelf struct {
	mu      sync.Mutex
	rows    map[string]stored
	log     []adopt.Change[string]
	cut     int // changes before this are forgotten
	asked   map[string]int
	fail    func(operation, id string) error
	mute    bool // report no versions
	forget  bool // do not store tokens
	arrived chan struct{}
	waits   bool // Changes waits by itself
}

type stored struct {
	parcel
	version adopt.Version
}

func newShelf() *shelf {
	return &shelf{rows: map[string]stored{}, asked: map[string]int{}, arrived: make(chan struct{}, 1)}
}

// put writes as the table's owner does: without asking anybody.
func (s *shelf) put(id string, p parcel) adopt.Version {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(id, p)
}

func (s *shelf) write(id string, p parcel) adopt.Version {
	v := adopt.Version(fmt.Sprint(len(s.log) + 1))
	s.rows[id] = stored{p, v}
	s.log = append(s.log, adopt.Change[string]{ID: id, Version: v})
	s.tell()
	return v
}

func (s *shelf) tell() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

func (s *shelf) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, id)
	s.log = append(s.log, adopt.Change[string]{ID: id})
	s.tell()
}

func (s *shelf) get(id string) parcel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[id].parcel
}

func (s *shelf) count(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[operation]
}

func (s *shelf) failing(f func(operation, id string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

// enter counts an operation and lets it fail.
func (s *shelf) enter(operation, id string) error {
	s.asked[operation]++
	if s.fail != nil {
		return s.fail(operation, id)
	}
	return nil
}

func (s *shelf) Scan(_ context.Context, visit func(string)) (adopt.Cursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter("scan", ""); err != nil {
		return "", err
	}
	for id := range s.rows {
		visit(id)
	}
	return adopt.Cursor(fmt.Sprint(len(s.log))), nil
}

func (s *shelf) Changes(ctx context.Context, after adopt.Cursor) (adopt.Batch[string], error) {
	for {
		batch, err := s.since(after)
		if err != nil || len(batch.Changes) > 0 || !s.waits {
			return batch, err
		}
		select {
		case <-s.arrived:
		case <-ctx.Done():
			return batch, ctx.Err()
		}
	}
}

func (s *shelf) since(after adopt.Cursor) (adopt.Batch[string], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter("changes", ""); err != nil {
		return adopt.Batch[string]{}, err
	}
	var at int
	if _, err := fmt.Sscan(string(after), &at); err != nil {
		return adopt.Batch[string]{}, fmt.Errorf("cursor %q: %w", after, err)
	}
	if at < s.cut {
		return adopt.Batch[string]{}, adopt.ErrGap
	}
	batch := adopt.Batch[string]{Next: adopt.Cursor(fmt.Sprint(len(s.log)))}
	for _, c := range s.log[at:] {
		if s.mute {
			c.Version = ""
		}
		batch.Changes = append(batch.Changes, c)
	}
	return batch, nil
}

func (s *shelf) Load(_ context.Context, id string) (parcel, adopt.Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter("load", id); err != nil {
		return parcel{}, "", err
	}
	row, ok := s.rows[id]
	if !ok {
		return parcel{}, "", adopt.ErrGone
	}
	return row.parcel, row.version, nil
}

func (s *shelf) Save(_ context.Context, id string, row parcel, at adopt.Version) (adopt.Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter("save", id); err != nil {
		return "", err
	}
	switch have, ok := s.rows[id]; {
	case !ok:
		return "", adopt.ErrGone
	case have.version != at:
		return "", adopt.ErrConflict
	}
	if s.forget {
		row.Token = ""
	}
	return s.write(id, row), nil
}

var errBroken = errors.New("broken")
