package subsystem

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// fence orders the calls of one key.
type fence struct {
	Scope  string
	Epoch  resource.Epoch
	Intent uint64
}

// compare orders two fences of a key. When the key has gone from one owner to another, whose epoch is of another scope, or nothing is known of an epoch, intents alone tell, which rise over all scopes
// of an incarnation.
func (f fence) compare(o fence) int {
	unknown := f.Epoch.Incarnation == 0 || o.Epoch.Incarnation == 0
	switch {
	case f.Scope != o.Scope && unknown:
		return cmp.Compare(f.Intent, o.Intent)
	case f.Scope != o.Scope:
		return cmp.Or(cmp.Compare(f.Epoch.Incarnation, o.Epoch.Incarnation), cmp.Compare(f.Intent, o.Intent))
	}
	return cmp.Or(f.Epoch.Compare(o.Epoch), cmp.Compare(f.Intent, o.Intent))
}

// record is one line of the journal: what it sets is applied in the order of the fields. An effect's line of the ledger
// travels with its entry.
type record struct {
	// Memory starts a new memory and drops everything before it.
	Memory string `json:"memory,omitempty"`
	// Taught ends blankness.
	Taught bool `json:"taught,omitempty"`
	// Seen raises the highest epoch of a scope.
	Seen *scopeEpoch `json:"seen,omitempty"`
	// Fence raises a key's fence.
	Fence *keyFence `json:"fence,omitempty"`
	// Entry replaces what is remembered of a key.
	Entry *Entry `json:"entry,omitempty"`
	// Lost adds a loss and marks the entry that it is about.
	Lost *LossEvent `json:"lost,omitempty"`
	// Dropped is the sequence of the newest loss that is not kept any more.
	Dropped uint64      `json:"dropped,omitempty"`
	Line    *LedgerLine `json:"line,omitempty"`
}

type scopeEpoch struct {
	Scope string         `json:"scope,omitempty"`
	Epoch resource.Epoch `json:"epoch"`
}

type keyFence struct {
	Key    string         `json:"key"`
	Scope  string         `json:"scope,omitempty"`
	Epoch  resource.Epoch `json:"epoch"`
	Intent uint64         `json:"intent"`
}

// place is what is known about one key: its fence, and what stands there.
type place struct {
	fence fence
	entry *Entry
	// vacancies counts how often the place became vacant.
	vacancies int
}

// vacant places have nothing but a fence: tombstones, and keys whose only call was refused.
func (p *place) vacant() bool {
	return p.entry == nil || p.entry.Request == nil && p.entry.Outcome == command.OutcomeDone
}

// memory is the state that the journal's records add up to. It is guarded by the server's lock.
type memory struct {
	id       string
	blank    bool
	epochs   map[string]resource.Epoch
	places   map[string]*place
	tokens   map[command.Token]string
	losses   []LossEvent
	sequence uint64
	// dropped is the sequence of the newest loss that is not kept any more.
	dropped uint64
	// vacated lists the places in the order in which they became vacant; some may be occupied again.
	vacated []vacancy
	// vacant counts the places that are vacant now.
	vacant int
	limit  limits
}

type vacancy struct {
	key string
	nth int
}

type limits struct{ tombstones, losses int }

func newMemory(limit limits) *memory {
	m := &memory{limit: limit}
	m.reset("")
	return m
}

func (m *memory) reset(id string) {
	m.id, m.blank, m.sequence, m.dropped = id, true, 0, 0
	m.epochs, m.places, m.tokens = map[string]resource.Epoch{}, map[string]*place{}, map[command.Token]string{}
	m.losses, m.vacated, m.vacant = nil, nil, 0
}

// replay applies one line of the journal.
func (m *memory) replay(text []byte) (*LedgerLine, error) {
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("the journal is damaged in the middle (move the folder away to start blank): %w", err)
	}
	m.apply(r)
	return r.Line, nil
}

// apply is the only way in which the memory changes.
func (m *memory) apply(r record) {
	if r.Memory != "" {
		m.reset(r.Memory)
	}
	if r.Taught {
		m.blank = false
	}
	if s := r.Seen; s != nil && m.epochs[s.Scope].Compare(s.Epoch) < 0 {
		m.epochs[s.Scope] = s.Epoch
	}
	if r.Fence != nil {
		m.raise(*r.Fence)
	}
	if r.Entry != nil {
		m.enter(*r.Entry)
	}
	m.dropped = max(m.dropped, r.Dropped)
	m.sequence = max(m.sequence, r.Dropped)
	if r.Lost != nil {
		m.lose(*r.Lost)
	}
}

