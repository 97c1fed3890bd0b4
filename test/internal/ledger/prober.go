package ledger

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// Prober looks from outside whether two servers take writes. It goes to each server's own port, past the address of the database, and writes a row of its own
// wherever it may. Each row carries the line of history, the timeline, in which the server has written it; a server that is let lead begins a new one.
//
// A row that it has written is acknowledged like any other: the server that leads waits for another one before it says so. So the prober adds no danger: on a
// server that leads no more nothing it writes is acknowledged, and what is there unacknowledged is undone when that server follows.
type Prober struct {
	// Ledger is what the servers have said to the prober, and URL its way to them.
	Ledger *Ledger
	URL    string

	t       *testing.T
	life    context.Context
	dismiss context.CancelFunc
	all     sync.WaitGroup

	mu      sync.Mutex
	watched map[string]bool // by name and address
	// apart are the servers that have been told to leave: they may take writes for themselves.
	apart  map[string]bool
	reigns map[reigning]*reign
	asked  int
}

// reigning is a server in a line of history.
type reigning struct{ server, timeline string }

// reign is the time in which a server surely took writes: its first row was there at the latest at from, and its last one was sent at until.
type reign struct {
	from, until time.Time
	rows        int
}

// probeEvery is how often each server is asked.
const probeEvery = 100 * time.Millisecond

// Probe makes the table, and asks nobody yet.
func Probe(t *testing.T, url string) *Prober {
	t.Helper()
	p := &Prober{t: t, URL: url, Ledger: New(), watched: map[string]bool{}, apart: map[string]bool{}, reigns: map[reigning]*reign{}}
	makeTable(t, url, "CREATE TABLE ledger (id bigint PRIMARY KEY, server text NOT NULL)")
	p.life, p.dismiss = context.WithCancel(context.Background())
	t.Cleanup(p.Stop)
	return p
}

// Watch asks a server from now on, which listens at an address, unless it is asked already. It must not be called after Stop.
func (p *Prober) Watch(server, address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.watched[server+" "+address] {
		p.watched[server+" "+address] = true
		p.all.Go(func() { p.watch(p.life, server, p.URL, address) })
	}
}

// Stop asks nobody any more.
func (p *Prober) Stop() {
	p.dismiss()
	p.all.Wait()
}

// watch asks one server.
func (p *Prober) watch(ctx context.Context, server, url, address string) {
	var s *Session
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		var err error
		if s == nil {
			s, err = p.open(ctx, url, address)
		}
		if err == nil {
			err = p.probe(ctx, s, server)
		}
		if err != nil && s != nil {
			p.close(s)
			s = nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	if s != nil {
		p.close(s)
	}
}

func (p *Prober) open(ctx context.Context, url, address string) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	return Connect(ctx, url, "tcp", address)
}

func (p *Prober) close(s *Session) {
	if err := s.Leave(); err != nil {
		p.t.Errorf("the prober: %v", err)
	}
}

// probeLimit is how long a server may take to answer. One that is frozen has the prober's row waiting in it, to be written when it is thawed.
const probeLimit = 10 * time.Second

// probe asks whether the server is one that follows, and writes a row if not.
func (p *Prober) probe(ctx context.Context, s *Session, server string) error {
	rows, err := s.Query(ctx, probeLimit, "SELECT pg_is_in_recovery()")
	p.mu.Lock()
	p.asked++
	p.mu.Unlock()
	if err != nil || rows[0][0] == "t" {
		return err
	}
	before, sent := p.isApart(server), time.Now()
	row := p.Ledger.Next()
	rows, err = s.Query(ctx, probeLimit, fmt.Sprintf("INSERT INTO ledger (id, server) VALUES (%d, '%s') RETURNING left(pg_walfile_name(pg_current_wal_lsn()), 8)", row, server))
	if err != nil {
		p.Ledger.Learn(row, sent, err)
		return err
	}
	if before || p.isApart(server) {
		return nil // it stays in doubt: what a server that has left has written is given up when it comes back
	}
	p.Ledger.Learn(row, sent, nil)
	p.note(server, rows[0][0], sent)
	return nil
}

func (p *Prober) isApart(server string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.apart[server]
}

// Part says that a server may, or may no longer, take writes for itself.
func (p *Prober) Part(server string, apart bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.apart[server] = apart
}

// note notes a row that a server has acknowledged.
func (p *Prober) note(server, timeline string, sent time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := reigning{server, timeline}
	r := p.reigns[key]
	if r == nil {
		r = &reign{from: time.Now()}
		p.reigns[key] = r
	}
	r.until, r.rows = sent, r.rows+1
}

// Rivals are the servers that have taken writes at the same time, or in the same line of history.
func (p *Prober) Rivals() (problems []error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a, x := range p.reigns {
		for b, y := range p.reigns {
			switch {
			case a.server == b.server:
			case a.timeline == b.timeline && a.server < b.server:
				problems = append(problems, fmt.Errorf("%s and %s have both taken writes in timeline %s", a.server, b.server, a.timeline))
			case a.timeline < b.timeline && x.until.After(y.from):
				problems = append(problems, fmt.Errorf("%s acknowledged a row in timeline %s that was sent %v after %s had acknowledged one in timeline %s",
					a.server, a.timeline, x.until.Sub(y.from), b.server, b.timeline))
			}
		}
	}
	return problems
}

// String counts what was asked, and who was found to lead.
func (p *Prober) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("%d questions, %d reigns", p.asked, len(p.reigns))
}
