package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/draft"
	"github.com/setpointhq/setpoint/store/internal/feed"
	"github.com/setpointhq/setpoint/store/internal/group"
)

// committer owns the one session that commits. All of it is touched by the goroutine of run only; a composer beside it puts the next group together.
type committer struct {
	store *Store
	queue *group.Queue
	conn  *pgx.Conn
	// id and epoch are stated by every group, next numbers its members.
	id, epoch, next int64
	// known is a revision that the server of the session has.
	known resource.Revision
	// doubt is a group whose outcome is not known, and has to be settled before anything else.
	doubt *doubt
	// resolved counts the groups whose outcome was found out.
	resolved int
	// parcel is the group under way, as it was composed; again is what a part of it is laid out on.
	parcel *parcel
	again  sheet
	done   chan struct{}
}

func newCommitter(s *Store) *committer {
	return &committer{store: s, queue: group.NewQueue(s.options.GroupMax), next: 1, done: make(chan struct{})}
}

// Commit applies a transaction whole, or not at all.
func (s *Store) Commit(ctx context.Context, tx store.Transaction) (store.Receipt, error) {
	d, refused := draft.Of(tx, s.options.Caps)
	if refused == nil {
		refused = s.complete(ctx, d)
	}
	if refused != nil {
		return store.Receipt{}, refused
	}
	return s.committer.queue.Commit(ctx, d)
}

// run is the committer's life: it sends what is composed meanwhile (compose.go).
func (c *committer) run() {
	defer close(c.done)
	k := newComposer(c.queue, c.store.options.GroupMax)
	var composing sync.WaitGroup
	composing.Go(k.run)
	for p := range k.ready {
		c.commit(p)
		k.free <- p
	}
	composing.Wait()
	c.store.drop(c.conn)
	c.queue.End(k.left)
}

// commit sees a group through: it is answered when this returns.
func (c *committer) commit(p *parcel) {
	members := p.members
	c.parcel = p
	last := errors.New("the members of a group were answered one by one")
	for doubts := 0; len(members) > 0 && doubts <= mostDoubts; doubts++ {
		if doubts > 1 && !backoff(c.store.life, doubts) {
			break
		}
		var resolved bool
		if members, resolved, last = c.persist(members); !resolved {
			break
		}
	}
	c.giveUp(members, last)
}

// persist sends a group until it is answered, for as long as patience lasts. What it returns is not there and never will be; resolved says that this was found out after
// an answer got lost, so that the database was there a moment ago, and patience may begin anew.
func (c *committer) persist(members []*group.Member) (_ []*group.Member, resolved bool, last error) {
	left, cancel := context.WithTimeout(context.Background(), c.store.options.Patience)
	defer cancel()
	stop := context.AfterFunc(c.store.life, cancel)
	defer stop()
	for attempt := 0; len(members) > 0; attempt++ {
		if attempt > 0 && !backoff(left, attempt) {
			return members, false, last
		}
		if err := c.ready(left); err != nil {
			last = err
			continue
		}
		before := c.resolved
		if members, last = c.attempt(members, false); c.resolved != before {
			return members, true, last
		}
	}
	return nil, false, nil
}

// giveUp answers members of which nothing was written.
func (c *committer) giveUp(members []*group.Member, cause error) {
	e := &store.CommitError{Err: store.ErrUnavailable, Detail: fmt.Sprintf("nothing was written: %v", cause)}
	if c.queue.Stopping() {
		e = &store.CommitError{Err: store.ErrClosed}
	}
	for _, m := range members {
		m.Answer(group.Answer{Err: e})
	}
}

// ready sees to it that there is a session with the primary, and that no group is in doubt.
func (c *committer) ready(ctx context.Context) error {
	if c.conn != nil && c.store.lineage.outdated(c.conn.PgConn()) {
		c.disconnect()
	}
	if c.doubt != nil {
		_, err := c.ask(ctx, nil)
		if err != nil {
			return err
		}
	}
	return c.dial(ctx)
}

// dial sees to it that there is a session.
func (c *committer) dial(ctx context.Context) error {
	if c.conn != nil {
		return nil
	}
	if err := c.open(ctx); err != nil {
		return fmt.Errorf("connect to %s: %w", c.store.location, err)
	}
	return nil
}

