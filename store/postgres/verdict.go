package postgres

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// verdicts are what setpoint.commit_v2 returns.
type verdicts struct {
	at time.Time
	// revisions has an entry per member: the revision it got; with a minus the one it was judged at, having nothing to write; 0 for a refused one.
	revisions, signals []int64
	gone               []*string
	refusals           []refusal
}

// refusal is one thing that a transaction was refused for.
type refusal struct {
	member, part, idx, code int32
	actual                  int64
	words                   string
}

// The parts of a transaction, in the order they are judged.
const (
	partFence = iota + 1
	partRead
	partObject
	partCommand
	partConsume
	partRaise
	partTimer
)

// readVerdicts reads the one row of the result.
func readVerdicts(types *pgtype.Map, r *pgconn.Result) (verdicts, error) {
	var v verdicts
	if len(r.Rows) != 1 || len(r.Rows[0]) != 10 {
		return v, fmt.Errorf("commit_v2 returned %d rows", len(r.Rows))
	}
	var at pgtype.Timestamptz
	var members, parts, idxs, codes []int32
	var actuals []int64
	var words []string
	row := r.Rows[0]
	for i, to := range []any{&at, &v.revisions, &v.signals, &v.gone, &members, &parts, &idxs, &codes, &actuals, &words} {
		if row[i] == nil {
			continue
		}
		f := r.FieldDescriptions[i]
		if err := types.Scan(f.DataTypeOID, f.Format, row[i], to); err != nil {
			return v, fmt.Errorf("column %s of commit_v2: %w", f.Name, err)
		}
	}
	v.at = at.Time.UTC()
	for i := range members {
		v.refusals = append(v.refusals, refusal{members[i], parts[i], idxs[i], codes[i], actuals[i], words[i]})
	}
	return v, nil
}

// first returns, for each refused member, what comes first in the order of judging.
func (v *verdicts) first(members int) []*refusal {
	firsts := make([]*refusal, members)
	for i := range v.refusals {
		r := &v.refusals[i]
		have := firsts[r.member-1]
		if have == nil || r.part < have.part || r.part == have.part && r.idx < have.idx {
			firsts[r.member-1] = r
		}
	}
	return firsts
}

// words says a refusal as every engine does. before is the draft's place among the group's, to find the part's own entry: idx counts through the whole group.
func (s *Store) words(d *draft.Draft, r *refusal, idx int) *store.CommitError {
	tx := &d.Tx
	switch r.part {
	case partFence:
		return draft.Fenced(tx.Fences[idx], fencedBy(tx.Fences[idx].Scope, r.words))
	case partRead:
		return draft.Conflict(tx.Reads[idx].Key, tx.Reads[idx].Revision, resource.Revision(r.actual))
	case partObject:
		return s.objectWords(d, r, idx)
	case partCommand:
		w := &tx.Commands[idx]
		if r.code == 1 {
			return draft.CommandConflict(&w.Command, w.Expect, resource.Revision(r.actual))
		}
		return draft.HangsOn(w.Command.Object, w.Command.Owner, resource.UID(r.words), "command "+w.Command.Slot.String())
	case partConsume:
		return draft.SignalGone(tx.Consume[idx])
	case partRaise:
		g := &d.Batch.Raised[idx]
		if r.code == 2 {
			return draft.SignalSince(&tx.Raise[idx], resource.Revision(r.actual))
		}
		return draft.HangsOn(g.Object, g.UID, resource.UID(r.words), "signal "+string(g.Name))
	default:
		t := &d.Batch.Timers[idx]
		return draft.HangsOn(t.Object, t.UID, resource.UID(r.words), "timer of "+t.Controller)
	}
}

