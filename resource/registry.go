package resource

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Errors of a registry. They come wrapped, with the name that was asked for.
var (
	// ErrUnknownKind: no kind of that name is registered.
	ErrUnknownKind = errors.New("no such kind")
	// ErrAmbiguousKind: several kinds have the name. Say "<plural>.<group>".
	ErrAmbiguousKind = errors.New("several kinds have this name")
	// ErrDuplicateKind: a kind of that name, or with that plural in the group, is registered already.
	ErrDuplicateKind = errors.New("kind is registered already")
)

// Registry is the set of kinds that a process knows. The zero value is empty and ready. Reading takes no lock.
type Registry struct {
	writing sync.Mutex
	current atomic.Pointer[kinds]
}

// kinds is one state of a registry. It is replaced, never changed.
type kinds struct {
	byID  map[KindID]*Definition
	byURL map[string]*Definition // group/version/plural
	// byName and byShort hold lower-case words.
	byName, byShort map[string][]*Definition
	sorted          []*Definition
}

var noKinds = newKinds(nil)

func newKinds(byID map[KindID]*Definition) *kinds {
	k := &kinds{byID: byID, byURL: map[string]*Definition{}, byName: map[string][]*Definition{}, byShort: map[string][]*Definition{}}
	k.sorted = slices.SortedFunc(maps.Values(byID), func(a, b *Definition) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind))
	})
	for _, d := range k.sorted {
		k.byURL[d.APIVersion()+"/"+d.Plural] = d
		words := []string{d.Plural, d.Singular, strings.ToLower(d.Kind)}
		slices.Sort(words)
		for _, w := range slices.Compact(words) {
			for _, name := range []string{w, w + "." + d.Group, w + "." + d.Version + "." + d.Group} {
				k.byName[name] = append(k.byName[name], d)
			}
		}
		for _, w := range d.ShortNames {
			k.byShort[w] = append(k.byShort[w], d)
		}
	}
	return k
}

func (r *Registry) kinds() *kinds {
	if k := r.current.Load(); k != nil {
		return k
	}
	return noKinds
}

// Register adds kinds, all or none. It fails if a definition is wrong, and with [ErrDuplicateKind].
func (r *Registry) Register(ds ...*Definition) error { return r.change(false, ds) }

// Replace adds kinds, taking the place of those with the same names.
func (r *Registry) Replace(ds ...*Definition) error { return r.change(true, ds) }

// Remove forgets a kind, and reports whether it was there.
func (r *Registry) Remove(id KindID) bool {
	r.writing.Lock()
	defer r.writing.Unlock()
	if _, ok := r.kinds().byID[id]; !ok {
		return false
	}
	next := maps.Clone(r.kinds().byID)
	delete(next, id)
	r.current.Store(newKinds(next))
	return true
}

func (r *Registry) change(replace bool, ds []*Definition) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	next := maps.Clone(r.kinds().byID)
	if next == nil {
		next = map[KindID]*Definition{}
	}
	var errs []error
	for _, d := range ds {
		if err := d.Check(); err != nil {
			errs = append(errs, err)
			continue
		}
		if _, ok := next[d.ID()]; ok && !replace {
			errs = append(errs, fmt.Errorf("%s: %w", d.ID(), ErrDuplicateKind))
			continue
		}
		for id, other := range next {
			if id != d.ID() && other.Group == d.Group && other.Plural == d.Plural {
				errs = append(errs, fmt.Errorf("%s: %w: %s has the plural %q in the group %q too", d.ID(), ErrDuplicateKind, id, d.Plural, d.Group))
			}
		}
		next[d.ID()] = d
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	r.current.Store(newKinds(next))
	return nil
}

// Kind returns the kind of that name, and whether it is registered.
func (r *Registry) Kind(id KindID) (*Definition, bool) {
	d, ok := r.kinds().byID[id]
	return d, ok
}

// Resource returns the kind that is served under /apis/<group>/<version>/…/<plural>.
func (r *Registry) Resource(group, version, plural string) (*Definition, bool) {
	prefix := group + "/"
	if group == "" {
		prefix = ""
	}
	d, ok := r.kinds().byURL[prefix+version+"/"+plural]
	return d, ok
}

// List returns all kinds, sorted by group and kind.
func (r *Registry) List() []*Definition { return slices.Clone(r.kinds().sorted) }

// Resolve finds a kind by what a person typed: its plural, singular, kind or short name in any case, and the first three also
// followed by ".<group>" or ".<version>.<group>". Full names go before short ones. The errors are
// [ErrUnknownKind], with the nearest name, and [ErrAmbiguousKind], with the names to choose from.
func (r *Registry) Resolve(typed string) (*Definition, error) {
	k, word := r.kinds(), strings.ToLower(typed)
	found := k.byName[word]
	if len(found) == 0 {
		found = k.byShort[word]
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		var known []string
		for _, d := range k.sorted {
			known = append(known, d.names()...)
		}
		return nil, fmt.Errorf("%q: %w%s", typed, ErrUnknownKind, didYouMean(typed, known))
	}
	var full []string
	for _, d := range found {
		full = append(full, d.Plural+"."+d.Group)
	}
	return nil, fmt.Errorf("%q: %w: %s", typed, ErrAmbiguousKind, strings.Join(full, ", "))
}
