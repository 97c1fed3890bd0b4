package pg

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheNewestSupportedVersionIsUsed(t *testing.T) {
	for _, c := range []struct {
		reason    string
		installed []string
		want      int // 0 is none
	}{
		{"by number, not by spelling", []string{"9", "14", "100"}, 100},
		{"the oldest supported one will do", []string{"13", "14"}, 14},
		{"older ones lack what Setpoint uses", []string{"9.6", "13"}, 0},
		{"nothing is there", nil, 0},
	} {
		folder := t.TempDir()
		for _, version := range c.installed {
			bin := filepath.Join(folder, version, "bin")
			if err := os.MkdirAll(bin, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(bin, "postgres"), nil, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		found, err := newest(folder)
		if found.major != c.want || (err != nil) != (c.want == 0) {
			t.Errorf("of %v: %d, %v, want %d: %s", c.installed, found.major, err, c.want, c.reason)
		}
	}
}

func TestAClosedFolderIsRefusedForRoot(t *testing.T) {
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := reachable(folder); (err != nil) != (os.Geteuid() == 0) {
		t.Errorf("user %d, a folder that is closed to others: %v", os.Geteuid(), err)
	}
}
