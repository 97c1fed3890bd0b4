package pg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// oldest is the first major version that Setpoint supports.
const oldest = 14

// installation is a folder of PostgreSQL's programs, of one version.
type installation struct {
	bin   string // a folder with initdb, postgres, pg_basebackup, pgbench
	major int
}

func (i installation) program(name string) string { return filepath.Join(i.bin, name) }

// installed finds PostgreSQL, installing Debian's package when there is none. It looks once per test binary.
var installed = sync.OnceValues(func() (installation, error) {
	found, err := newest("/usr/lib/postgresql")
	if err == nil {
		return found, nil
	}
	if failed := install(); failed != nil {
		return installation{}, fmt.Errorf("%w; installing it: %w", err, failed)
	}
	return newest("/usr/lib/postgresql")
})

// newest is the newest version of at least [oldest] under a folder whose folders are named by major version, which is
// where Debian's packages put the servers.
func newest(folder string) (installation, error) {
	servers, err := filepath.Glob(filepath.Join(folder, "*", "bin", "postgres"))
	if err != nil {
		return installation{}, err
	}
	var best installation
	for _, server := range servers {
		bin := filepath.Dir(server)
		major, err := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
		if err == nil && major >= oldest && major > best.major {
			best = installation{bin: bin, major: major}
		}
	}
	if best.major == 0 {
		return installation{}, fmt.Errorf("no PostgreSQL of version %d or newer in %s/*/bin", oldest, folder)
	}
	return best, nil
}

// install installs Debian's package, without the cluster that it would otherwise create and start. Concurrent test
// processes take turns, also with those that install other packages.
func install() (err error) {
	unlock, err := lock(filepath.Join(os.TempDir(), "setpoint-testkit.lock"), syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if _, err := newest("/usr/lib/postgresql"); err == nil {
		return nil // another process has installed it meanwhile
	}
	const defaults = "/etc/postgresql-common/createcluster.d"
	if err := os.MkdirAll(defaults, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(defaults, "setpoint.conf"), []byte("create_main_cluster = false\n"), 0o644); err != nil {
		return err
	}
	for _, arguments := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", "postgresql"}} {
		command := exec.Command("apt-get", arguments...)
		command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %v: %w\n%s", arguments, err, output)
		}
	}
	return nil
}

// lock takes a lock on a file, which is made if need be and which the kernel gives back when the process dies.
// how is LOCK_EX, and with LOCK_NB it does not wait.
func lock(path string, how int) (unlock func() error, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), how); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	return file.Close, nil
}
