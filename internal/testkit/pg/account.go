package pg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// account is the system user that servers run as. PostgreSQL refuses to run as root, so root borrows one.
type account struct {
	uid, gid int
	borrowed bool // not the user that runs the tests
}

// serving is the account for this process: its own, or for root that of Debian's package, or else nobody's.
var serving = sync.OnceValues(func() (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid()}, nil
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
		return account{uid: uid, gid: gid, borrowed: true}, errors.Join(badUID, badGID)
	}
	return account{}, fmt.Errorf("PostgreSQL does not run as root, and there is no user to run it as: %w", missing)
})

// own makes a file or folder the account's.
func (a account) own(path string) error {
	if !a.borrowed {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}

// command prepares a program that runs as the account in a folder, with no setting of PostgreSQL taken from the
// environment, in a process group of its own, so that an interrupt at the keyboard reaches only the tests.
func (a account) command(folder, program string, arguments ...string) *exec.Cmd {
	command := exec.Command(program, arguments...)
	command.Dir = folder
	command.Env = []string{"LC_ALL=C", "TZ=UTC"}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, "PG") && !strings.HasPrefix(name, "LC_") && name != "LANG" && name != "TZ" {
			command.Env = append(command.Env, variable)
		}
	}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if a.borrowed {
		command.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return command
}

// run runs a program to its end, and returns what it has printed.
func (a account) run(folder, program string, arguments ...string) (string, error) {
	output, err := a.command(folder, program, arguments...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", program, strings.Join(arguments, " "), err, output)
	}
	return string(output), nil
}
