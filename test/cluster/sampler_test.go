package cluster

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/resource"
)

// sampler looks at the assignments of shards all the time, and notes when each was made, by the database's clock.
type sampler struct {
	town *town
	end  context.CancelFunc
	over sync.WaitGroup

	mu      sync.Mutex
	highest map[string]resource.Epoch
	since   map[string]map[resource.Epoch]taking // by scope
	looks   int
	falls   []string
}

// taking is when a shard was assigned, and to whom.
type taking struct {
	at time.Time
	by string
}

// sample begins to look, and ends with the test.
func (w *town) sample(every time.Duration) *sampler {
	ctx, cancel := context.WithCancel(context.Background())
	s := &sampler{town: w, end: cancel, highest: map[string]resource.Epoch{}, since: map[string]map[resource.Epoch]taking{}}
	s.over.Go(func() {
		for pause(ctx, every) {
			rows, err := pg.Query(ctx, w.store, "SELECT scope, incarnation, counter, (extract(epoch FROM since) * 1000000)::bigint, holder FROM setpoint.lease WHERE scope LIKE 'shard/%'")
			if err != nil {
				continue // the database is stopped, or the test is over
			}
			s.note(rows)
		}
	})
	w.Cleanup(s.stop)
	return s
}

func (s *sampler) stop() {
	s.end()
	s.over.Wait()
}

func (s *sampler) note(rows [][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	for _, row := range rows {
		var e resource.Epoch
		var micros int64
		if _, err := fmt.Sscan(row[1]+" "+row[2]+" "+row[3], &e.Incarnation, &e.Counter, &micros); err != nil {
			s.falls = append(s.falls, fmt.Sprintf("row %v: %v", row, err))
			continue
		}
		if e.Compare(s.highest[row[0]]) < 0 {
			s.falls = append(s.falls, fmt.Sprintf("%s was at %s, and is at %s", row[0], s.highest[row[0]], e))
		}
		s.highest[row[0]] = e
		if s.since[row[0]] == nil {
			s.since[row[0]] = map[resource.Epoch]taking{}
		}
		if s.since[row[0]][e].at.IsZero() { // later it is when the shard was given up
			name, _, _ := strings.Cut(row[4], "#")
			s.since[row[0]][e] = taking{time.UnixMicro(micros), name}
		}
	}
}

// rose checks that no epoch has ever fallen in the database (I4), and returns how often it was looked.
func (s *sampler) rose() int {
	s.town.Helper()
	s.stop()
	for _, fall := range s.falls {
		s.town.Error(fall)
	}
	return s.looks
}

// after is when a scope was first assigned above an epoch.
func (s *sampler) after(scope string, before resource.Epoch) (next taking, found bool) {
	var lowest resource.Epoch
	for e, since := range s.since[scope] {
		if e.Compare(before) > 0 && (!found || e.Compare(lowest) < 0) {
			lowest, next, found = e, since, true
		}
	}
	return next, found
}
