package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	code    = regexp.MustCompile("(?ms)^```.*?^```$|`[^`\n]*`")
	unnamed = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// TestLinks: a link to a file of the project leads to one, and a link to a heading to one of the page.
func TestLinks(t *testing.T) {
	checked := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(string(text), ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(m[1], "://") {
				continue
			}
			checked++
			path := page
			if target != "" {
				path = filepath.Join(filepath.Dir(page), target)
			}
			there, err := os.ReadFile(path)
			if info, failed := os.Stat(path); failed != nil || err != nil && !info.IsDir() {
				t.Errorf("%s links to %s, which is not there", page, m[1])
				continue
			}
			if anchor != "" && !anchors(string(there))[anchor] {
				t.Errorf("%s links to the heading #%s, which %s does not have", page, anchor, path)
			}
		}
	}
	if checked == 0 {
		t.Error("no page has a link: the test checks nothing")
	}
}

// TestEveryPageIsListed: the index leads to every page that is not in a section with an index of its own.
func TestEveryPageIsListed(t *testing.T) {
	index, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages(t) {
		page = filepath.ToSlash(page)
		if page == "README.md" || strings.HasPrefix(page, "..") || strings.HasPrefix(page, "design/") {
			continue
		}
		if !strings.Contains(string(index), "("+page+")") {
			t.Errorf("docs/README.md does not lead to %s", page)
		}
	}
}

// anchors are the names under which a page's headings can be linked to.
func anchors(text string) map[string]bool {
	names := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		name := unnamed.ReplaceAllString(strings.ToLower(m[1]), "")
		names[strings.ReplaceAll(strings.TrimSpace(name), " ", "-")] = true
	}
	return names
}
