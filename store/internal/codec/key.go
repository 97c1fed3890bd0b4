package codec

import (
	"hash/fnv"
	"strings"

	"github.com/setpointhq/setpoint/resource"
)

// Slashed is "kind/namespace/name", always with two slashes, "" for the zero key.
func Slashed(k resource.Key) string {
	if k.IsZero() {
		return ""
	}
	return string(k.Kind) + "/" + string(k.Namespace) + "/" + string(k.Name)
}

// Unslashed reads what [Slashed] wrote.
func Unslashed(s string) resource.Key {
	kind, rest, _ := strings.Cut(s, "/")
	namespace, name, _ := strings.Cut(rest, "/")
	return resource.Key{Kind: resource.KindID(kind), Namespace: resource.Namespace(namespace), Name: resource.Name(name)}
}

// HashKey is FNV-1a over the parts of a key. It is stored, and must not change.
func HashKey(k resource.Key) int64 {
	h := fnv.New64a()
	h.Write([]byte(Slashed(k)))
	return int64(h.Sum64())
}
