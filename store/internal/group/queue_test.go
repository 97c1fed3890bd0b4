package group

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// TestAnAdministratorWaitsBehindFew: a crowd of clients leaves half of the urgent lane free, and does not keep him at the door.
func TestAnAdministratorWaitsBehindFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, crowd = 4, 40 // a lane has room for 16
		q := NewQueue(limit)
		var all sync.WaitGroup
		commit := func(writer string) {
			all.Go(func() {
				d := &draft.Draft{Tx: store.Transaction{Writer: store.Writer{Name: writer}}}
				if _, err := q.Commit(context.Background(), d); err != nil {
					t.Errorf("%s: %v", writer, err)
				}
			})
			synctest.Wait()
		}
		for range crowd {
			commit("api:somebody")
		}
		if u, n := len(q.Urgent), len(q.Normal); u != 8 || n != 16 {
			t.Errorf("the crowd took %d and %d places, want half of the urgent lane, and all of the other", u, n)
		}
		commit("admin:anna")
		for group, seen := 1, false; group <= 1+crowd/limit; group++ {
			for _, m := range q.Draw(nil, nil) {
				if m.Draft.Tx.Writer.Name == "admin:anna" {
					if seen = true; group > 3 {
						t.Errorf("she came in group %d", group)
					}
				}
				m.Answer(Answer{})
			}
			if group == 3 && !seen {
				t.Error("she is not in the first three groups")
			}
			synctest.Wait()
		}
		all.Wait()
	})
}
