package docs

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write anew what is generated from code")

// generated compares a file with what the code says it must be, or writes it.
func generated(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("docs/%s is not what the code says; run: go test ./docs -update", path)
	}
}
