// Package golden compares what a test got with a file under testdata, which its flag -update writes anew:
//
//	golden.Check(t, "faults.txt", err.Error())
//
//	go test ./decide -update
//
// A change of the files is a change of what users read: look at it before it is committed.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Check fails the test when got is not, byte for byte, what the file of that name under testdata holds. With -update it writes the file.
func Check(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	line, g, w := difference(got, string(want))
	t.Errorf("%s differs from line %d on; run the test with -update and look at the change.\n got %s\nwant %s", path, line, g, w)
}

// difference is the first line, counted from 1, in which two texts that are not equal differ, and what each says there.
func difference(got, want string) (line int, g, w string) {
	for {
		line++
		var moreGot, moreWant bool
		g, got, moreGot = strings.Cut(got, "\n")
		w, want, moreWant = strings.Cut(want, "\n")
		if g != w || moreGot != moreWant {
			return line, g, w
		}
	}
}
