package pg

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// oldest is the first major version that Setpoint supports.
const oldest = 14

// installation is a folder of PostgreSQL's programs, of one version.
type installation struct {
	bin   string // a folder with initdb, postgres, pg_basebackup, pgbench
	major int
}

func (i installation) program(name string) string { return filepath.Join(i.bin, name) }

// debian is where Debian's packages put the servers, in folders that are named by major version.
const debian = "/usr/lib/postgresql"

// installed finds PostgreSQL, installing Debian's package when there is none. It looks once per test binary.
var installed = sync.OnceValues(func() (installation, error) {
	there := func() bool { _, err := newest(debian); return err == nil }
	if err := testkit.Install("postgresql", there, withoutCluster); err != nil {
		return installation{}, fmt.Errorf("PostgreSQL of version %d or newer, looked for in %s: %w", oldest, debian, err)
	}
	return newest(debian)
})

// newest is the newest version of at least [oldest] under a folder whose folders are named by major version.
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

// withoutCluster tells Debian's package not to create and start a cluster, as it otherwise would.
func withoutCluster() error {
	const defaults = "/etc/postgresql-common/createcluster.d"
	if err := os.MkdirAll(defaults, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(defaults, "setpoint.conf"), []byte("create_main_cluster = false\n"), 0o644)
}
