package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// watcher waits for the end of any number of processes in one goroutine.
type watcher struct {
	epoll, wake int
	ended       func(*instance)
	done        chan struct{}

	mu      sync.Mutex
	watched map[int32]*instance // by process handle
}

func newWatcher(ended func(*instance)) (*watcher, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("host: watch processes: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("host: watch processes: %w", err), unix.Close(epoll))
	}
	w := &watcher{epoll: epoll, wake: wake, ended: ended, done: make(chan struct{}), watched: map[int32]*instance{}}
	if err := w.register(wake); err != nil {
		return nil, errors.Join(err, unix.Close(wake), unix.Close(epoll))
	}
	go w.run()
	return w, nil
}

func (w *watcher) register(fd int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("host: watch processes: %w", err)
	}
	return nil
}

// add watches a process by its handle, which becomes readable when the process ends.
func (w *watcher) add(pidfd int, i *instance) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watched[int32(pidfd)] = i
	return w.register(pidfd)
}

func (w *watcher) run() {
	defer close(w.done)
	events := make([]unix.EpollEvent, 64)
	for {
		n, err := unix.EpollWait(w.epoll, events, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			panic(fmt.Sprintf("host: wait for processes: %v", err)) // the handle is ours and valid: a bug
		}
		for _, event := range events[:n] {
			if event.Fd == int32(w.wake) {
				return
			}
			w.end(event.Fd)
		}
	}
}

func (w *watcher) end(pidfd int32) {
	w.mu.Lock()
	i := w.watched[pidfd]
	delete(w.watched, pidfd)
	event := unix.EpollEvent{}
	err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_DEL, int(pidfd), &event)
	w.mu.Unlock()
	if err != nil {
		panic(fmt.Sprintf("host: stop watching a process: %v", err)) // as above
	}
	if i != nil {
		w.ended(i)
	}
}

// close ends the goroutine and waits for it.
func (w *watcher) close() error {
	if _, err := unix.Write(w.wake, binary.NativeEndian.AppendUint64(nil, 1)); err != nil {
		return fmt.Errorf("host: wake the watcher: %w", err)
	}
	<-w.done
	return errors.Join(unix.Close(w.wake), unix.Close(w.epoll))
}
