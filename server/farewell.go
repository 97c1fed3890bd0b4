package server

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// farewell lets clients take leave of a server that stops. A connection on which nothing is under way may be closed at any time, and a client may send a request on it at that very moment: it then does not know what has become
// of it. So a server that leaves answers for a little longer, and tells with each answer that the connection ends with it.
type farewell struct {
	next http.Handler

	mu      sync.Mutex
	leaving bool
	open    map[net.Conn]bool
	changed chan struct{} // has room for one
}

// farewellTime is how long, at most, a server that stops waits for requests on the connections that it has. Who says nothing for so long is not likely to at the moment at which they are closed.
const farewellTime = time.Second

func newFarewell(next http.Handler) *farewell {
	return &farewell{next: next, open: map[net.Conn]bool{}, changed: make(chan struct{}, 1)}
}

// ServeHTTP answers, and ends the connection when the server is leaving.
func (f *farewell) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	leaving := f.leaving
	f.mu.Unlock()
	if leaving {
		w.Header().Set("Connection", "close")
	}
	f.next.ServeHTTP(w, r)
}

// note is told what becomes of connections.
func (f *farewell) note(c net.Conn, state http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(f.open, c)
	} else {
		f.open[c] = true
	}
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// wait returns when no connection is left, or when the time is over: at most half of the grace period, as who is busy is told of the end, and has to end, in the rest. One that is busy counts: its answer may have
// been begun before, and not say that it is the last.
func (f *farewell) wait(grace time.Duration) {
	limit := time.NewTimer(min(farewellTime, grace/2))
	defer limit.Stop()
	for {
		f.mu.Lock()
		f.leaving = true
		left := len(f.open)
		f.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-f.changed:
		case <-limit.C:
			return
		}
	}
}
