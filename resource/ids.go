package resource

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// KindID names a kind across versions: "<Kind>.<group>", for example "Gateway.edge.example".
type KindID string

// MakeKindID joins a kind's name and its group.
func MakeKindID(kind, group string) KindID { return KindID(kind + "." + group) }

// Split returns the kind's name and its group.
func (k KindID) Split() (kind, group string) {
	kind, group, _ = strings.Cut(string(k), ".")
	return kind, group
}

// Namespace is a tenant. Objects of cluster-scoped kinds have the empty one.
type Namespace string

// Name is unique per kind and namespace among the objects that exist.
type Name string

// UID tells an object from every other that ever had its name.
type UID string

// Key addresses an object by name. A namesake created later has the same key and another UID.
type Key struct {
	Kind      KindID    `json:"kind"`
	Namespace Namespace `json:"namespace,omitempty"`
	Name      Name      `json:"name"`
}

// String is "Kind.group/namespace/name", or "Kind.group/name" without a namespace.
func (k Key) String() string {
	if k.Namespace == "" {
		return string(k.Kind) + "/" + string(k.Name)
	}
	return string(k.Kind) + "/" + string(k.Namespace) + "/" + string(k.Name)
}

// IsZero reports whether k addresses nothing.
func (k Key) IsZero() bool { return k == Key{} }

// Compare orders keys by kind, namespace and name.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Kind, o.Kind), cmp.Compare(k.Namespace, o.Namespace), cmp.Compare(k.Name, o.Name))
}

// Revision is a position in the one global order of commits, over all kinds, from 1.
type Revision uint64

func (r Revision) String() string { return strconv.FormatUint(uint64(r), 10) }

// ParseRevision reads what [Revision.String] wrote.
func ParseRevision(s string) (Revision, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("revision %q: want a whole number from 0", s)
	}
	return Revision(n), nil
}

// Generation counts the desired configurations of one object, from 1. It rises when the spec changes and
// when deletion is asked for.
type Generation uint64

// Epoch is a fencing token: who holds a lease now has a higher one than whoever held it before. The
// incarnation rises when a database is restored from a backup, so that its epochs, which count from an earlier
// state again, are still above every epoch a subsystem has seen.
type Epoch struct {
	Incarnation uint64 `json:"incarnation"`
	Counter     uint64 `json:"counter"`
}

// Compare orders epochs by incarnation, then by counter.
func (e Epoch) Compare(o Epoch) int {
	return cmp.Or(cmp.Compare(e.Incarnation, o.Incarnation), cmp.Compare(e.Counter, o.Counter))
}

func (e Epoch) String() string { return fmt.Sprintf("%d.%d", e.Incarnation, e.Counter) }

// Shards is the number of logical shards. It is fixed for the life of a database.
const Shards = 256

// Shard places an object: FNV-1a (64 bit) over namespace, a zero byte and the name's first label (what stands
// before the first dot), modulo [Shards]. Children are named "<parent>.<child>", so a whole family lives in one
// shard, is driven by one node, and fails over as one.
func Shard(ns Namespace, name Name) int {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := 0; i < len(ns); i++ {
		h = (h ^ uint64(ns[i])) * prime
	}
	h *= prime // the zero byte
	for i := 0; i < len(name) && name[i] != '.'; i++ {
		h = (h ^ uint64(name[i])) * prime
	}
	return int(h % Shards)
}
