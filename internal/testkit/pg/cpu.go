package pg

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// tick is the unit of processor time in /proc, which Linux fixes for programs at a hundredth of a second.
const tick = 10 * time.Millisecond

// CPU is the processor time, in user mode and in the kernel, that all processes of the server have spent since it was
// last started: the postmaster, its children, and those that have ended. Its grain is 10 ms per process, so measure
// over seconds. What the kernel does for them in threads of its own, such as writing pages out, is not in it.
func (s *Server) CPU(t testing.TB) time.Duration {
	t.Helper()
	spent, err := spent(s.PID())
	if err != nil {
		t.Fatalf("processor time of PostgreSQL at port %d: %v", s.Port(), err)
	}
	return spent
}

// spent sums up a process and its children. It looks again when one of them has come or gone meanwhile, and would be
// counted twice or not at all.
func spent(parent int) (time.Duration, error) {
	const looks = 100
	for range looks {
		before, err := children(parent)
		if err != nil {
			return 0, err
		}
		own, err := readStat(parent)
		if err != nil {
			return 0, err
		}
		after, err := children(parent)
		if err != nil {
			return 0, err
		}
		if !slices.EqualFunc(before, after, func(a, b stat) bool { return a.pid == b.pid && a.began == b.began && a.zombie == b.zombie }) {
			continue
		}
		ticks := own.cpu + own.reaped
		for _, child := range before {
			ticks += child.cpu + child.reaped
		}
		return time.Duration(ticks) * tick, nil
	}
	return 0, fmt.Errorf("processes came or went during each of %d looks: measure while connections stay", looks)
}
