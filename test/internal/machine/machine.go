package machine

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

// Machine is the machine on which the servers of a host's agent run: their processes and folders, seen without the agent.
type Machine struct {
	T *testing.T
	// Data is the folder of all servers.
	Data string
}

// folder is that of a server, by the name of its object.
func (m Machine) folder(server string) string {
	return filepath.Join(m.Data, "servers", "default+"+server)
}

// Socket is the server's own, in the abstract namespace.
func (m Machine) Socket(server, port string) string {
	digest := sha256.Sum256([]byte(m.folder(server)))
	return "@sp-" + hex.EncodeToString(digest[:6]) + "/.s.PGSQL." + port
}

// Postmaster is the first process of a server, 0 when none lives.
func (m Machine) Postmaster(server string) int {
	text, err := os.ReadFile(filepath.Join(m.folder(server), "data", "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		m.T.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || !strings.Contains(commandLine(pid), m.folder(server)) || State(pid) == "Z" {
		return 0
	}
	return pid
}

// Processes are those of a server: the first one and its children.
func (m Machine) Processes(server string) (pids []int) {
	first := m.Postmaster(server)
	if first == 0 {
		return nil
	}
	pids = append(pids, first)
	for _, pid := range everybody(m.T) {
		if fields := stat(pid); len(fields) > 1 && fields[1] == strconv.Itoa(first) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Left are all processes that know the folder of the servers, or another one, by their command line.
func (m Machine) Left(folders ...string) (found []string) {
	for _, pid := range everybody(m.T) {
		line := commandLine(pid)
		for _, folder := range append(folders, m.Data) {
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
func (m Machine) ours(pid int) bool {
	folder, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
	return err == nil && strings.HasPrefix(folder, m.Data+"/")
}

// Send sends a signal to processes; one that has ended meanwhile is no mistake.
func (m Machine) Send(signal syscall.Signal, pids ...int) {
	m.T.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			m.T.Fatalf("signal %v to process %d: %v", signal, pid, err)
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

// State is the kernel's letter for what a process does, "Z" when there is none.
func State(pid int) string {
	if fields := stat(pid); len(fields) > 0 {
		return fields[0]
	}
	return "Z"
}
