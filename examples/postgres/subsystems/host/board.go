package host

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// CheckIns is the answer to GET /v1/checkins?agent=A&since=N&hold=MS: every server whose health has changed since N, in one. It comes
// when there is such a server, and otherwise after MS milliseconds, at most one beat.
type CheckIns struct {
	// Agent names one life of the host. Numbers of another life mean nothing: all servers are reported.
	Agent string `json:"agent"`
	// Sequence is the number to ask with next.
	Sequence uint64 `json:"sequence"`
	// Servers counts them, and Answering those that answer.
	Servers   int `json:"servers"`
	Answering int `json:"answering"`
	// Whole says that Health lists all servers: one that is not there is gone.
	Whole  bool     `json:"whole,omitempty"`
	Health []Health `json:"health,omitempty"`
}

// board is where healths are posted.
type board struct {
	agent string

	mu       sync.Mutex
	sequence uint64
	servers  map[string]posted
	// forgotten is the number up to which departures may be missing.
	forgotten uint64
	changed   chan struct{}
}

type posted struct {
	health Health
	at     uint64
}

// maxGone bounds how many servers are remembered that are gone.
const maxGone = 1024

func newBoard() *board {
	return &board{agent: rand.Text(), servers: map[string]posted{}, changed: make(chan struct{})}
}

// report posts a health. Only a change has a number, and wakes those who wait.
func (b *board) report(h Health) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before, known := b.servers[h.Server]
	if known && !h.changed(before.health) {
		b.servers[h.Server] = posted{h, before.at}
		return
	}
	b.sequence++
	b.servers[h.Server] = posted{h, b.sequence}
	close(b.changed)
	b.changed = make(chan struct{})
}

// remove posts that a server is gone.
func (b *board) remove(server string) {
	b.report(Health{Server: server, Gone: true})
	b.mu.Lock()
	defer b.mu.Unlock()
	gone, oldest := 0, posted{at: b.sequence + 1}
	for _, p := range b.servers {
		if p.health.Gone {
			gone++
			if p.at < oldest.at {
				oldest = p
			}
		}
	}
	if gone > maxGone {
		delete(b.servers, oldest.health.Server)
		b.forgotten = oldest.at
	}
}

// since collects what has changed since a number, and returns what to wait for when that is nothing.
func (b *board) since(agent string, since uint64) (CheckIns, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := CheckIns{Agent: b.agent, Sequence: b.sequence}
	c.Whole = agent != b.agent || since > b.sequence || since < b.forgotten
	for _, p := range b.servers {
		if !p.health.Gone {
			c.Servers++
			if p.health.Answering {
				c.Answering++
			}
		}
		if c.Whole && !p.health.Gone || !c.Whole && p.at > since {
			c.Health = append(c.Health, p.health)
		}
	}
	slices.SortFunc(c.Health, func(x, y Health) int { return strings.Compare(x.Server, y.Server) })
	return c, b.changed
}

// CheckIns waits for a change until ctx ends, which is no error.
func (h *Host) CheckIns(ctx context.Context, agent string, since uint64) CheckIns {
	for {
		c, changed := h.board.since(agent, since)
		if c.Whole || len(c.Health) > 0 {
			return c
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return c
		case <-h.ctx.Done():
			return c
		}
	}
}

func (h *Host) serveCheckins(w http.ResponseWriter, r *http.Request) {
	var numbers [2]uint64
	for i, name := range []string{"since", "hold"} {
		text := r.FormValue(name)
		if text == "" {
			continue
		}
		number, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			http.Error(w, fmt.Sprintf("%s=%q: want a whole number from 0", name, text), http.StatusBadRequest)
			return
		}
		numbers[i] = number
	}
	hold := min(time.Duration(min(numbers[1], 1<<20))*time.Millisecond, h.options.Every)
	ctx, cancel := context.WithTimeout(r.Context(), hold)
	defer cancel()
	text, err := json.Marshal(h.CheckIns(ctx, r.FormValue("agent"), numbers[0]))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(text); err != nil {
		h.options.Log.Debug("the caller did not take the check-ins", "error", err)
	}
}
