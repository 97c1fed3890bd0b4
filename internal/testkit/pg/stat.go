package pg

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// stat is what the kernel says about a process.
type stat struct {
	pid, parent int
	zombie      bool
	began       uint64 // ticks since the machine was started: with the pid it names the process
	cpu         int64  // ticks spent by the process
	reaped      int64  // ticks spent by its children that have ended
}

// alive says whether that very process is still there and not merely waiting to be reaped.
func (s stat) alive() bool {
	now, err := readStat(s.pid)
	return err == nil && now.began == s.began && !now.zombie
}

// readStat reads /proc/pid/stat.
func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	// The name, in parentheses, may hold anything; what follows it are fields from the third on.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const state, parent, user, system, childUser, childSystem, began = 0, 1, 11, 12, 13, 14, 19
	if len(fields) <= began {
		return stat{}, fmt.Errorf("process %d: stat has %d fields", pid, len(fields))
	}
	var bad error
	number := func(field int) int64 {
		n, err := strconv.ParseInt(fields[field], 10, 64)
		bad = errors.Join(bad, err)
		return n
	}
	return stat{
		pid: pid, parent: int(number(parent)), zombie: fields[state] == "Z" || fields[state] == "X", began: uint64(number(began)),
		cpu: number(user) + number(system), reaped: number(childUser) + number(childSystem),
	}, bad
}

// children lists the living and the unreaped children of a process.
func children(parent int) ([]stat, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []stat
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue // not a process
		}
		one, err := readStat(pid)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		if one.parent == parent {
			found = append(found, one)
		}
	}
	return found, nil
}
