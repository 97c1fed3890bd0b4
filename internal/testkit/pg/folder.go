package pg

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// folder is where one server lives: data, the log, the socket. It is named by the server's port, and so reserves that
// port among the processes that use this package, also while the server is down. A lock on it lasts as long as this
// process: what a killed test process has left behind is removed by the next one.
type folder struct {
	path   string
	port   int
	unlock func() error
}

func (f folder) data() string    { return filepath.Join(f.path, "data") }
func (f folder) log() string     { return filepath.Join(f.path, "log") }
func (f folder) sockets() string { return filepath.Join(f.path, "s") }

// remove removes the folder, which frees the port.
func (f folder) remove() (err error) {
	unlock, err := testkit.Lock(filepath.Join(filepath.Dir(f.path), "lock"), syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	return f.clear()
}

// clear removes the folder and what its server left in memory. The caller holds home's lock, so that nobody sweeps the
// folder meanwhile.
func (f folder) clear() error {
	return errors.Join(freeMemory(filepath.Join(f.data(), "postmaster.pid")), os.RemoveAll(f.path), f.unlock())
}

// home is the folder of all servers of the user who runs the tests. Others may pass through it, for the account that
// root borrows, but not look.
func home() (string, error) {
	path := filepath.Join(os.TempDir(), "setpoint-pg-"+strconv.Itoa(os.Geteuid()))
	if err := os.MkdirAll(path, 0o711); err != nil {
		return "", err
	}
	if err := os.Chmod(path, 0o711); err != nil {
		return "", err
	}
	return path, reachable(path)
}

// reachable says whether everyone may pass through a folder and those above it.
func reachable(path string) error {
	for at := path; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o001 == 0 && os.Geteuid() == 0 {
			return fmt.Errorf("%s is closed to other users, and PostgreSQL does not run as root: set TMPDIR to an open folder", at)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// newFolder makes a folder whose port nobody uses.
func newFolder(owner account) (made folder, err error) {
	home, err := home()
	if err != nil {
		return folder{}, fmt.Errorf("a folder for PostgreSQL: %w", err)
	}
	unlock, err := testkit.Lock(filepath.Join(home, "lock"), syscall.LOCK_EX)
	if err != nil {
		return folder{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := sweep(home); err != nil {
		return folder{}, fmt.Errorf("remove what earlier test processes left in %s: %w", home, err)
	}
	port, err := freePort(home)
	if err != nil {
		return folder{}, err
	}
	f := folder{path: filepath.Join(home, strconv.Itoa(port)), port: port}
	if err := errors.Join(os.Mkdir(f.path, 0o711), os.Chmod(f.path, 0o711)); err != nil { // whatever the umask
		return folder{}, err
	}
	if f.unlock, err = testkit.Lock(filepath.Join(f.path, "lock"), syscall.LOCK_EX); err != nil {
		return folder{}, err
	}
	for _, path := range []string{f.data(), f.sockets()} {
		if err := errors.Join(os.Mkdir(path, 0o700), owner.own(path)); err != nil {
			return folder{}, errors.Join(err, f.clear())
		}
	}
	return f, nil
}

// sweep removes the folders of processes that are gone. The caller holds home's lock.
func sweep(home string) error {
	folders, err := filepath.Glob(filepath.Join(home, "[0-9]*"))
	if err != nil {
		return err
	}
	for _, path := range folders {
		unlock, err := testkit.Lock(filepath.Join(path, "lock"), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, os.ErrNotExist) {
			continue // in use, or just removed by its owner
		}
		if err != nil {
			return err
		}
		if err := (folder{path: path, unlock: unlock}).clear(); err != nil {
			return err
		}
	}
	return nil
}

// freePort picks a port below those that the kernel gives to outgoing connections, which could otherwise take it while
// the server is being started again. The caller holds home's lock.
func freePort(home string) (int, error) {
	const first, last, tries = 10000, 32000, 100
	for range tries {
		port := first + rand.IntN(last-first)
		if _, err := os.Stat(filepath.Join(home, strconv.Itoa(port))); err == nil {
			continue
		}
		listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		return port, listener.Close()
	}
	return 0, fmt.Errorf("find a port for PostgreSQL: none of %d tried from %d to %d was free", tries, first, last)
}
