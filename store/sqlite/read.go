package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

const selectObject = "SELECT kind, namespace, name, uid, generation, revision, created, deleted, state, state_since, attributes, spec, status FROM object"

// names keeps one copy of texts that repeat from row to row. A nil one keeps nothing.
type names map[string]string

func (n names) keep(s string) string {
	if n == nil {
		return s
	}
	if have, ok := n[s]; ok {
		return have
	}
	n[s] = s
	return s
}

// scanObject reads the columns of selectObject from column i on.
func scanObject(q *stmt, i int, n names) (*resource.Object, error) {
	o := &resource.Object{Meta: resource.Meta{
		Key: resource.Key{
			Kind:      resource.KindID(n.keep(q.text(i))),
			Namespace: resource.Namespace(n.keep(q.text(i + 1))),
			Name:      resource.Name(q.text(i + 2)),
		},
		UID:        resource.UID(q.text(i + 3)),
		Generation: resource.Generation(q.int(i + 4)),
		Revision:   resource.Revision(q.int(i + 5)),
		Created:    codec.Time(q.int(i + 6)),
		Deleted:    codec.Time(q.int(i + 7)),
		State:      lifecycle.State(n.keep(q.text(i + 8))),
		StateSince: codec.Time(q.int(i + 9)),
	}}
	if err := codec.ParseAttributes(q.bytes(i+10), &o.Attributes); err != nil {
		return nil, fmt.Errorf("attributes of %s: %w", o.Key, err)
	}
	o.Spec, o.Status = json.RawMessage(q.bytes(i+11)), json.RawMessage(q.bytes(i+12))
	return o, nil
}

func objectByID(q *stmt, id int64) (*resource.Object, error) {
	var o *resource.Object
	found, err := q.bindInt(id).one(func() (err error) {
		o, err = scanObject(q, 0, nil)
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("row %d of object is gone", id)
	}
	return o, err
}

// Object reads one object from the database.
func (s *Store) Object(ctx context.Context, key resource.Key) (*resource.Object, error) {
	var o *resource.Object
	err := s.readers.use(ctx, func(c *conn) error {
		q, err := c.prepare(selectObject + " WHERE kind = ? AND namespace = ? AND name = ?")
		if err != nil {
			return err
		}
		_, err = q.bindText(string(key.Kind)).bindText(string(key.Namespace)).bindText(string(key.Name)).one(func() (err error) {
			o, err = scanObject(q, 0, nil)
			return err
		})
		return err
	})
	if err == nil && o == nil {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, draft.Unavailable(err))
	}
	return o, nil
}
