package moves

import "sync"

// Bell is rung by an engine, and heard by everybody who asked to. Its zero value is ready.
type Bell struct {
	mu        sync.Mutex
	listeners []chan struct{}
}

// Listen returns a channel of its own for each call, which is sent to with every [Bell.Ring] from now on; one is kept for a listener that is not waiting. A
// channel lives as long as the bell: listen once, not in a loop.
func (b *Bell) Listen() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := make(chan struct{}, 1)
	b.listeners = append(b.listeners, l)
	return l
}

// Ring tells all who listen. It never waits.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.listeners {
		select {
		case l <- struct{}{}:
		default: // it has not looked since the last time
		}
	}
}
