package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/draft"
	"github.com/setpointhq/setpoint/store/internal/feed"
	"github.com/setpointhq/setpoint/store/internal/moves"
)

// Store is a [store.Store] on a PostgreSQL database. Many processes may have the same database open.
type Store struct {
	options     Options
	location    string
	database    string
	incarnation uint64
	statements  atomic.Uint64
	// renewed is when a lease or a membership was renewed last, in nanoseconds.
	renewed atomic.Int64

	pool *pgxpool.Pool
	// readers has a place for each connection that reads of callers may take, administrators one for theirs. The pool has one more, for the feed.
	readers, administrators chan struct{}
	steady                  *steady
	beats                   *steady
	committer               *committer
	feed                    *feed.Feed
	follower                *follower
	rules                   *ruleBook
	upkeep                  *upkeep
	proposals               *Proposals
	blockers                blockers
	met                     met
	lineage                 lineage
	moves                   moves.Bell

	// life ends when the store is closed.
	life    context.Context
	end     context.CancelFunc
	workers sync.WaitGroup
	close   sync.Once
}

var _ store.Sharded = (*Store)(nil)

// Open connects to a database whose schema [Migrate] has made, and starts what the engine needs. It fails with ErrSchema when the schema does not fit this
// program, with ErrPrivilege when the user may not act as the application, and with store.ErrUnavailable when the database cannot be reached for Options.Patience.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.GroupMax < 0 || o.Readers < 0 || o.RingBytes < 0 || o.PartitionRevisions < 0 || o.PartitionHistory < 0 {
		return nil, errors.New("open database: Options: GroupMax, Readers, RingBytes, PartitionRevisions and PartitionHistory are not negative; leave out what is to take its default")
	}
	o = o.withDefaults()
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s := &Store{options: o, rules: newRuleBook(), blockers: blockers{}}
	if config.ConnConfig, err = parse(o.URL, o.Name, "reads"); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s.location = locate(config.ConnConfig)
	// A scan may pause between two tables while its reader works.
	config.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "60s"
	config.MaxConns, config.MinConns = int32(o.Readers)+2, 0
	s.readers, s.administrators = make(chan struct{}, o.Readers), make(chan struct{}, 1)
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		s.follower.doubtPast()
		return asApp(ctx, c)
	}
	config.ConnConfig.Tracer = counter{&s.statements}
	s.lineage.guard(&config.ConnConfig.Config)
	config.PrepareConn = func(_ context.Context, c *pgx.Conn) (bool, error) { return !s.lineage.outdated(c.PgConn()), nil }
	// The pool looks after idle connections by itself; it asks the database nothing for that.
	config.HealthCheckPeriod = time.Minute
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	if s.pool, err = pgxpool.NewWithConfig(s.life, config); err != nil {
		s.end()
		return nil, fmt.Errorf("open database %s: %w", s.location, err)
	}
	s.steady, s.beats = newSteady(s, "leases"), newSteady(s, "nodes")
	s.feed = feed.New(o.RingBytes, s.readFeed)
	s.follower, s.committer, s.upkeep, s.proposals = newFollower(s), newCommitter(s), newUpkeep(s), newProposals(s)
	if err := s.begin(ctx); err != nil {
		s.end()
		s.pool.Close()
		return nil, fmt.Errorf("open database %s: %w", s.location, err)
	}
	return s, nil
}

// locate is host, port and database of a connection, for messages.
func locate(c *pgx.ConnConfig) string {
	where := net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
	for _, f := range c.Fallbacks {
		if other := net.JoinHostPort(f.Host, strconv.Itoa(int(f.Port))); other != where {
			where += "," + other
		}
	}
	return where + "/" + c.Database
}

// begin learns where the database stands, and starts the goroutines.
func (s *Store) begin(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, s.options.Patience)
	defer cancel()
	var last error
	for attempt := 0; ; attempt++ {
		if attempt > 0 && !backoff(wait, attempt) {
			if ctx.Err() != nil {
				return errors.Join(context.Cause(ctx), last)
			}
			return fmt.Errorf("%w for %s: %w", store.ErrUnavailable, s.options.Patience, last)
		}
		err := s.learn(wait)
		if err == nil {
			break
		}
		if errors.Is(err, ErrSchema) || errors.Is(err, ErrPrivilege) {
			return err
		}
		if last == nil || wait.Err() == nil { // that patience ran out says nothing
			last = err
		}
	}
	if err := s.upkeep.round(wait); err != nil {
		s.options.Logger.Warn("partitions are not in order yet", "error", err)
		s.upkeep.wake()
	}
	for _, work := range []func(context.Context){s.follower.run, s.follower.listen, s.follower.beat, s.upkeep.run} {
		s.workers.Go(func() { work(s.life) })
	}
	go s.committer.run()
	return nil
}

