package queue

import (
	"cmp"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestPileIsOrderedWhateverIsRemoved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		h := pile[int]{by: byRank}
		var in []*entry[int]
		for i := range 1 + rnd.IntN(3000) {
			e := &entry[int]{key: i, rank: instant(rnd.IntN(10)), at: instant(rnd.IntN(100)), seq: uint64(i)}
			in = append(in, e)
			h.push(e)
		}
		for range rnd.IntN(len(in)) {
			i := rnd.IntN(len(in))
			h.remove(in[i])
			in[i] = in[len(in)-1]
			in = in[:len(in)-1]
		}
		if h.Len() != len(in) {
			t.Fatalf("%d left, want %d", h.Len(), len(in))
		}
		var last *entry[int]
		for e := h.first(); e != nil; e = h.first() {
			if last != nil && cmp.Or(cmp.Compare(last.rank, e.rank), cmp.Compare(last.at, e.at), cmp.Compare(last.seq, e.seq)) >= 0 {
				t.Fatalf("%+v came before %+v", last, e)
			}
			last = e
			h.remove(e)
		}
		if h.Len() != 0 {
			t.Fatalf("%d left without a first", h.Len())
		}
	})
}