func (s *Store) objectWords(d *draft.Draft, r *refusal, idx int) *store.CommitError {
	w, o := &d.Tx.Objects[idx], d.Batch.Objects[idx].Object
	number := func() int64 {
		n, err := strconv.ParseInt(r.words, 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	switch r.code {
	case 1:
		return draft.Conflict(o.Key, w.Expect, resource.Revision(r.actual))
	case 2:
		return draft.OtherUID(o, resource.UID(r.words))
	case 3:
		return draft.OtherCreation(o, codec.Time(number()))
	case 4:
		return draft.LowerGeneration(o, resource.Generation(number()))
	case 5:
		return draft.DeletionTakenBack(o, codec.Time(number()))
	case 6:
		return draft.UnknownState(o.Key, o.State, s.rules.states(o.Kind))
	case 7:
		from := lifecycle.State(r.words)
		return draft.IllegalTransition(o.Key, from, o.State, s.rules.from(o.Kind, from))
	default:
		return draft.IllegalTransition(o.Key, o.State, w.Gone, s.rules.from(o.Kind, o.State))
	}
}

// fencedBy reads "incarnation:counter:holder", "" for a lease that nobody ever had.
func fencedBy(scope store.Scope, words string) *store.Lease {
	incarnation, rest, ok := strings.Cut(words, ":")
	counter, holder, ok2 := strings.Cut(rest, ":")
	if !ok || !ok2 {
		return nil
	}
	l := &store.Lease{Scope: scope, Holder: holder}
	var err1, err2 error
	l.Epoch.Incarnation, err1 = strconv.ParseUint(incarnation, 10, 64)
	l.Epoch.Counter, err2 = strconv.ParseUint(counter, 10, 64)
	if err1 != nil || err2 != nil {
		return nil
	}
	return l
}

// stamp makes of a draft the batch of the commit that it became.
func stamp(d *draft.Draft, rev resource.Revision, at time.Time, firstSignal int64, gone *string) (store.Batch, error) {
	b := d.Batch
	if gone != nil {
		b = last(d)
	}
	b.Revision, b.At = rev, at
	for i := range b.Raised {
		b.Raised[i].ID, b.Raised[i].Revision = store.SignalID(firstSignal+int64(i)), rev
	}
	for i := range b.Commands {
		b.Commands[i].Command.Revision = rev
	}
	for i := range b.Objects {
		b.Objects[i].Object.Revision = rev
	}
	return b, addGone(&b, gone)
}

// departed is what went with the objects that a commit removed, as the function tells it.
type departed struct {
	Commands []string `json:"commands"`
	Signals  []uint64 `json:"signals"`
	Timers   []struct {
		Controller string             `json:"controller"`
		Kind       resource.KindID    `json:"kind"`
		Namespace  resource.Namespace `json:"namespace"`
		Name       resource.Name      `json:"name"`
		UID        resource.UID       `json:"uid"`
	} `json:"timers"`
}

// addGone puts into a batch what went with the objects it removed, and says when they reached their final state.
func addGone(b *store.Batch, gone *string) error {
	if gone == nil {
		return nil
	}
	for i := range b.Objects {
		if o := b.Objects[i].Object; b.Objects[i].Removed && o.State != "" && o.StateSince.IsZero() {
			o.StateSince = b.At
		}
	}
	var g departed
	if err := json.Unmarshal([]byte(*gone), &g); err != nil {
		return fmt.Errorf("what went with commit %d: %w", b.Revision, err)
	}
	for _, text := range g.Commands {
		body, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(text, "\n", ""))
		if err != nil {
			return fmt.Errorf("a command that went with commit %d: %w", b.Revision, err)
		}
		c, err := codec.Command(body, b.Revision)
		if err != nil {
			return fmt.Errorf("a command that went with commit %d: %w", b.Revision, err)
		}
		if !slices.ContainsFunc(b.Commands, func(have store.CommandChange) bool { return have.Command.Slot == c.Slot }) {
			b.Commands = append(b.Commands, store.CommandChange{Command: c, Removed: true})
		}
	}
	b.Consumed = slices.Clip(b.Consumed)
	for _, id := range g.Signals {
		b.Consumed = append(b.Consumed, store.SignalID(id))
	}
	for _, t := range g.Timers {
		if !slices.ContainsFunc(b.Timers, func(have store.Timer) bool { return have.UID == t.UID && have.Controller == t.Controller }) {
			b.Timers = append(b.Timers, store.Timer{Controller: t.Controller, Object: resource.Key{Kind: t.Kind, Namespace: t.Namespace, Name: t.Name}, UID: t.UID})
		}
	}
	return nil
}

// send runs one group. The context bounds it.
func (c *committer) send(ctx context.Context, s *sheet) (verdicts, error) {
	result := c.conn.PgConn().ExecPrepared(ctx, commitStatement, s.values(c.id, c.epoch, c.next), binaryParams, binaryResults).Read()
	if result.Err != nil {
		return verdicts{}, result.Err
	}
	if err := confirmed(c.conn.PgConn()); err != nil {
		return verdicts{}, err
	}
	return readVerdicts(c.conn.TypeMap(), result)
}

const commitStatement = "commit"

var (
	binaryParams  = []int16{1}
	binaryResults = []int16{1}
)