func (m *memory) raise(k keyFence) {
	p, ok := m.places[k.Key]
	if !ok {
		p = &place{}
		m.places[k.Key] = p
		m.vacate(k.Key)
	}
	if f := (fence{k.Scope, k.Epoch, k.Intent}); p.fence.compare(f) < 0 {
		p.fence = f
	}
}

func (m *memory) enter(e Entry) {
	p, ok := m.places[e.Key]
	if !ok {
		p = &place{}
		m.places[e.Key] = p
	} else if p.vacant() {
		m.vacant--
	}
	if p.entry != nil {
		delete(m.tokens, p.entry.Token)
	}
	p.entry = &e
	m.tokens[e.Token] = e.Key
	if f := (fence{e.Scope, e.Epoch, e.Intent}); p.fence.compare(f) < 0 {
		p.fence = f
	}
	if p.vacant() {
		m.vacate(e.Key)
	}
}

// vacate bounds the number of places that hold only a fence.
func (m *memory) vacate(key string) {
	m.vacant++
	m.places[key].vacancies++
	m.vacated = append(m.vacated, vacancy{key, m.places[key].vacancies})
	for m.vacant > m.limit.tombstones {
		oldest := m.vacated[0]
		m.vacated = m.vacated[1:]
		if !m.still(oldest) {
			continue
		}
		if e := m.places[oldest.key].entry; e != nil {
			delete(m.tokens, e.Token)
		}
		delete(m.places, oldest.key)
		m.vacant--
	}
	if len(m.vacated) > 2*m.vacant+64 {
		m.vacated = slices.DeleteFunc(m.vacated, func(v vacancy) bool { return !m.still(v) })
	}
}

// still reports whether a place has been vacant since.
func (m *memory) still(v vacancy) bool {
	p := m.places[v.key]
	return p != nil && p.vacant() && p.vacancies == v.nth
}

func (m *memory) lose(l LossEvent) {
	m.sequence = max(m.sequence, l.Sequence)
	m.losses = append(m.losses, l)
	if over := len(m.losses) - m.limit.losses; over > 0 {
		m.dropped = m.losses[over-1].Sequence
		m.losses = slices.Delete(m.losses, 0, over)
	}
	if p := m.places[l.Key]; p != nil && p.entry != nil && p.entry.Token == l.Token {
		lost := *p.entry
		lost.Lost = l.Reason
		p.entry = &lost
	}
}

// since returns the losses that are newer than n, and whether some of those are not kept any more.
func (m *memory) since(n uint64) (lost []LossEvent, truncated bool) {
	at, _ := slices.BinarySearchFunc(m.losses, n+1, func(l LossEvent, n uint64) int { return cmp.Compare(l.Sequence, n) })
	return slices.Clone(m.losses[at:]), n < m.dropped
}

// standing lists what is not vacant, ordered by key, from the first key after the given one.
func (m *memory) standing(after string) []*Entry {
	var entries []*Entry
	for key, p := range m.places {
		if key > after && !p.vacant() {
			entries = append(entries, p.entry)
		}
	}
	slices.SortFunc(entries, func(a, b *Entry) int { return cmp.Compare(a.Key, b.Key) })
	return entries
}

// snapshot emits the records that add up to m.
func (m *memory) snapshot(emit func(any) error) error {
	records := []record{{Memory: m.id}, {Taught: !m.blank, Dropped: m.dropped}}
	for _, scope := range slices.Sorted(maps.Keys(m.epochs)) {
		records = append(records, record{Seen: &scopeEpoch{Scope: scope, Epoch: m.epochs[scope]}})
	}
	for _, key := range m.keys() {
		p := m.places[key]
		records = append(records, record{Fence: &keyFence{Key: key, Scope: p.fence.Scope, Epoch: p.fence.Epoch, Intent: p.fence.Intent}, Entry: p.entry})
	}
	for i := range m.losses {
		records = append(records, record{Lost: &m.losses[i]})
	}
	for _, r := range records {
		if err := emit(r); err != nil {
			return err
		}
	}
	return nil
}

// keys lists the vacant places in the order in which they will be dropped, then the others by name.
func (m *memory) keys() []string {
	var vacant, occupied []string
	for _, v := range m.vacated {
		if m.still(v) {
			vacant = append(vacant, v.key)
		}
	}
	for key, p := range m.places {
		if !p.vacant() {
			occupied = append(occupied, key)
		}
	}
	slices.Sort(occupied)
	return append(vacant, occupied...)
}
