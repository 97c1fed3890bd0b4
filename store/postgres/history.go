package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// The history of an object is read from its newest end by the index on the hash, that of a kind from its oldest by the one on the kind; a page of it takes in all
// entries of its last revision (WITH TIES). The bounds on the time spare the partitions outside of them.
const (
	selectHistory = "SELECT kind, namespace, name, uid, revision, line, at, type, from_state, to_state, reason, message, writer, writer_object, cause_revision, cause FROM setpoint.history WHERE "
	narrowHistory = " AND revision > $3 AND ($4 = '' OR uid = $4) AND ($5::text[] IS NULL OR type = ANY ($5)) AND at >= $6 AND at >= (SELECT r.history FROM setpoint.retention r)"

	historyOfObject = selectHistory + "kind = $1 AND namespace = $2 AND hash = $8 AND name = $9" + narrowHistory + " ORDER BY revision DESC, line DESC LIMIT $7"
	historyOfKind   = "SELECT * FROM (" + selectHistory + "kind = $1 AND ($2 = '' OR namespace = $2)" + narrowHistory +
		" ORDER BY revision FETCH FIRST $7 ROWS WITH TIES) page ORDER BY revision, line"
)

// History returns what happened to an object, or to all of a kind, oldest first.
func (s *Store) History(ctx context.Context, q store.HistoryQuery) ([]store.Entry, error) {
	q, err := draft.History(q)
	if err != nil {
		return nil, err
	}
	byKey := !q.Key.IsZero()
	query, args := historyOfKind, historyArguments(q, q.Kind, q.Namespace)
	if byKey {
		query, args = historyOfObject, append(historyArguments(q, q.Key.Kind, q.Key.Namespace), codec.HashKey(q.Key), string(q.Key.Name))
	}
	var entries []store.Entry
	err = s.retrying(ctx, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		entries, err = pgx.CollectRows(rows, historyEntry)
		return err
	})
	if err != nil {
		return nil, draft.HistoryFailed(q, err)
	}
	if byKey {
		slices.Reverse(entries)
	}
	return entries, nil
}

// historyArguments are the first seven parameters of both questions.
func historyArguments(q store.HistoryQuery, kind resource.KindID, namespace resource.Namespace) []any {
	var types []string
	for _, t := range q.Types {
		types = append(types, string(t))
	}
	since := time.Unix(0, 0)
	if !q.Since.IsZero() {
		since = q.Since.Add(time.Microsecond - 1).Truncate(time.Microsecond) // the database's times have no more, and a part of one is not rounded down
	}
	return []any{string(kind), string(namespace), int64(q.After), string(q.UID), types, since, q.Limit}
}

func historyEntry(row pgx.CollectableRow) (store.Entry, error) {
	var e store.Entry
	var rev, cause int64
	var line int32
	var at time.Time
	var object string
	err := row.Scan(&e.Key.Kind, &e.Key.Namespace, &e.Key.Name, &e.UID, &rev, &line, &at, &e.Type, &e.From, &e.To, &e.Reason, &e.Message, &e.Writer.Name, &object, &cause, &e.Cause.Text)
	e.Revision, e.At, e.Cause.Revision, e.Writer.Object = resource.Revision(rev), at.UTC(), resource.Revision(cause), codec.Unslashed(object)
	return e, err
}
