package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// The history of an object is read from its newest end by the index on the hash, that of a kind from its oldest by the one on the kind. The plus sign keeps the first
// question from the index of the second. Entries of one revision have one time.
const (
	selectHistory = "SELECT kind, namespace, name, uid, revision, at, type, from_state, to_state, reason, message, writer, writer_object, cause_revision, cause FROM history WHERE "
	narrowHistory = " AND at >= ?3 AND (?4 = '' OR uid = ?4) AND (?5 IS NULL OR type IN (SELECT value FROM json_each(?5)))"

	historyOfObject = selectHistory + "hash = ?6 AND kind = ?1 AND namespace = ?7 AND name = ?8 AND +revision > ?2" + narrowHistory + " ORDER BY id DESC"
	historyOfKind   = selectHistory + "kind = ?1 AND revision > ?2 AND (?6 = '' OR namespace = ?6)" + narrowHistory + " ORDER BY revision, at, id"
)

// History returns what happened to an object, or to all of a kind, oldest first.
func (s *Store) History(ctx context.Context, query store.HistoryQuery) ([]store.Entry, error) {
	query, err := draft.History(query)
	if err != nil {
		return nil, err
	}
	var entries []store.Entry
	err = s.readers.use(ctx, func(c *conn) (err error) {
		if query.Key.IsZero() {
			entries, err = kindHistory(c, query)
		} else {
			entries, err = objectHistory(c, query)
		}
		return err
	})
	if err != nil {
		return nil, draft.HistoryFailed(query, draft.Unavailable(err))
	}
	return entries, nil
}

func objectHistory(c *conn, query store.HistoryQuery) ([]store.Entry, error) {
	q, err := prepareHistory(c, historyOfObject, query.Key.Kind, query)
	if err != nil {
		return nil, err
	}
	q.bindInt(codec.HashKey(query.Key)).bindText(string(query.Key.Namespace)).bindText(string(query.Key.Name))
	entries, err := readHistory(q, func(read []store.Entry, _ *store.Entry) bool { return len(read) >= query.Limit })
	slices.Reverse(entries)
	return entries, err
}

// kindHistory reads one page, which ends with the last entry of a revision.
func kindHistory(c *conn, query store.HistoryQuery) ([]store.Entry, error) {
	q, err := prepareHistory(c, historyOfKind, query.Kind, query)
	if err != nil {
		return nil, err
	}
	q.bindText(string(query.Namespace))
	return readHistory(q, func(read []store.Entry, next *store.Entry) bool {
		return len(read) >= query.Limit && next.Revision != read[len(read)-1].Revision
	})
}

// prepareHistory binds what both questions have: the kind, and what narrows.
func prepareHistory(c *conn, text string, kind resource.KindID, query store.HistoryQuery) (*stmt, error) {
	var types []byte
	if len(query.Types) > 0 {
		var err error
		if types, err = json.Marshal(query.Types); err != nil {
			return nil, err
		}
	}
	q, err := c.prepare(text)
	if err != nil {
		return nil, err
	}
	return q.bindText(string(kind)).bindInt(int64(query.After)).bindInt(codec.Nanos(query.Since)).bindText(string(query.UID)).bindJSON(types), nil
}

// errEnough ends a question whose other answers are not wanted.
var errEnough = errors.New("enough rows")

// readHistory reads entries until enough says that the next one is not wanted.
func readHistory(q *stmt, enough func(read []store.Entry, next *store.Entry) bool) ([]store.Entry, error) {
	var entries []store.Entry
	n := names{}
	err := q.each(func() error {
		e := store.Entry{
			Key: resource.Key{Kind: resource.KindID(n.keep(q.text(0))), Namespace: resource.Namespace(n.keep(q.text(1))), Name: resource.Name(q.text(2))},
			UID: resource.UID(q.text(3)), Revision: resource.Revision(q.int(4)), At: codec.Time(q.int(5)),
			Type: store.EntryType(n.keep(q.text(6))), From: lifecycle.State(n.keep(q.text(7))), To: lifecycle.State(n.keep(q.text(8))),
			Reason: n.keep(q.text(9)), Message: q.text(10), Writer: store.Writer{Name: n.keep(q.text(11)), Object: codec.Unslashed(q.text(12))},
			Cause: store.Cause{Revision: resource.Revision(q.int(13)), Text: q.text(14)},
		}
		if enough(entries, &e) {
			return errEnough
		}
		entries = append(entries, e)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return entries, err
}