// learn reads the identity of the database, its rules and its position.
func (s *Store) learn(ctx context.Context) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := checkSchema(ctx, tx); err != nil {
			return err
		}
		var incarnation, revision, compacted int64
		var shards int
		var at time.Time
		err := tx.QueryRow(ctx, "SELECT m.database, m.incarnation, m.shards, c.revision, c.compacted, c.at FROM setpoint.meta m, setpoint.counter c").
			Scan(&s.database, &incarnation, &shards, &revision, &compacted, &at)
		if err != nil {
			return err
		}
		if shards != resource.Shards {
			return fmt.Errorf("%w: the database has %d shards, this program %d", ErrSchema, shards, resource.Shards)
		}
		s.incarnation = uint64(incarnation)
		s.feed.Start(resource.Revision(revision), resource.Revision(compacted))
		s.follower.at, s.follower.wanted = at.UTC(), resource.Revision(revision)
		return s.rules.load(ctx, tx)
	})
}

// Info says which database this is.
func (s *Store) Info() store.Info {
	return store.Info{Engine: "postgres", Incarnation: s.incarnation, Location: s.location, Shared: true}
}

// Database is the identity given at creation.
func (s *Store) Database() string { return s.database }

// Statements counts the SQL statements executed since Open, on all connections.
func (s *Store) Statements() uint64 { return s.statements.Load() }

// Revision is the last commit that the feed has.
func (s *Store) Revision() resource.Revision { return s.feed.Revision() }

// Close ends watches, waits for the group under way, and hangs up.
func (s *Store) Close() error {
	s.close.Do(func() {
		s.feed.Close()
		s.committer.queue.Stop()
		s.end()
		<-s.committer.done
		s.workers.Wait()
		s.blockers.wait()
		s.steady.close()
		s.beats.close()
		s.pool.Close()
	})
	return nil
}

// reading runs a read that ends with the store.
func (s *Store) reading(ctx context.Context, f func(context.Context) error) error {
	if s.life.Err() != nil {
		return store.ErrClosed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(s.life, func() { cancel(store.ErrClosed) })
	defer stop()
	err := f(ctx)
	if err != nil && errors.Is(context.Cause(ctx), store.ErrClosed) {
		return store.ErrClosed
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return draft.Unavailable(err)
}

// querying is reading from the pool, as one of a limited number: slow readers keep other readers waiting, and nobody else: no administrator either.
func (s *Store) querying(ctx context.Context, f func(context.Context) error) error {
	return s.reading(ctx, func(ctx context.Context) error {
		places := s.readers
		if store.Administrator(ctx) {
			places = s.administrators
		}
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-places }()
		return f(ctx)
	})
}

// retrying is querying for reads that may be repeated: when the connection turns out to be broken, it is done again while patience lasts.
func (s *Store) retrying(ctx context.Context, f func(context.Context) error) error {
	left, cancel := context.WithTimeout(ctx, s.options.Patience)
	defer cancel()
	for attempt := 0; ; attempt++ {
		err := s.querying(ctx, f)
		if err == nil || !lost(err) || !backoff(left, attempt) {
			return err
		}
	}
}

// counter counts statements.
type counter struct{ n *atomic.Uint64 }

// TraceQueryStart is called by the driver before a statement.
func (c counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.n.Add(1)
	return ctx
}

// TraceQueryEnd is called by the driver after a statement.
func (c counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// steady is a session for leases, or for membership: it is never behind a slow read, and neither is behind the other.
type steady struct {
	store *Store
	name  string
	// turn holds the one session, nil when it has to be opened. Whoever took it out puts one back.
	turn chan *pgx.Conn
}

func newSteady(s *Store, name string) *steady {
	x := &steady{store: s, name: name, turn: make(chan *pgx.Conn, 1)}
	x.turn <- nil
	return x
}

// use runs f, connecting first when there is no session, and once more when the session turned out to be broken. f must be safe to repeat. A server that does not
// answer gets a little longer than the lock time-out: a lease is waiting behind.
func (s *steady) use(ctx context.Context, f func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.store.options.LockTimeout+time.Second, errNoAnswer)
	defer cancel()
	var conn *pgx.Conn
	select {
	case conn = <-s.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { s.turn <- conn }()
	if conn != nil && s.store.lineage.outdated(conn.PgConn()) {
		s.store.drop(conn)
		conn = nil
	}
	for fresh := false; ; {
		if conn == nil {
			var err error
			if conn, err = s.open(ctx); err != nil {
				return err
			}
			fresh = true
		}
		err := f(ctx, conn)
		if err == nil {
			if err = confirmed(conn.PgConn()); err != nil {
				s.store.drop(conn)
			}
		}
		if err == nil || !conn.IsClosed() {
			return err
		}
		conn = nil
		if fresh || ctx.Err() != nil {
			return err
		}
	}
}

// errNoAnswer says that the database was asked and did not answer in time.
var errNoAnswer = errors.New("the database does not answer")

func (s *steady) open(ctx context.Context) (*pgx.Conn, error) {
	return s.store.connect(ctx, s.name, map[string]string{
		"lock_timeout": strconv.FormatInt(s.store.options.LockTimeout.Milliseconds(), 10), "statement_timeout": strconv.FormatInt(s.store.options.StatementTimeout.Milliseconds(), 10),
	})
}

// close ends the session. Nobody uses it afterwards.
func (s *steady) close() { s.store.drop(<-s.turn) }

// marshal is for values that always can be.
func marshal(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}
