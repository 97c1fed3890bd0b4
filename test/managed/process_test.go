package managed

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// machine is the machine on which the servers run: their processes and folders, seen without the host's agent.
type machine struct {
	t *testing.T
	// data is the folder of all servers.
	data string
}

// folder is that of a server, by the name of its object.
func (m machine) folder(server string) string {
	return filepath.Join(m.data, "servers", "default+"+server)
}

// socket is the server's own, in the abstract namespace.
func (m machine) socket(server, port string) string {
	digest := sha256.Sum256([]byte(m.folder(server)))
	return "@sp-" + hex.EncodeToString(digest[:6]) + "/.s.PGSQL." + port
}

// postmaster is the first process of a server, 0 when none lives.
func (m machine) postmaster(server string) int {
	text, err := os.ReadFile(filepath.Join(m.folder(server), "data", "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		m.t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || !strings.Contains(commandLine(pid), m.folder(server)) || state(pid) == "Z" {
		return 0
	}
	return pid
}

// processes are those of a server: the first one and its children.
func (m machine) processes(server string) (pids []int) {
	first := m.postmaster(server)
	if first == 0 {
		return nil
	}
	pids = append(pids, first)
	for _, pid := range everybody(m.t) {
		if fields := stat(pid); len(fields) > 1 && fields[1] == strconv.Itoa(first) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// left are all processes that know the folder of the servers, or another one, by their command line.
func (m machine) left(folders ...string) (found []string) {
	for _, pid := range everybody(m.t) {
		line := commandLine(pid)
		for _, folder := range append(folders, m.data) {
			if strings.Contains(line, folder) {
				found = append(found, strconv.Itoa(pid)+" "+line)
			}
		}
		if strings.HasPrefix(line, "postgres: ") && m.ours(pid) {
			found = append(found, strconv.Itoa(pid)+" "+line)
		}
	}
	return found
}

// ours reports whether a process works in the folder of the servers.
func (m machine) ours(pid int) bool {
	folder, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
	return err == nil && strings.HasPrefix(folder, m.data+"/")
}

// send sends a signal to processes; one that has ended meanwhile is no mistake.
func (m machine) send(signal syscall.Signal, pids ...int) {
	m.t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			m.t.Fatalf("signal %v to process %d: %v", signal, pid, err)
		}
	}
}

func everybody(t *testing.T) (pids []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

func commandLine(pid int) string {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return "" // it has ended
	}
	return strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " "))
}

// stat are the kernel's fields about a process, from its state on: state, parent, …
func stat(pid int) []string {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
}

func state(pid int) string {
	if fields := stat(pid); len(fields) > 0 {
		return fields[0]
	}
	return "Z"
}
