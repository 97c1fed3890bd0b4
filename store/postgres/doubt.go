package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/group"
)

// doubt is a group that was sent and not answered.
type doubt struct {
	// first and last are the committer's numbers of its members, after a revision that was known before it was sent.
	first, last int64
	after       resource.Revision
	cause       error
	// told says that its members were told that nobody knows.
	told bool
}

// doubtPatience is how long members wait to learn what became of them while the database is away.
const doubtPatience = 30 * time.Second

// mostDoubts bounds how often a group is sent again because its connection ended: one that brings down the server must not do so for ever.
const mostDoubts = 10

// settle finds out what became of the group in doubt. Members that were committed get their receipts; the others are returned, to be sent again: they are
// not there, and never will be. When the database stays away, the members are told that nobody knows, and the doubt is left for the next group to settle first.
func (c *committer) settle(members []*group.Member) ([]*group.Member, error) {
	ctx, cancel := context.WithTimeout(c.store.life, doubtPatience)
	defer cancel()
	cause := c.doubt.cause
	var err error
	for attempt := 0; attempt == 0 || backoff(ctx, attempt); attempt++ {
		var left []*group.Member
		if left, err = c.ask(ctx, members); err == nil {
			return left, cause
		}
	}
	c.doubt.told = true
	cause = errors.Join(cause, err)
	for _, m := range members {
		m.Answer(group.Answer{Err: &store.CommitError{Err: store.ErrUnknown, Detail: fmt.Sprintf("the connection ended before the answer, and the database cannot be asked: %v", cause)}})
	}
	return nil, cause
}

// ask looks up what became of the group in doubt, on a session that is opened when there is none. After an error there is none either.
func (c *committer) ask(ctx context.Context, members []*group.Member) ([]*group.Member, error) {
	if err := c.dial(ctx); err != nil {
		return nil, err
	}
	left, err := c.lookUp(ctx, members)
	if err != nil {
		c.disconnect()
	}
	return left, err
}

// lookUp asks the database, having made sure that the answer stays true.
func (c *committer) lookUp(ctx context.Context, members []*group.Member) ([]*group.Member, error) {
	d := c.doubt
	var found struct {
		epoch                       *int64
		known                       bool
		members, revisions, signals []int64
		times                       []time.Time
		gone                        []*string
	}
	err := c.conn.QueryRow(ctx, "SELECT epoch, known, members, revisions, signals, times, gone::text[] FROM setpoint.resolve_v1($1, $2, $3, $4)",
		c.id, int64(d.after), d.first, d.last).Scan(&found.epoch, &found.known, &found.members, &found.revisions, &found.signals, &found.times, &found.gone)
	if err == nil {
		err = confirmed(c.conn.PgConn())
	}
	if err != nil {
		return members, err
	}
	if found.epoch == nil { // somebody removed the row: nothing under this name can be committed any more
		c.id = 0
		c.disconnect()
	} else {
		c.epoch = *found.epoch
	}
	c.doubt = nil
	c.resolved++
	if n := len(found.revisions); n > 0 {
		c.store.follower.hint(resource.Revision(found.revisions[n-1]))
	}
	if d.told {
		return nil, nil
	}
	at := map[int64]int{}
	for i, number := range found.members {
		at[number] = i
	}
	var left []*group.Member
	answers := map[*group.Member]group.Answer{}
	for i, m := range members {
		n, committed := at[d.first+int64(i)]
		switch {
		case committed:
			b, err := stamp(m.Draft, resource.Revision(found.revisions[n]), found.times[n].UTC(), found.signals[n], found.gone[n])
			if err != nil {
				c.store.options.Logger.Error("a commit cannot be read back", "revision", found.revisions[n], "error", err)
			}
			answers[m] = group.Answer{Receipt: receipt(&b)}
		case !found.known:
			answers[m] = group.Answer{Err: &store.CommitError{Err: store.ErrUnknown, Detail: "the connection ended before the answer, and the feed is not retained that far back: " + d.cause.Error()}}
		default:
			left = append(left, m)
		}
	}
	c.store.met.resolved.Add(uint64(len(members)))
	c.store.options.Logger.Info("the outcome of a group is known", "members", len(members), "committed", len(found.members), "sent again", len(left))
	for m, a := range answers {
		m.Answer(a)
	}
	return left, nil
}
