package testkit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// machine is a computer whose apt-get notes what it is told, and brings a file.
func machine(t *testing.T, brings string) (told func() string) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	folder := t.TempDir()
	log := filepath.Join(folder, "log")
	script := "#!/bin/sh\necho \"$@\" >> " + log + "\ncase $1 in install) : > " + brings + ";; esac\n"
	if err := os.WriteFile(filepath.Join(folder, "apt-get"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder)
	return func() string {
		text, err := os.ReadFile(log)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return string(text)
	}
}

func exists(path string) func() bool {
	return func() bool { _, err := os.Stat(path); return err == nil }
}

// aptGet is what installing a package once tells apt-get.
const aptGet = "update\ninstall -y --no-install-recommends ore\n"

func TestPackageFindsWhatIsThere(t *testing.T) {
	if path := Package(t, "dash", "sh"); !strings.HasSuffix(path, "/sh") {
		t.Errorf("found %q", path)
	}
}

func TestInstall(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		reason    string
		before    bool // it is there already
		brings    bool // the package brings it
		prepare   error
		told      string // to apt-get
		says      string // the error; none when empty
		unasked   bool   // prepare is not called
		isRefused bool
	}{
		{reason: "what is missing is installed", brings: true, told: aptGet},
		{reason: "what is there is left alone", before: true, brings: true, unasked: true},
		{reason: "nothing is installed over a failed preparation", brings: true, prepare: refused, says: "package ore: prepare: refused", isRefused: true},
		{reason: "a package without it is not a success", told: aptGet, says: "does not bring"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			wanted := filepath.Join(t.TempDir(), "ore")
			brings := wanted
			if !c.brings {
				brings += ".not"
			}
			told := machine(t, brings)
			if c.before {
				if err := os.WriteFile(wanted, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			asked := 0
			err := Install("ore", exists(wanted), func() error { asked++; return c.prepare })
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) || errors.Is(err, refused) != c.isRefused {
				t.Errorf("error %v, want %q", err, c.says)
			}
			if (asked == 0) != c.unasked || told() != c.told {
				t.Errorf("prepared %d times, apt-get was told %q, want %q", asked, told(), c.told)
			}
		})
	}
}

func TestInstallersTakeTurns(t *testing.T) {
	wanted := filepath.Join(t.TempDir(), "ore")
	told := machine(t, wanted)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := Install("ore", exists(wanted), nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if told() != aptGet {
		t.Errorf("apt-get was told %q, want it once: %q", told(), aptGet)
	}
}

func TestLockIsOneHolders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(path, syscall.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(path, syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("a lock that is held: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := Lock(path, syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		t.Fatalf("a lock that was given back: %v", err)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
}
