package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Fate is what a writer knows of a row.
type Fate int

const (
	// Doubtful rows were sent, and no answer has come, or none yet.
	Doubtful Fate = iota
	// Refused rows are not there: the server has said so.
	Refused
	// Acknowledged rows are there for good.
	Acknowledged
)

// Ledger is what writers have been told. It is kept apart from the database, to hold the database against it.
type Ledger struct {
	mu    sync.Mutex
	last  int64
	fates map[int64]Fate
	// answers are the moments in which acknowledgements came, in order, with those in which their requests were sent.
	answers []answer
	// news is closed, and made anew, with every acknowledgement.
	news chan struct{}
}

type answer struct{ sent, came time.Time }

// New makes an empty ledger.
func New() *Ledger {
	return &Ledger{fates: map[int64]Fate{}, news: make(chan struct{})}
}

// Next is a row that nobody has written yet. It is in doubt until something is known about it.
func (l *Ledger) Next() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	l.fates[l.last] = Doubtful
	return l.last
}

// Learn notes how a row that was sent then has fared.
func (l *Ledger) Learn(row int64, sent time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.fates[row] = fateOf(err)
		return
	}
	l.fates[row] = Acknowledged
	l.answers = append(l.answers, answer{sent, time.Now()})
	close(l.news)
	l.news = make(chan struct{})
}

// fateOf judges an error. A server that follows says that it cannot write; of everything else the row may be there all the same.
func fateOf(err error) Fate {
	var said *pgconn.PgError
	if errors.As(err, &said) && said.Code == "25006" {
		return Refused
	}
	return Doubtful
}

// Count says how many rows have a fate.
func (l *Ledger) Count(f Fate) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, has := range l.fates {
		if has == f {
			n++
		}
	}
	return n
}

// Recovery waits for the first acknowledgement of a row that was sent after a moment, and says how long after.
func (l *Ledger) Recovery(ctx context.Context, after time.Time) (time.Duration, error) {
	for {
		l.mu.Lock()
		at, news := slices.IndexFunc(l.answers, func(a answer) bool { return a.sent.After(after) }), l.news
		if at >= 0 {
			defer l.mu.Unlock()
			return l.answers[at].came.Sub(after), nil
		}
		l.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return 0, fmt.Errorf("nothing has been acknowledged since: %w", ctx.Err())
		}
	}
}

// Pause is the longest time without an acknowledgement since a moment.
func (l *Ledger) Pause(since time.Time) (longest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.answers {
		if a.came.After(since) {
			longest = max(longest, a.came.Sub(since))
			since = a.came
		}
	}
	return longest
}

// Audit holds the rows of a database against the ledger as it was before they were read.
func (l *Ledger) Audit(known map[int64]Fate, rows map[int64]bool) (problems []error) {
	var lost, forged []int64
	for row, f := range known {
		switch {
		case f == Acknowledged && !rows[row]:
			lost = append(lost, row)
		case f == Refused && rows[row]:
			forged = append(forged, row)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for row, there := range rows {
		if _, sent := l.fates[row]; there && !sent {
			forged = append(forged, row)
		}
	}
	for what, which := range map[string][]int64{"acknowledged rows are lost": lost, "rows are there that cannot be": forged} {
		if len(which) > 0 {
			slices.Sort(which)
			problems = append(problems, fmt.Errorf("%d %s: %v …", len(which), what, which[:min(20, len(which))]))
		}
	}
	return problems
}

// Snapshot is the ledger as it is now.
func (l *Ledger) Snapshot() map[int64]Fate {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := make(map[int64]Fate, len(l.fates))
	for row, f := range l.fates {
		known[row] = f
	}
	return known
}

// String counts the rows of each fate.
func (l *Ledger) String() string {
	return fmt.Sprintf("%d acknowledged, %d in doubt, %d refused", l.Count(Acknowledged), l.Count(Doubtful), l.Count(Refused))
}

// Check reads the rows of the table, through an address of the database, and holds them against the ledger. An error says that they could not be read.
func (l *Ledger) Check(ctx context.Context, url string) (problems []error, err error) {
	known := l.Snapshot()
	rows, err := rowsOf(ctx, url)
	if err != nil {
		return nil, err
	}
	return l.Audit(known, rows), nil
}

// rowsOf are the rows of a ledger's table.
func rowsOf(ctx context.Context, url string) (map[int64]bool, error) {
	connecting, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	s, err := Connect(connecting, url, "", "")
	if err != nil {
		return nil, err
	}
	texts, err := s.Query(ctx, WriteLimit, "SELECT id FROM ledger")
	if err = errors.Join(err, s.Leave()); err != nil {
		return nil, err
	}
	rows := map[int64]bool{}
	for _, row := range texts {
		id, err := strconv.ParseInt(row[0], 10, 64)
		if err != nil {
			return nil, err
		}
		rows[id] = true
	}
	return rows, nil
}
