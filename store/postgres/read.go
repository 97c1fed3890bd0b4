package postgres

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
	"github.com/setpointhq/setpoint/store/internal/scan"
)

const selectObject = "SELECT kind, namespace, name, uid, generation, revision, created, deleted, state, state_since, attributes, spec, status FROM setpoint.object"

// names keeps one copy of texts that repeat from row to row. A nil one keeps nothing.
type names map[string]string

func (n names) keep(b []byte) string {
	if s, ok := n[string(b)]; ok {
		return s
	}
	s := string(b)
	if n != nil {
		n[s] = s
	}
	return s
}

// object reads a row of selectObject, which is in the binary form: it is valid until the next row only, so everything is copied.
func object(row [][]byte, n names) (*resource.Object, error) {
	number := func(i int) int64 { return int64(binary.BigEndian.Uint64(row[i])) }
	o := &resource.Object{Meta: resource.Meta{
		Key: resource.Key{
			Kind:      resource.KindID(n.keep(row[0])),
			Namespace: resource.Namespace(n.keep(row[1])),
			Name:      resource.Name(row[2]),
		},
		UID:        resource.UID(row[3]),
		Generation: resource.Generation(number(4)),
		Revision:   resource.Revision(number(5)),
		Created:    codec.Time(number(6)),
		Deleted:    codec.Time(number(7)),
		State:      lifecycle.State(n.keep(row[8])),
		StateSince: codec.Time(number(9)),
	}}
	if err := codec.ParseAttributes(slices.Clone(row[10]), &o.Attributes); err != nil {
		return nil, fmt.Errorf("attributes of %s: %w", o.Key, err)
	}
	o.Spec, o.Status = json.RawMessage(slices.Clone(row[11])), json.RawMessage(slices.Clone(row[12]))
	return o, nil
}

// Object reads one object from the database.
func (s *Store) Object(ctx context.Context, key resource.Key) (*resource.Object, error) {
	var o *resource.Object
	err := s.retrying(ctx, func(ctx context.Context) error {
		o = nil
		rows, err := s.pool.Query(ctx, selectObject+" WHERE kind = $1 AND namespace = $2 AND name = $3", string(key.Kind), string(key.Namespace), string(key.Name))
		if err != nil {
			return err
		}
		defer rows.Close()
		if rows.Next() {
			if o, err = object(rows.RawValues(), nil); err != nil {
				return err
			}
		}
		rows.Close()
		return rows.Err()
	})
	if err == nil && o == nil {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return o, nil
}

// Scan calls visit with everything that exists, in one snapshot.
func (s *Store) Scan(ctx context.Context, visit func(store.Batch) error) (resource.Revision, error) {
	var rev int64
	var found *scan.Collector
	// A connection that turns out to be broken is no matter as long as nothing was visited.
	err := s.retrying(ctx, func(ctx context.Context) error {
		err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
			if err := tx.QueryRow(ctx, "SELECT revision FROM setpoint.counter").Scan(&rev); err != nil {
				return err
			}
			found = scan.New(resource.Revision(rev), ctx.Err, visit)
			x := &scanner{ctx: ctx, tx: tx, names: names{}, found: found}
			for _, part := range []func() error{x.objects, x.commands, x.signals, x.timers, found.Flush} {
				if err := part(); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil && found != nil && found.Visited && ctx.Err() == nil {
			return fmt.Errorf("%w: in the midst of it: %v", store.ErrUnavailable, err) // not to be tried again here
		}
		return err
	})
	if found != nil && found.Refused != nil {
		return 0, fmt.Errorf("scan: %w", found.Refused)
	}
	if err == nil {
		err = s.reading(ctx, func(ctx context.Context) error { return s.follower.await(ctx, resource.Revision(rev)) })
	}
	if err != nil {
		return 0, fmt.Errorf("scan: %w", err)
	}
	return resource.Revision(rev), nil
}

// scanner reads all tables in one transaction.
type scanner struct {
	ctx   context.Context
	tx    pgx.Tx
	names names
	found *scan.Collector
}

// each runs a query, and read for every row, which is in the binary form.
func (x *scanner) each(query string, read func(row [][]byte) error) error {
	rows, err := x.tx.Query(x.ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := read(rows.RawValues()); err != nil {
			return err
		}
	}
	rows.Close()
	return rows.Err()
}

func (x *scanner) objects() error {
	return x.each(selectObject, func(row [][]byte) error {
		o, err := object(row, x.names)
		if err != nil {
			return err
		}
		return x.found.Object(o)
	})
}

func (x *scanner) commands() error {
	return x.each("SELECT revision, body FROM setpoint.command", func(row [][]byte) error {
		c, err := codec.Command(slices.Clone(row[1]), resource.Revision(binary.BigEndian.Uint64(row[0])))
		if err != nil {
			return err
		}
		return x.found.Command(c)
	})
}

func (x *scanner) key(row [][]byte) resource.Key {
	return resource.Key{Kind: resource.KindID(x.names.keep(row[0])), Namespace: resource.Namespace(x.names.keep(row[1])), Name: resource.Name(row[2])}
}

func (x *scanner) signals() error {
	return x.each("SELECT kind, namespace, name, id, uid, signal, payload, by_whom, at, revision, why, dedupe, expires FROM setpoint.signal", func(row [][]byte) error {
		return x.found.Signal(store.Signal{
			Object: x.key(row), ID: store.SignalID(binary.BigEndian.Uint64(row[3])), UID: resource.UID(row[4]), Name: lifecycle.SignalName(row[5]),
			Payload: slices.Clone(row[6]), By: string(row[7]), At: codec.Time(int64(binary.BigEndian.Uint64(row[8]))), Revision: resource.Revision(binary.BigEndian.Uint64(row[9])),
			Why: string(row[10]), Dedupe: string(row[11]), Expires: codec.Time(int64(binary.BigEndian.Uint64(row[12]))),
		})
	})
}

func (x *scanner) timers() error {
	return x.each("SELECT kind, namespace, name, controller, uid, due, code FROM setpoint.timer", func(row [][]byte) error {
		return x.found.Timer(store.Timer{
			Object: x.key(row), Controller: string(row[3]), UID: resource.UID(row[4]), Due: codec.Time(int64(binary.BigEndian.Uint64(row[5]))), Code: string(row[6]),
		})
	})
}
