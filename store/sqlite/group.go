package sqlite

import (
	"errors"
	"fmt"
	"time"

	zsqlite "zombiezen.com/go/sqlite"

	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/draft"
	"github.com/setpointhq/setpoint/store/internal/feed"
	"github.com/setpointhq/setpoint/store/internal/group"
)

// errBackstop says that a trigger or constraint stopped the group: judging had missed something.
var errBackstop = errors.New("stopped by the database")

// commit writes a group and answers its members. Should a rule in the database stop it, each member is run by itself, so that only the
// one that breaks the rule fails.
func (w *writer) commit(members []*group.Member) {
	answers, err := w.attempt(members, false)
	if errors.Is(err, errBackstop) && len(members) > 1 {
		w.store.options.Logger.Warn("a rule in the database stopped a group; its members are run one by one", "members", len(members), "error", err)
		for _, m := range members {
			one, err := w.attempt([]*group.Member{m}, true)
			m.Answer(finish(one, err)[0])
		}
		return
	}
	for i, a := range finish(answers, err) {
		members[i].Answer(a)
	}
}

// finish turns an error of the whole group into everyone's, also of those who were refused: they were judged by what is not there now.
func finish(answers []group.Answer, err error) []group.Answer {
	if err == nil {
		return answers
	}
	e := commitError(err)
	for i := range answers {
		answers[i] = group.Answer{Err: e}
	}
	return answers
}

// commitError sorts an error of the driver.
func commitError(err error) *store.CommitError {
	var already *store.CommitError
	if errors.As(err, &already) {
		return already
	}
	switch code := zsqlite.ErrCode(err); {
	case code == zsqlite.ResultConstraintUnique || code == zsqlite.ResultConstraintPrimaryKey || code == zsqlite.ResultConstraintCheck:
		return &store.CommitError{Err: store.ErrInvalid, Detail: err.Error()}
	case code.ToPrimary() == zsqlite.ResultConstraint:
		return &store.CommitError{Err: store.ErrRule, Detail: err.Error()}
	case code.ToPrimary() == zsqlite.ResultBusy:
		return &store.CommitError{Err: store.ErrUnavailable, Detail: fmt.Sprintf(
			"nothing was written: another process has held the write lock of the database for %s; end its transaction (a shell?), then repeat", busyTimeout)}
	case code.ToPrimary() == zsqlite.ResultTooBig:
		return &store.CommitError{Err: store.ErrTooLarge, Detail: err.Error()}
	}
	return &store.CommitError{Err: store.ErrUnavailable, Detail: "nothing was written: " + err.Error()}
}

// attempt runs a group as one database transaction. It returns one answer per member; an error is the whole group's.
func (w *writer) attempt(members []*group.Member, singly bool) ([]group.Answer, error) {
	start, statements, signals := time.Now(), w.store.Statements(), w.signals
	stats := GroupStats{Members: len(members), Singly: singly}
	answers := make([]group.Answer, len(members))
	if err := w.begin(); err != nil {
		return answers, err
	}
	accepted, err := w.writeAll(members, answers, start, &stats)
	switch {
	case err == nil && len(accepted) > 0:
		err = w.finishGroup(accepted, &stats)
	case err == nil:
		err = w.rollback()
	}
	if err != nil {
		w.heads.clear()
		w.signals = signals
		err = errors.Join(err, w.rollback())
		stats.Committed, stats.First, stats.Last = 0, 0, 0
	}
	stats.Statements, stats.Duration = w.store.Statements()-statements, time.Since(start)
	if err == nil {
		w.deliver(accepted, answers, stats)
	}
	if w.store.options.Observe != nil {
		w.store.options.Observe(stats)
	}
	return answers, err
}

