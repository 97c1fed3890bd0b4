package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A fenced block may say what it shows: "```go file=examples/x/y.go" is that whole file, and "```go from=x_test.go" is a passage of it,
// indentation aside.
var fence = regexp.MustCompile("(?ms)^```(\\w+) (file|from)=(\\S+)\n(.*?)^```$")

// TestBlocks holds every such block against its file.
func TestBlocks(t *testing.T) {
	checked := 0
	for _, path := range pages(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fresh := fence.ReplaceAllStringFunc(string(text), func(block string) string {
			m := fence.FindStringSubmatch(block)
			source, err := os.ReadFile(filepath.Join("..", m[3]))
			if err != nil {
				t.Errorf("%s shows a file that cannot be read: %v", path, err)
				return block
			}
			checked++
			if m[2] == "from" {
				if !strings.Contains(indented(string(source)), indented(m[4])) {
					t.Errorf("%s shows a passage that is not in %s:\n%s", path, m[3], m[4])
				}
				return block
			}
			return fmt.Sprintf("```%s file=%s\n%s```", m[1], m[3], source)
		})
		if string(text) == fresh {
			continue
		}
		if !*update {
			t.Errorf("%s shows files as they are not; run: go test ./docs -update", path)
			continue
		}
		if err := os.WriteFile(path, []byte(fresh), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if checked == 0 {
		t.Error("no block says what it shows: the test checks nothing")
	}
}

// indented takes the indentation away, and lines that are empty.
func indented(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}

// TestTheTutorialShowsAllOfItsCode: a reader who types what the page shows has the program that is tested.
func TestTheTutorialShowsAllOfItsCode(t *testing.T) {
	text, err := os.ReadFile("tutorial/first-controller.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../examples/tutorial/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("the files of the tutorial: %v %v", files, err)
	}
	for _, f := range files {
		name := filepath.ToSlash(strings.TrimPrefix(f, "../"))
		if name == "examples/tutorial/main_test.go" { // runs the program as the reader does
			continue
		}
		if !strings.Contains(string(text), "file="+name+"\n") {
			t.Errorf("the tutorial does not show %s", name)
		}
	}
}

// pages lists the README and every page below docs.
func pages(t *testing.T) []string {
	t.Helper()
	list := []string{"../README.md", "../CHANGELOG.md"}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
