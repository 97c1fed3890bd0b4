package survey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/availability"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Book holds what is known about the objects of one kind since a time. [Book.Read] adds what has happened since it was last called. It is used by one goroutine at a time.
type Book struct {
	kind      *resource.Definition
	namespace resource.Namespace
	rules     availability.Rules
	limits    Limits
	// since is from when on everything is read; kept from when on everything there was could be.
	since, kept, horizon time.Time
	after                resource.Revision
	begun                bool
	changes              int
	pages                map[resource.UID]*page
}

// page is what is known about one object.
type page struct {
	history availability.History
	// whole: all that is kept has been read, also what was before the book's beginning.
	whole bool
}

// NewBook makes an empty one, of the objects of a kind in a namespace, or in all when that is empty. It fails with [ErrNoLifecycle].
func NewBook(kind *resource.Definition, ns resource.Namespace, since time.Time, l Limits) (*Book, error) {
	if len(kind.Lifecycle) == 0 {
		return nil, fmt.Errorf("availability of %s: %w", kind.ID(), ErrNoLifecycle)
	}
	rules, err := availability.NewRules(kind.Lifecycle, availability.Policy{})
	if err != nil {
		return nil, fmt.Errorf("availability of %s: %w", kind.ID(), err)
	}
	return &Book{kind: kind, namespace: ns, rules: rules, limits: l.withDefaults(), since: since, pages: map[resource.UID]*page{}}, nil
}

// Read adds what has happened since the last call, and returns the lives of all objects of the book, those that are gone included, by key and UID. It fails with [ErrTooMuch],
// after which the book is of no more use, and with what the plane fails with, after which it may be called again.
func (b *Book) Read(ctx context.Context, p Plane) ([]availability.Life, error) {
	present, _ := p.List(b.kind.ID(), b.namespace)
	if err := errors.Join(b.begin(ctx, p), b.turn(ctx, p)); err != nil {
		return nil, err
	}
	b.enter(present)
	if err := b.complete(ctx, p); err != nil {
		return nil, err
	}
	return b.Lives(), nil
}

// begin finds out since when the history is kept.
func (b *Book) begin(ctx context.Context, p Plane) (err error) {
	if b.begun {
		return nil
	}
	if b.horizon, err = horizon(ctx, p, b.kind.ID()); err != nil {
		return err
	}
	b.kept, b.begun = b.since, true
	if b.horizon.After(b.since) {
		b.kept = b.horizon
	}
	return nil
}

// turn reads page after page, to the end.
func (b *Book) turn(ctx context.Context, p Plane) error {
	for {
		entries, err := p.History(ctx, store.HistoryQuery{
			Kind: b.kind.ID(), Namespace: b.namespace, Types: moves, Since: b.since, After: b.after, Limit: pageSize,
		})
		if err != nil {
			return fmt.Errorf("read the history of %s: %w", b.kind.ID(), err)
		}
		for i := range entries {
			b.add(&entries[i])
		}
		if b.changes > b.limits.Changes {
			return fmt.Errorf("history of %s since %s: %w: there are more than %d; ask for a shorter window or for one namespace",
				b.kind.ID(), stamp(b.since), ErrTooMuch, b.limits.Changes)
		}
		if len(entries) < pageSize {
			return nil
		}
	}
}

func (b *Book) add(e *store.Entry) {
	b.after = e.Revision
	one := b.page(e.Key, e.UID)
	if n := len(one.history.Changes); n > 0 && one.history.Changes[n-1].Revision >= e.Revision && one.whole {
		return // read already, when the whole was
	}
	one.history.Changes = append(one.history.Changes, changeOf(e))
	b.changes++
}

func (b *Book) page(key resource.Key, uid resource.UID) *page {
	one := b.pages[uid]
	if one == nil {
		one = &page{history: availability.History{Key: key, UID: uid, Kept: b.kept}}
		b.pages[uid] = one
	}
	return one
}

// enter notes what the objects that exist say about themselves. One that does not exist any more says nothing, and without a history it is no more.
func (b *Book) enter(present []*resource.Object) {
	for uid, one := range b.pages {
		one.history.Now = availability.Present{}
		if len(one.history.Changes) == 0 {
			delete(b.pages, uid)
		}
	}
	for _, o := range present {
		b.page(o.Key, o.UID).history.Now = presentOf(o)
	}
}

// complete reads the whole history of objects that were in trouble when the book begins, up to the limit.
func (b *Book) complete(ctx context.Context, p Plane) error {
	lookups := 0
	for _, uid := range b.order() {
		one := b.pages[uid]
		if !b.troubled(one) {
			continue
		}
		if lookups++; lookups > b.limits.Lookups {
			return nil
		}
		changes, kept, err := readOne(ctx, p, one.history.Key, uid, b.horizon)
		if err != nil {
			return err
		}
		b.changes += len(changes) - len(one.history.Changes)
		one.history.Changes, one.history.Kept, one.whole = changes, kept, true
	}
	return nil
}

// troubled tells whether the first that the book knows of an object is a state that is not healthy and that it did not begin in.
func (b *Book) troubled(one *page) bool {
	h := &one.history
	if one.whole {
		return false
	}
	first := h.Now.State
	switch {
	case len(h.Changes) > 0 && h.Changes[0].Type == availability.Created:
		return false
	case len(h.Changes) > 0:
		first = h.Changes[0].From
	case !h.Now.Since.After(h.Now.Created):
		return false // it is where it began, and says so itself
	}
	rule, known := b.kind.Lifecycle.Rule(first)
	return known && !rule.Healthy && !rule.Deleting && !rule.Final
}

// Lives are the lives of all objects of the book as it is, by key and UID.
func (b *Book) Lives() []availability.Life {
	lives := make([]availability.Life, 0, len(b.pages))
	for _, uid := range b.order() {
		lives = append(lives, availability.NewLife(b.pages[uid].history, b.rules))
	}
	return lives
}

// order sorts the pages by key and UID.
func (b *Book) order() []resource.UID {
	return slices.SortedFunc(maps.Keys(b.pages), func(x, y resource.UID) int {
		return cmp.Or(b.pages[x].history.Key.Compare(b.pages[y].history.Key), cmp.Compare(x, y))
	})
}

// Forget drops what no window needs that begins at a time or later. An outage under way then is kept whole.
func (b *Book) Forget(before time.Time) {
	if before.After(b.since) {
		b.since = before
	}
	if before.After(b.kept) {
		b.kept = before
	}
	for uid, one := range b.pages {
		b.forget(uid, one, before)
	}
}

func (b *Book) forget(uid resource.UID, one *page, before time.Time) {
	changes := one.history.Changes
	n := 0
	for n < len(changes) && changes[n].At.Before(before) {
		n++
	}
	if n == 0 {
		return
	}
	last := changes[n-1]
	rule, known := b.kind.Lifecycle.Rule(last.To)
	gone := last.Type == availability.Removed
	if !gone && (!known || !rule.Healthy) {
		return
	}
	b.changes -= n
	if n == len(changes) {
		delete(b.pages, uid) // an object that exists says itself where it is
		return
	}
	one.history.Changes, one.history.Kept = slices.Clone(changes[n:]), b.kept
}
