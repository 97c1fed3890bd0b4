package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/feed"
	"github.com/setpointhq/setpoint/store/internal/moves"
)

// Store is a [store.Store] on one SQLite file.
type Store struct {
	options     Options
	path        string
	incarnation uint64
	database    string
	statements  atomic.Uint64

	lock    *lockFile
	writer  *writer
	feed    *feed.Feed
	readers *readers
	moves   moves.Bell

	close  sync.Once
	closed error
}

var _ store.Sharded = (*Store)(nil)

// Open opens the database at a path, creating or migrating it as needed, and starts its writer. While it is open no other process can
// open it (ErrInUse). Leases of earlier processes are free at once: the lock proves that they are dead; epochs rise all the same.
func Open(ctx context.Context, o Options) (*Store, error) {
	o = o.withDefaults()
	if o.Path == "" {
		return nil, errors.New("open database: Options.Path is empty")
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open database %s: %w", o.Path, err)
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", o.Path, err)
	}
	lock, err := lockPath(path)
	if err != nil {
		return nil, err
	}
	s := &Store{options: o, path: path, lock: lock}
	s.feed = feed.New(o.RingBytes, s.readFeed)
	if err := s.start(); err != nil {
		return nil, errors.Join(err, lock.release())
	}
	return s, nil
}

func (s *Store) start() error {
	c, err := openConn(s.path, false, &s.statements)
	if err != nil {
		return err
	}
	if err := migrate(c, s.path, s.options.NewUID()); err != nil {
		return errors.Join(err, c.close())
	}
	w, err := newWriter(s, c)
	if err != nil {
		return errors.Join(fmt.Errorf("open database %s: %w", s.path, err), c.close())
	}
	s.writer = w
	s.readers = newReaders(s.path, s.options.Readers, &s.statements)
	go w.run()
	return nil
}

// Info says which database this is.
func (s *Store) Info() store.Info {
	return store.Info{Engine: "sqlite", Incarnation: s.incarnation, Location: s.path}
}

// Database is the identity given at creation. Backups and what is restored from them have the same.
func (s *Store) Database() string { return s.database }

// Statements counts the SQL statements executed since Open, on all connections.
func (s *Store) Statements() uint64 { return s.statements.Load() }

// Revision is the last commit that the feed has.
func (s *Store) Revision() resource.Revision { return s.feed.Revision() }

// Close ends watches, waits for commits under way, and gives the database up.
func (s *Store) Close() error {
	s.close.Do(func() {
		s.feed.Close()
		s.closed = errors.Join(s.writer.close(), s.readers.close(), s.lock.release())
	})
	return s.closed
}
