package host

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/setpointhq/setpoint/internal/durable"
)

// account is the system user that servers run as, and whose their files are.
type account struct {
	name     string
	uid, gid int
	borrowed bool // not the user that the host runs as
	// trusted may speak to servers as [Role] over the local socket.
	trusted []string
}

// findAccount is this process's own user, or for root that of Debian's package, or else nobody.
func findAccount() (account, error) {
	own, err := user.Current()
	if err != nil {
		return account{}, fmt.Errorf("host: find the own user: %w", err)
	}
	if os.Geteuid() != 0 {
		return account{name: own.Username, uid: os.Geteuid(), gid: os.Getegid(), trusted: []string{own.Username}}, nil
	}
	var missing error
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			missing = errors.Join(missing, err)
			continue
		}
		uid, badUID := strconv.Atoi(found.Uid)
		gid, badGID := strconv.Atoi(found.Gid)
		return account{name: name, uid: uid, gid: gid, borrowed: true, trusted: []string{own.Username, name}}, errors.Join(badUID, badGID)
	}
	return account{}, fmt.Errorf("host: PostgreSQL does not run as root, and there is no user to run it as: %w", missing)
}

// credential is nil when programs run as the host's own user.
func (a account) credential() *syscall.Credential {
	if !a.borrowed {
		return nil
	}
	return &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
}

// own makes a file or folder the account's.
func (a account) own(path string) error {
	if !a.borrowed {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}

// folder makes a folder of the account's, when it is missing.
func (a account) folder(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return a.own(path)
}

// write replaces a file of the account's as a whole, durably.
func (a account) write(path string, text []byte) (err error) {
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close(), a.own(path+".new")); err != nil {
		return err
	}
	return durable.Rename(path+".new", path)
}

// remove removes a file, durably; one that is not there is no error.
func remove(path string) error {
	if err := os.Remove(path); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return durable.Sync(filepath.Dir(path))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// reachable says whether the account may pass through a folder and those above it.
func (a account) reachable(path string) error {
	if !a.borrowed {
		return nil
	}
	for at := path; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		at0 := info.Sys().(*syscall.Stat_t)
		if info.Mode().Perm()&0o001 == 0 && int(at0.Uid) != a.uid {
			return fmt.Errorf("host: %s is closed to other users, and servers run as %s: set Options.Data to a folder that is open (mode 0711)", at, a.name)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// oldest is the first major version that is known to work: earlier ones have no sockets in the abstract namespace.
const oldest = 14

// findPrograms is the folder of the newest PostgreSQL under Debian's folder of versions.
func findPrograms(versions string) (string, error) {
	servers, err := filepath.Glob(filepath.Join(versions, "*", "bin", "postgres"))
	if err != nil {
		return "", err
	}
	major := func(server string) int {
		number, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(server))))
		if err != nil {
			return 0
		}
		return number
	}
	servers = slices.DeleteFunc(servers, func(server string) bool { return major(server) < oldest })
	if len(servers) == 0 {
		return "", fmt.Errorf("host: no PostgreSQL of version %d or newer in %s/*/bin: install it, or set Options.Bin", oldest, versions)
	}
	return filepath.Dir(slices.MaxFunc(servers, func(a, b string) int { return major(a) - major(b) })), nil
}
