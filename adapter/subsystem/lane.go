package subsystem

import "sync"

// lanes let the calls of one key pass one after the other, in order of arrival.
type lanes struct {
	mu    sync.Mutex
	lanes map[string]*lane
	// depth bounds how many may be in one lane.
	depth int
}

type lane struct {
	// last is closed when the youngest call has left.
	last  chan struct{}
	count int
}

// enter waits for its turn and returns how to end it. ok is false when too many wait already.
func (l *lanes) enter(key string) (leave func(), ok bool) {
	l.mu.Lock()
	at, exists := l.lanes[key]
	if !exists {
		at = &lane{}
		l.lanes[key] = at
	}
	if at.count >= l.depth {
		l.mu.Unlock()
		return nil, false
	}
	ahead, mine := at.last, make(chan struct{})
	at.last = mine
	at.count++
	l.mu.Unlock()
	if ahead != nil {
		<-ahead
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		close(mine)
		if at.count--; at.count == 0 {
			delete(l.lanes, key)
		}
	}, true
}
