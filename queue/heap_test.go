package queue

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestHeapIsOrderedWhateverIsRemoved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		h := heap[int]{slot: 1}
		var in []*entry[int]
		for i := range 1 + rnd.IntN(3000) {
			e := &entry[int]{key: i, at: instant(rnd.IntN(1000)), seq: uint64(i)}
			in = append(in, e)
			h.push(e)
		}
		for range rnd.IntN(len(in)) {
			i := rnd.IntN(len(in))
			h.remove(in[i])
			in[i] = in[len(in)-1]
			in = in[:len(in)-1]
		}
		if h.len() != len(in) {
			t.Fatalf("%d left, want %d", h.len(), len(in))
		}
		var last node[int]
		for e := h.min(); e != nil; e = h.min() {
			n := node[int]{e.at, e.seq, e}
			if last.entry != nil && !last.before(&n) {
				t.Fatalf("%+v came before %+v", last, n)
			}
			last = n
			h.remove(e)
		}
		if h.len() != 0 {
			t.Fatalf("%d left without a first", h.len())
		}
	})
}
