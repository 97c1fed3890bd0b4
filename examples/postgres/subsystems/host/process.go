package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one of a server's, or a tool that works on its folder.
type process struct {
	pid        int
	postmaster bool
}

// processes finds the living processes that belong to the server: by their command line, which is PostgreSQL's to write, and
// their user.
func (s *server) processes() ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("look for processes of server %q: %w", s.name, err)
	}
	var found []process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if ours, postmaster := s.owns(pid); ours {
			found = append(found, process{pid, postmaster})
		}
	}
	return found, nil
}

// owns says whether a process is the server's. One that has ended meanwhile is nobody's.
func (s *server) owns(pid int) (ours, postmaster bool) {
	folder := filepath.Join("/proc", strconv.Itoa(pid))
	info, err := os.Stat(folder)
	if err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != s.host.account.uid {
		return false, false
	}
	text, err := os.ReadFile(filepath.Join(folder, "cmdline"))
	if err != nil || len(text) == 0 {
		return false, false // ended
	}
	words := strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
	if strings.HasPrefix(words[0], "postgres: "+s.tag()+": ") {
		return true, false
	}
	program := filepath.Base(words[0])
	works := slices.Contains(tools, program) && slices.ContainsFunc(words[1:], func(word string) bool {
		return strings.HasPrefix(word[strings.IndexByte(word, '=')+1:], s.folder+"/")
	})
	return works, works && program == "postgres" && len(words) == 3 && words[1] == "-D" && words[2] == s.data()
}

// tools are the programs that work on a server's folder.
var tools = []string{"postgres", "initdb", "pg_basebackup", "pg_rewind", "cp", "sh"}

// postmaster is the running postmaster's process, 0 when there is none. frozen says that it is stopped and does nothing.
func (s *server) postmaster() (pid int, frozen bool) {
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return 0, false
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err = strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid <= 0 {
		return 0, false
	}
	if _, postmaster := s.owns(pid); !postmaster {
		return 0, false
	}
	if ended(pid) {
		return 0, false
	}
	return pid, strings.Contains("Tt", processState(pid))
}

// ended says that a process is gone, or only waits for its parent to take note.
func ended(pid int) bool {
	state := processState(pid)
	return state == "" || strings.Contains("ZX", state)
}

// processState is the letter by which the kernel says what a process does; "" when there is none.
func processState(pid int) string {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return ""
	}
	// The program's name, in parentheses, may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) == 0 {
		return ""
	}
	return fields[0]
}

const (
	// lookEvery is how often it is looked whether a process has come or gone.
	lookEvery = 10 * time.Millisecond
	// readyEvery is how often a starting server is asked whether it is ready.
	readyEvery = 25 * time.Millisecond
)

// until looks again and again, until it is so or ctx ends.
func until(ctx context.Context, every time.Duration, so func() (bool, error)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		done, err := so()
		if done || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// kill ends every process of the server at once, also those that are stopped and those whose postmaster is gone. It does not
// heed the end of the caller's time, because half of a kill is none; it has ten seconds.
func (s *server) kill() error {
	ctx, cancel := s.host.bounded(10 * time.Second)
	defer cancel()
	killed := map[int]bool{} // one that is ending has no command line any more, and may still have the port
	err := until(ctx, lookEvery, func() (bool, error) {
		found, err := s.processes()
		if err != nil {
			return false, err
		}
		for pid := range killed {
			if ended(pid) {
				delete(killed, pid)
			}
		}
		if len(found) == 0 {
			return len(killed) == 0, nil
		}
		// The postmaster first, so that it starts no others.
		slices.SortFunc(found, func(a, b process) int {
			if a.postmaster == b.postmaster {
				return 0
			}
			if a.postmaster {
				return -1
			}
			return 1
		})
		for _, p := range found {
			if err := unix.Kill(p.pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return false, fmt.Errorf("kill process %d: %w", p.pid, err)
			}
			killed[p.pid] = true
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("kill server %q: %w", s.name, err)
	}
	return nil
}

// stop ends the server: in order when fast, at once when that takes too long, and by force in the end.
func (s *server) stop(ctx context.Context) error {
	pid, frozen := s.postmaster()
	for _, signal := range []unix.Signal{unix.SIGINT, unix.SIGQUIT} {
		if pid == 0 || frozen || ctx.Err() != nil {
			break
		}
		if err := unix.Kill(pid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("stop server %q: signal process %d: %w", s.name, pid, err)
		}
		grace, cancel := context.WithTimeout(ctx, s.host.options.Grace)
		failed := until(grace, lookEvery, func() (bool, error) { return ended(pid), nil })
		cancel()
		if failed == nil {
			break
		}
		pid, frozen = s.postmaster()
	}
	return s.clear()
}

// clear ends what an earlier life has left. With no process, its lock is nobody's, whoever has its number by now.
func (s *server) clear() error {
	lock := filepath.Join(s.data(), "postmaster.pid")
	if err := s.kill(); err != nil {
		return err
	}
	return errors.Join(freeMemory(lock), remove(lock))
}
