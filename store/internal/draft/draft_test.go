package draft

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

func key(i int) resource.Key {
	return resource.Key{Kind: "Part.draft.example", Namespace: "ns", Name: resource.Name(fmt.Sprint("part-", i))}
}

// many is a transaction of so many objects, with a signal on each; every third object is removed by key.
func many(n int) store.Transaction {
	var tx store.Transaction
	for i := range n {
		w := store.ObjectWrite{Key: key(i), Expect: 1}
		if i%3 != 0 {
			w.Object = &resource.Object{Meta: resource.Meta{Key: key(i), UID: resource.UID(fmt.Sprint("uid-", i)), Created: time.Unix(1, 0)}}
		}
		tx.Objects = append(tx.Objects, w)
		tx.Raise = append(tx.Raise, store.Signal{Object: key(i), Name: "Poke"})
	}
	return tx
}

func TestPlace(t *testing.T) {
	for _, n := range []int{0, 1, few, few + 1, 10 * few} { // by a list, and by a map
		d, refused := Of(many(n), store.Caps{}.WithDefaults())
		if refused != nil {
			t.Fatal(refused)
		}
		for i := range n {
			if at := d.Place(key(i)); at != i || !d.Writes(key(i)) {
				t.Fatalf("%d objects: number %d is found at %d", n, i, at)
			}
		}
		if at := d.Place(key(n)); at != -1 || d.Writes(key(n)) {
			t.Fatalf("%d objects: what is not written is found at %d", n, at)
		}
		for i := range n {
			tx := many(n)
			tx.Objects = append(tx.Objects, tx.Objects[i])
			if _, refused := Of(tx, store.Caps{}.WithDefaults()); refused == nil || refused.Key != key(i) || !errors.Is(refused, store.ErrInvalid) || !strings.Contains(refused.Detail, "written twice") {
				t.Fatalf("%d objects, number %d twice: %v", n, i, refused)
			}
		}
	}
}

// BenchmarkPlace is one look for an object in a transaction of so many: the time must not grow with the number.
func BenchmarkPlace(b *testing.B) {
	for _, n := range []int{10, 1000, 30_000} {
		b.Run(fmt.Sprint("objects=", n), func(b *testing.B) {
			d, refused := Of(many(n), store.Caps{}.WithDefaults())
			if refused != nil {
				b.Fatal(refused)
			}
			for i := 0; b.Loop(); i++ {
				if !d.Writes(key7) {
					b.Fatal("not found")
				}
			}
		})
	}
}

var key7 = key(7)

func TestSignalsOfADraft(t *testing.T) {
	zone := time.FixedZone("somewhere", 3600)
	given := store.Signal{Object: key(1), UID: "u", Name: "Poke", Why: "w", Dedupe: "d", At: time.Unix(5, 0).In(zone), Expires: time.Unix(9, 0).In(zone), Seen: 7}
	tx := store.Transaction{Raise: []store.Signal{given}}
	d, refused := Of(tx, store.Caps{}.WithDefaults())
	if refused != nil {
		t.Fatal(refused)
	}
	want := given
	want.At, want.Expires, want.Seen = time.Unix(5, 0).UTC(), time.Unix(9, 0).UTC(), 0
	if got := d.Batch.Raised[0]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the feed gets %+v, want %+v", got, want)
	}
	if tx.Raise[0].Seen != 7 || d.Tx.Raise[0].Seen != 7 || tx.Raise[0].At.Location() != zone {
		t.Errorf("the caller's signal became %+v", tx.Raise[0])
	}
}

func TestHistoryQueries(t *testing.T) {
	for _, c := range []struct {
		reason string
		query  store.HistoryQuery
		limit  int
		says   string
	}{
		{"of an object", store.HistoryQuery{Key: key(1)}, 1000, ""},
		{"of a kind", store.HistoryQuery{Kind: "K"}, 10_000, ""},
		{"a limit stays", store.HistoryQuery{Kind: "K", Limit: 3}, 3, ""},
		{"a limit below 0 is none", store.HistoryQuery{Key: key(1), Limit: -3}, 1000, ""},
		{"of nothing", store.HistoryQuery{Namespace: "ns"}, 0, "names neither an object (Key) nor a kind (Kind)"},
		{"of an object and a kind", store.HistoryQuery{Key: key(1), Kind: "K"}, 0, "Kind and Namespace are for a query without Key"},
	} {
		got, err := History(c.query)
		switch {
		case c.says == "" && (err != nil || got.Limit != c.limit):
			t.Errorf("%s: limit %d, error %v; want %d", c.reason, got.Limit, err, c.limit)
		case c.says != "" && (!errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: error %v, want %q", c.reason, err, c.says)
		}
	}
}

func TestRaisedInWords(t *testing.T) {
	for want, s := range map[string]store.Signal{"": {}, "raised by ada": {By: "ada"}, "it leaks": {Why: "it leaks"}, "raised by ada: it leaks": {By: "ada", Why: "it leaks"}} {
		if got := Raised(&s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