// open connects, and makes the committer known.
func (c *committer) open(ctx context.Context) error {
	ms := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	conn, err := c.store.connect(ctx, "commits", map[string]string{
		// The groups' statements differ in nothing but their arrays; a plan that was made while a table was small must not read all of it when it has grown.
		"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off",
		"lock_timeout": ms(c.store.options.LockTimeout), "statement_timeout": ms(c.store.options.StatementTimeout),
	})
	if err != nil {
		return err
	}
	if err := c.prepare(ctx, conn); err != nil {
		return errors.Join(err, hangUp(conn))
	}
	// It may be another server, which may lack what was published: that is found out before anything is published on top of it.
	c.store.follower.doubtPast()
	c.conn = conn
	return nil
}

func (c *committer) prepare(ctx context.Context, conn *pgx.Conn) error {
	if c.id == 0 {
		if err := conn.QueryRow(ctx, "SELECT committer, epoch FROM setpoint.open_v1($1)", c.store.options.Name).Scan(&c.id, &c.epoch); err != nil {
			return err
		}
	}
	params := make([]string, 3+columnCount)
	for i := range params {
		params[i] = "$" + strconv.Itoa(i+1)
	}
	query := "SELECT at, revisions, first_signals, gone, bad_member, bad_part, bad_idx, bad_code, bad_actual, bad_words FROM setpoint.commit_v2(" + strings.Join(params, ", ") + ")"
	if _, err := conn.Prepare(ctx, commitStatement, query); err != nil {
		return err
	}
	var revision int64
	if err := conn.QueryRow(ctx, "SELECT revision FROM setpoint.counter").Scan(&revision); err != nil {
		return err
	}
	c.known = resource.Revision(revision)
	c.store.follower.ownPID.Store(conn.PgConn().PID())
	return nil
}

// attempt sends a group. It answers those it can, and returns the others to be sent again, with the reason.
func (c *committer) attempt(members []*group.Member, singly bool) ([]*group.Member, error) {
	s := c.layOut(members)
	began := time.Now()
	after := c.store.follower.since(c.known) // what is committed now comes after it, wherever the feed is when an answer is missed
	ctx, cancel := context.WithTimeout(context.Background(), c.store.options.StatementTimeout+connectTimeout)
	watched := c.store.watchBlockers(c.conn.PgConn().PID())
	v, err := c.send(ctx, s)
	watched()
	cancel()
	first := c.next
	c.next += int64(len(members))
	stats := store.GroupStats{Members: len(members), Singly: singly, Statements: 1, Bytes: uint64(s.bytes), Duration: time.Since(began)}
	c.store.statements.Add(1)
	if err == nil {
		c.deliver(members, &v, &stats)
		c.observe(stats)
		return nil, nil
	}
	c.observe(stats)
	return c.failed(members, &doubt{first: first, last: c.next - 1, after: after, cause: err}, err)
}

// layOut returns the columns of a group: those that it was composed with, unless it is a part of that group only.
func (c *committer) layOut(members []*group.Member) *sheet {
	if len(members) == len(c.parcel.members) {
		return &c.parcel.sheet
	}
	c.again.reset()
	for _, m := range members {
		c.again.add(m.Draft)
	}
	return &c.again
}

func (c *committer) observe(g store.GroupStats) {
	if c.store.options.Observe != nil {
		c.store.options.Observe(g)
	}
}

// deliver gives the feed what was written, and then tells everybody.
func (c *committer) deliver(members []*group.Member, v *verdicts, stats *store.GroupStats) {
	answers := make([]group.Answer, len(members))
	items := make([]feed.Item, 0, len(members))
	firsts := v.first(len(members))
	offsets := partOffsets{}
	for i, m := range members {
		switch rev := v.revisions[i]; {
		case firsts[i] != nil:
			answers[i].Err = c.store.words(m.Draft, firsts[i], int(firsts[i].idx)-1-offsets[firsts[i].part])
		case rev <= 0:
			answers[i].Receipt.Revision = resource.Revision(-rev)
		default:
			var gone *string
			if v.gone != nil {
				gone = v.gone[i]
			}
			b, err := stamp(m.Draft, resource.Revision(rev), v.at, v.signals[i], gone)
			if err != nil {
				c.store.options.Logger.Error("a commit cannot be told to watchers from memory; they read it", "revision", rev, "error", err)
			}
			answers[i].Receipt = receipt(&b)
			items = append(items, feed.Item{Batch: b, Bytes: len(m.Draft.Body) + batchOverhead})
		}
		offsets.skip(m.Draft)
	}
	if n := len(items); n > 0 {
		c.known = items[n-1].Batch.Revision
		stats.Committed, stats.First, stats.Last = n, uint64(items[0].Batch.Revision), uint64(items[n-1].Batch.Revision)
		c.store.follower.own(items)
	}
	c.store.upkeep.committed(v.at)
	for i, m := range members {
		m.Answer(answers[i])
	}
}

