package view_test

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// feed is a store of which only the reading half exists, and which fails when it is told to.
type feed struct {
	store.Store // nil: what is not overridden must not be called

	mu          sync.Mutex
	changed     chan struct{} // closed and replaced with every commit and fault
	incarnation uint64
	commits     []store.Batch // commits[i] is revision i+1
	compacted   resource.Revision
	objects     map[resource.Key]*resource.Object
	fault       error // of every call, while set
	broken      error // of the streams, once
	skip        bool  // the streams leave one commit out, once
	scans       int
	watches     int
	failures    int
	streams     int // open now
}

func newFeed() *feed {
	return &feed{changed: make(chan struct{}), incarnation: 1, objects: map[resource.Key]*resource.Object{}}
}

func key(name string) resource.Key {
	return resource.Key{Kind: "Gateway.edge.example", Namespace: "blue", Name: resource.Name(name)}
}

// change runs f under the lock and wakes the streams.
func (f *feed) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	close(f.changed)
	f.changed = make(chan struct{})
}

// put commits a form of an object, and returns the commit's revision.
func (f *feed) put(name, uid string) (r resource.Revision) {
	f.change(func() {
		r = resource.Revision(len(f.commits) + 1)
		o := &resource.Object{}
		o.Key, o.UID, o.Revision = key(name), resource.UID(uid), r
		_, had := f.objects[o.Key]
		f.objects[o.Key] = o
		f.commits = append(f.commits, store.Batch{Revision: r, Objects: []store.ObjectChange{{Object: o, Created: !had}}})
	})
	return r
}

func (f *feed) remove(name string) (r resource.Revision) {
	f.change(func() {
		r = resource.Revision(len(f.commits) + 1)
		last := f.objects[key(name)].Clone()
		last.Revision = r
		delete(f.objects, last.Key)
		f.commits = append(f.commits, store.Batch{Revision: r, Objects: []store.ObjectChange{{Object: last, Removed: true}}})
	})
	return r
}

func (f *feed) get(read func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	read()
}

func (f *feed) Info() store.Info {
	f.mu.Lock()
	defer f.mu.Unlock()
	return store.Info{Engine: "feed", Incarnation: f.incarnation}
}

func (f *feed) failing() error {
	if f.fault != nil {
		f.failures++
		return fmt.Errorf("feed: %w", f.fault)
	}
	return nil
}

func (f *feed) Scan(_ context.Context, visit func(store.Batch) error) (resource.Revision, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.failing(); err != nil {
		return 0, err
	}
	f.scans++
	r := resource.Revision(len(f.commits))
	for _, o := range f.objects {
		if err := visit(store.Batch{Revision: r, Objects: []store.ObjectChange{{Object: o, Created: true}}}); err != nil {
			return 0, err
		}
	}
	return r, nil
}

func (f *feed) Watch(_ context.Context, from resource.Revision) (store.Stream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.failing(); err != nil {
		return nil, err
	}
	switch {
	case from < f.compacted:
		return nil, fmt.Errorf("feed: revision %d: %w", from, store.ErrCompacted)
	case from > resource.Revision(len(f.commits)):
		return nil, fmt.Errorf("feed: revision %d: %w", from, store.ErrFuture)
	}
	f.watches++
	f.streams++
	return &stream{feed: f, at: from}, nil
}

type stream struct {
	feed *feed
	at   resource.Revision
}

func (s *stream) Next(ctx context.Context) (store.Batch, error) {
	for {
		b, found, changed, err := s.poll()
		if found || err != nil {
			return b, err
		}
		select {
		case <-ctx.Done():
			return store.Batch{}, ctx.Err()
		case <-changed:
		}
	}
}

func (s *stream) poll() (b store.Batch, found bool, changed <-chan struct{}, err error) {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.failing(); err != nil {
		return b, false, nil, err
	}
	if err := f.broken; err != nil {
		f.broken = nil
		return b, false, nil, fmt.Errorf("feed: %w", err)
	}
	if s.at < f.compacted {
		return b, false, nil, fmt.Errorf("feed: revision %d: %w", s.at, store.ErrCompacted)
	}
	if s.at >= resource.Revision(len(f.commits)) {
		return b, false, f.changed, nil
	}
	if f.skip && s.at+1 < resource.Revision(len(f.commits)) {
		f.skip = false
		s.at++
	}
	b = f.commits[s.at]
	s.at++
	return b, true, nil, nil
}

func (s *stream) Close() error {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	s.feed.streams--
	return nil
}

// names lists what exists.
func (f *feed) names() (names []string) {
	f.get(func() {
		for k := range f.objects {
			names = append(names, string(k.Name))
		}
	})
	slices.Sort(names)
	return names
}
