package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// complete fills in what a draft leaves to the engine, so that it can be judged without another question: the last form of objects that are removed by key,
// and the UIDs of objects named by key only. What is read here is a guess that the group checks: the revision, or the UID, is judged again.
func (s *Store) complete(ctx context.Context, d *draft.Draft) *store.CommitError {
	if refused := checkTexts(d); refused != nil {
		return refused
	}
	if d.Empty() {
		return nil
	}
	removes := false
	for i := range d.Batch.Objects {
		if d.Batch.Objects[i].Object == nil {
			if refused := s.lastForm(ctx, d, i); refused != nil {
				return refused
			}
		}
		removes = removes || d.Batch.Objects[i].Removed
	}
	if refused := s.belong(ctx, d); refused != nil {
		return refused
	}
	if d.Body != nil && !removes {
		return nil
	}
	batch := last(d)
	body, err := codec.AppendBatch(make([]byte, 0, d.Bytes+256), &batch, nil)
	if err != nil {
		return draft.Invalid(resource.Key{}, "cannot encode: %v", err)
	}
	d.Body = body
	return nil
}

// lastForm reads an object that is removed by key.
func (s *Store) lastForm(ctx context.Context, d *draft.Draft, i int) *store.CommitError {
	w := &d.Tx.Objects[i]
	o, err := s.Object(ctx, w.Key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return draft.Conflict(w.Key, w.Expect, 0)
	case err != nil:
		return readFailed(w.Key, err)
	case o.Revision != w.Expect:
		return draft.Conflict(w.Key, w.Expect, o.Revision)
	case len(o.Finalizers) > 0:
		return draft.Held(o)
	}
	if d.Attributes[i], err = codec.AppendAttributes(nil, &o.Attributes); err != nil {
		return draft.Invalid(o.Key, "attributes cannot be encoded: %v", err)
	}
	d.Batch.Objects[i].Object = o
	return nil
}

func readFailed(key resource.Key, err error) *store.CommitError {
	return &store.CommitError{Err: draft.Unavailable(err), Key: key, Detail: "nothing was written: " + err.Error()}
}

// belong checks what hangs on objects that the transaction itself writes, and finds the UIDs of others that were named by key only.
func (s *Store) belong(ctx context.Context, d *draft.Draft) *store.CommitError {
	for i := range d.Tx.Commands {
		c := &d.Tx.Commands[i].Command
		if uid := ownUID(d, c.Object); uid != "" && d.Tx.Commands[i].Expect == 0 && uid != c.Owner {
			return draft.HangsOn(c.Object, c.Owner, uid, "command "+c.Slot.String())
		}
	}
	for i := range d.Batch.Raised {
		g := &d.Batch.Raised[i]
		if refused := s.uid(ctx, d, g.Object, &g.UID, "signal "+string(g.Name)); refused != nil {
			return refused
		}
	}
	for i := range d.Batch.Timers {
		t := &d.Batch.Timers[i]
		if t.Due.IsZero() && t.UID != "" {
			continue
		}
		if refused := s.uid(ctx, d, t.Object, &t.UID, "timer of "+t.Controller); refused != nil {
			return refused
		}
	}
	return nil
}

// ownUID is the UID of an object that the transaction writes.
func ownUID(d *draft.Draft, key resource.Key) resource.UID {
	if i := d.Place(key); i >= 0 {
		return d.Batch.Objects[i].Object.UID
	}
	return ""
}

func (s *Store) uid(ctx context.Context, d *draft.Draft, key resource.Key, uid *resource.UID, what string) *store.CommitError {
	have := ownUID(d, key)
	if have == "" && *uid != "" {
		return nil // judged by the group
	}
	if have == "" {
		o, err := s.Object(ctx, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return readFailed(key, err)
		}
		if err == nil {
			have = o.UID
		}
	}
	refused := draft.HangsOn(key, *uid, have, what)
	*uid = have
	return refused
}

// last is what the feed says of a draft that removes objects: they go in their final state, and what the transaction writes for them comes and goes
// at once. When the final state was reached, the commit knows.
func last(d *draft.Draft) store.Batch {
	b := d.Batch
	b.Objects, b.Commands, b.Timers = slices.Clone(b.Objects), slices.Clone(b.Commands), slices.Clone(b.Timers)
	for i := range b.Objects {
		if !b.Objects[i].Removed {
			continue
		}
		o, gone := draft.Shallow(b.Objects[i].Object), d.Tx.Objects[i].Gone
		if gone != "" && gone != o.State {
			o.State, o.StateSince = gone, time.Time{}
		}
		b.Objects[i].Object = o
		for j := range b.Commands {
			if b.Commands[j].Command.Owner == o.UID {
				b.Commands[j].Removed = true
			}
		}
		for j := range b.Timers {
			if b.Timers[j].UID == o.UID {
				b.Timers[j].Due = time.Time{}
			}
		}
	}
	return b
}

// checkTexts refuses what PostgreSQL has no text for: bytes that are no UTF-8, and the zero byte.
func checkTexts(d *draft.Draft) *store.CommitError {
	tx := &d.Tx
	if bad := badText(tx.Writer.Name, string(tx.Writer.Object.Name), tx.Cause.Text); bad != nil {
		return draft.Invalid(resource.Key{}, "writer or cause: %v", bad)
	}
	for i := range tx.Objects {
		w := &tx.Objects[i]
		k := draft.KeyOf(w)
		texts := []string{string(k.Kind), string(k.Namespace), string(k.Name), w.Reason, string(w.Gone)}
		if o := w.Object; o != nil {
			texts = append(texts, string(o.UID), string(o.State))
			if !utf8.Valid(o.Spec) || !utf8.Valid(o.Status) || !utf8.Valid(d.Attributes[i]) {
				return draft.Invalid(k, "spec, status or attributes are not UTF-8")
			}
		}
		if bad := badText(texts...); bad != nil {
			return draft.Invalid(k, "%v", bad)
		}
	}
	for i := range tx.Commands {
		c := &tx.Commands[i].Command
		if bad := badText(string(c.Owner), string(c.Adapter), c.Key, string(c.Object.Kind), string(c.Object.Namespace), string(c.Object.Name), string(c.Phase), string(c.Token), c.Message); bad != nil {
			return draft.Invalid(c.Object, "command %q: %v", c.Key, bad)
		}
	}
	for i := range tx.Raise {
		g := &tx.Raise[i]
		if bad := badText(string(g.Object.Kind), string(g.Object.Namespace), string(g.Object.Name), string(g.UID), string(g.Name), g.By, g.Why, g.Dedupe); bad != nil || !utf8.Valid(g.Payload) {
			return draft.Invalid(g.Object, "signal %q: a text or the payload is not UTF-8", g.Name)
		}
	}
	for i := range tx.Timers {
		t := &tx.Timers[i]
		if bad := badText(t.Controller, string(t.Object.Kind), string(t.Object.Namespace), string(t.Object.Name), string(t.UID), t.Code); bad != nil {
			return draft.Invalid(t.Object, "timer: %v", bad)
		}
	}
	for i := range tx.Events {
		e := &tx.Events[i]
		if bad := badText(string(e.Object.Kind), string(e.Object.Namespace), string(e.Object.Name), string(e.UID), e.Kind, e.Reason, e.Message); bad != nil {
			return draft.Invalid(e.Object, "event: %v", bad)
		}
	}
	return nil
}

func badText(texts ...string) error {
	for _, t := range texts {
		if strings.IndexByte(t, 0) >= 0 || !utf8.ValidString(t) {
			return fmt.Errorf("%q is not text in UTF-8 without zero bytes", t)
		}
	}
	return nil
}
