package managed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// fate is what a writer knows of a row.
type fate int

const (
	// doubtful rows were sent, and no answer has come, or none yet.
	doubtful fate = iota
	// refused rows are not there: the server has said so.
	refused
	// acknowledged rows are there for good.
	acknowledged
)

// ledger is what writers have been told. It is kept apart from the database, to hold the database against it.
type ledger struct {
	mu    sync.Mutex
	last  int64
	fates map[int64]fate
	// answers are the moments in which acknowledgements came, in order, with those in which their requests were sent.
	answers []answer
	// news is closed, and made anew, with every acknowledgement.
	news chan struct{}
}

type answer struct{ sent, came time.Time }

func newLedger() *ledger {
	return &ledger{fates: map[int64]fate{}, news: make(chan struct{})}
}

// next is a row that nobody has written yet. It is in doubt until something is known about it.
func (l *ledger) next() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	l.fates[l.last] = doubtful
	return l.last
}

// learn notes how a row that was sent then has fared.
func (l *ledger) learn(row int64, sent time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.fates[row] = fateOf(err)
		return
	}
	l.fates[row] = acknowledged
	l.answers = append(l.answers, answer{sent, time.Now()})
	close(l.news)
	l.news = make(chan struct{})
}

// fateOf judges an error. A server that follows says that it cannot write; of everything else the row may be there all the same.
func fateOf(err error) fate {
	var said *pgconn.PgError
	if errors.As(err, &said) && said.Code == "25006" {
		return refused
	}
	return doubtful
}

// count says how many rows have a fate.
func (l *ledger) count(f fate) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, has := range l.fates {
		if has == f {
			n++
		}
	}
	return n
}

// recovery waits for the first acknowledgement of a row that was sent after a moment, and says how long after.
func (l *ledger) recovery(ctx context.Context, after time.Time) (time.Duration, error) {
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

// pause is the longest time without an acknowledgement since a moment.
func (l *ledger) pause(since time.Time) (longest time.Duration) {
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

// audit holds the rows of a database against the ledger as it was before they were read.
func (l *ledger) audit(known map[int64]fate, rows map[int64]bool) (problems []error) {
	var lost, forged []int64
	for row, f := range known {
		switch {
		case f == acknowledged && !rows[row]:
			lost = append(lost, row)
		case f == refused && rows[row]:
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

// snapshot is the ledger as it is now.
func (l *ledger) snapshot() map[int64]fate {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := make(map[int64]fate, len(l.fates))
	for row, f := range l.fates {
		known[row] = f
	}
	return known
}

func (l *ledger) String() string {
	return fmt.Sprintf("%d acknowledged, %d in doubt, %d refused", l.count(acknowledged), l.count(doubtful), l.count(refused))
}
