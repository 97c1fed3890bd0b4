package pg

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// cluster are initdb's options: UTF-8, bytewise order, and everyone on loopback is who they say they are.
var cluster = []string{"--no-sync", "--encoding=UTF8", "--locale=C", "--auth=trust", "--username=" + superuser}

// templateAge is when a template is made anew, before a cleaner of old temporary files takes parts of it.
const templateAge = 24 * time.Hour

// initialize fills the data folder with a fresh cluster: one of its own, or a copy of the machine's template.
func (f folder) initialize(by account, from installation, own bool) error {
	if own {
		_, err := by.run(f.path, from.program("initdb"), append([]string{"--pgdata=" + f.data()}, cluster...)...)
		return err
	}
	return f.copyTemplate(by, from)
}

// copyTemplate copies the template, which is made if need be: copying takes a tenth of what initdb takes.
func (f folder) copyTemplate(by account, from installation) (err error) {
	home := filepath.Dir(f.path)
	unlock, err := testkit.Lock(filepath.Join(home, "lock"), syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	template, err := template(home, by, from)
	if err != nil {
		return err
	}
	_, err = by.run(f.path, "cp", "-a", "--reflink=auto", template+"/.", f.data())
	return err
}

// template returns the folder of a fresh cluster of this very version. The caller holds home's lock.
func template(home string, by account, from installation) (string, error) {
	version, err := by.run("/", from.program("postgres"), "--version")
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte(version + strings.Join(cluster, " ")))
	path := filepath.Join(home, "template-"+hex.EncodeToString(digest[:6]))
	if info, err := os.Stat(filepath.Join(path, "PG_VERSION")); err == nil && time.Since(info.ModTime()) < templateAge {
		return path, nil
	}
	making := path + ".making"
	if err := errors.Join(os.RemoveAll(path), os.RemoveAll(making), os.Mkdir(making, 0o700), by.own(making)); err != nil {
		return "", err
	}
	if _, err := by.run("/", from.program("initdb"), append([]string{"--pgdata=" + making}, cluster...)...); err != nil {
		return "", err
	}
	return path, os.Rename(making, path)
}