// batchOverhead is about what a commit takes in memory besides its texts.
const batchOverhead = 512

func receipt(b *store.Batch) store.Receipt {
	r := store.Receipt{Revision: b.Revision}
	for i := range b.Raised {
		r.Signals = append(r.Signals, b.Raised[i].ID)
	}
	return r
}

// partOffsets counts the entries of each part before a member's own: the function counts through the whole group.
type partOffsets [partTimer + 1]int

func (o *partOffsets) skip(d *draft.Draft) {
	o[partFence] += len(d.Tx.Fences)
	o[partRead] += len(d.Tx.Reads)
	o[partObject] += len(d.Tx.Objects)
	o[partCommand] += len(d.Tx.Commands)
	o[partConsume] += len(d.Tx.Consume)
	o[partRaise] += len(d.Batch.Raised)
	o[partTimer] += len(d.Batch.Timers)
}

// failed decides what an error of a whole group means.
func (c *committer) failed(members []*group.Member, d *doubt, err error) ([]*group.Member, error) {
	e := serverError(err)
	switch {
	case e != nil && e.SeverityUnlocalized == "ERROR" && !c.conn.IsClosed():
		return c.refused(members, e)
	case pgconn.SafeToRetry(err):
		c.disconnect()
		return members, err
	}
	// It was sent, and no answer came.
	c.disconnect()
	c.doubt = d
	c.store.options.Logger.Warn("the connection ended before a group was answered; its outcome is looked up", "members", len(members), "error", err)
	return c.settle(members)
}

// refused handles a group that the server did not take. Nothing of it was written.
func (c *committer) refused(members []*group.Member, e *pgconn.PgError) ([]*group.Member, error) {
	switch e.Code {
	case codeLock, codeCanceled, codeDeadlock, codeSerialize:
		return members, fmt.Errorf("%w%s", e, c.store.blocked())
	case codeReadOnly:
		c.disconnect()
		return members, fmt.Errorf("the server takes no writes: %w", e)
	case codeSuperseded:
		c.id = 0
		c.disconnect()
		return members, e
	case codeTooLarge:
		if e.Routine == "PreCommit_Notify" { // a session that listens sits in a transaction, for days: the server's queue of notifications is full
			return members, fmt.Errorf("%w; end the session that pg_notification_queue_usage() warns of in the server's log", e)
		}
		return c.singly(members, &store.CommitError{Err: store.ErrTooLarge, Detail: e.Message}, e)
	case codeGuard:
		return c.singly(members, &store.CommitError{Err: store.ErrRule, Detail: e.Message}, e)
	}
	if e.Code == codeCheck && strings.HasSuffix(e.TableName, "_rest") {
		return members, e // a partition appeared between the routing of a row and its insertion
	}
	switch e.Code[:2] {
	case "23": // a constraint: it was judged wrongly
		return c.singly(members, &store.CommitError{Err: store.ErrInvalid, Detail: e.Message}, e)
	case "22": // a value
		return c.singly(members, &store.CommitError{Err: store.ErrInvalid, Detail: e.Message}, e)
	case "P0": // raised by a trigger of somebody's own
		return c.singly(members, &store.CommitError{Err: store.ErrRule, Detail: e.Message}, e)
	case "53", "58": // disk full, out of memory, I/O
		return members, e
	}
	return c.singly(members, &store.CommitError{Err: store.ErrUnavailable, Detail: "nothing was written: " + e.Error()}, e)
}

// singly runs the members of a group that a rule in the database stopped one by one, so that only the one that breaks it fails, with the verdict given. When one of
// them cannot be run now, the others are returned with it, so that patience counts for all together.
func (c *committer) singly(members []*group.Member, verdict *store.CommitError, cause error) ([]*group.Member, error) {
	if len(members) == 1 {
		members[0].Answer(group.Answer{Err: verdict})
		return nil, nil
	}
	c.store.options.Logger.Warn("a rule in the database stopped a group; its members are run one by one", "members", len(members), "error", cause)
	for i, m := range members {
		again, err := c.attempt([]*group.Member{m}, true)
		if len(again) > 0 || c.conn == nil {
			return append(again, members[i+1:]...), err
		}
	}
	return nil, nil
}

func (c *committer) disconnect() {
	c.store.drop(c.conn)
	c.conn = nil
}