// writeAll judges and writes the members in order, and returns what was accepted.
func (w *writer) writeAll(members []*group.Member, answers []group.Answer, at time.Time, stats *GroupStats) ([]feed.Item, error) {
	accepted := make([]feed.Item, 0, len(members))
	rev := w.revision
	for i, m := range members {
		c, refused, err := w.judge(m.Draft, rev+1, draft.Plain(at))
		if err != nil {
			return nil, err
		}
		if refused != nil {
			answers[i].Err = refused
			continue
		}
		if m.Draft.Empty() {
			answers[i].Receipt.Revision = rev
			continue
		}
		if err := w.apply(c); err != nil {
			if zsqlite.ErrCode(err).ToPrimary() == zsqlite.ResultConstraint {
				err = fmt.Errorf("%w: %w", errBackstop, err)
			}
			return nil, err
		}
		rev++
		answers[i].Receipt = c.receipt()
		accepted = append(accepted, feed.Item{Batch: c.batch, Bytes: m.Draft.Bytes + batchOverhead})
		stats.Bytes += uint64(m.Draft.Bytes)
	}
	if len(accepted) > 0 {
		stats.Committed, stats.First, stats.Last = len(accepted), uint64(w.revision)+1, uint64(rev)
	}
	return accepted, nil
}

// batchOverhead is about what a commit takes in memory besides its texts.
const batchOverhead = 512

func (c *change) receipt() store.Receipt {
	r := store.Receipt{Revision: c.rev}
	for i := range c.batch.Raised {
		r.Signals = append(r.Signals, c.batch.Raised[i].ID)
	}
	return r
}

// begin opens the transaction, having first settled a commit in doubt and taken in what others wrote.
func (w *writer) begin() error {
	if w.suspect {
		if err := w.settle(); err != nil {
			return err
		}
	}
	for {
		if err := w.c.exec("BEGIN IMMEDIATE"); err != nil {
			return err
		}
		foreign, err := w.touched()
		if err == nil && !foreign {
			return nil
		}
		if err == nil {
			err = w.takeIn()
		}
		if err != nil {
			return errors.Join(err, w.rollback())
		}
	}
}

// touched reports whether another connection has committed since the last look.
func (w *writer) touched() (bool, error) {
	v, err := w.c.number("PRAGMA data_version")
	if err != nil {
		return false, err
	}
	moved := v != w.seen
	w.seen = v
	return moved, nil
}

func (w *writer) rollback() error {
	if w.c.raw.AutocommitEnabled() {
		return nil
	}
	return w.c.exec("ROLLBACK")
}

// finishGroup moves the revision and commits.
func (w *writer) finishGroup(accepted []feed.Item, stats *GroupStats) error {
	last := accepted[len(accepted)-1].Batch.Revision
	forgotten, err := w.trim(last)
	if err != nil {
		return err
	}
	if err := w.q.meta.bindInt(int64(last)).bindInt(int64(w.signals)).exec(); err != nil {
		return err
	}
	if hook := w.store.options.Hooks.BeforeCommit; hook != nil {
		if err := hook(*stats); err != nil {
			return &store.CommitError{Err: store.ErrUnavailable, Detail: "stopped before the commit: " + err.Error()}
		}
	}
	if err := w.c.exec("COMMIT"); err != nil {
		if err := w.doubt(last, err); err != nil {
			return err
		}
	}
	w.compacted = forgotten
	w.store.feed.Forgot(forgotten)
	return nil
}

// deliver tells the feed.
func (w *writer) deliver(accepted []feed.Item, answers []group.Answer, stats GroupStats) {
	if len(accepted) == 0 {
		return
	}
	w.revision = accepted[len(accepted)-1].Batch.Revision
	w.store.feed.Publish(accepted)
	hook := w.store.options.Hooks.AfterCommit
	if hook == nil {
		return
	}
	if err := hook(stats); err != nil {
		for i := range answers {
			if answers[i].Err == nil {
				answers[i] = group.Answer{Err: &store.CommitError{Err: store.ErrUnknown, Detail: err.Error()}}
			}
		}
	}
}
