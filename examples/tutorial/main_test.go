package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestProgram runs the program of the tutorial as a reader does: once to publish, again to change, again to delete.
func TestProgram(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "public", "default", "home.html")
	for _, c := range []struct {
		reason, title string
		remove        bool
		until         string
	}{
		{"a new page is published", "Hello", false, "home is Published, ready: true"},
		{"a second run finds it, and changes it", "Good evening", false, "home is Published, ready: true"},
		{"a third deletes it", "", true, "home is Removed"},
	} {
		runUntil(t, dir, c.title, c.remove, c.until)
		text, err := os.ReadFile(path)
		switch {
		case c.remove && !errors.Is(err, os.ErrNotExist):
			t.Errorf("%s: the file is still there: %q (%v)", c.reason, text, err)
		case !c.remove && !strings.Contains(string(text), "<h1>"+c.title+"</h1>"):
			t.Errorf("%s: the file is %q (%v)", c.reason, text, err)
		}
	}
	if err := run(t.Context(), dir, " ", false, io.Discard); err == nil || !strings.Contains(err.Error(), "spec.title: a page needs a title") {
		t.Errorf("a page without a title: %v, want it refused", err)
	}
}

// runUntil runs the program until it prints a line that contains the text.
func runUntil(t *testing.T, dir, title string, remove bool, text string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	printed, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, dir, title, remove, out)
		ended <- errors.Join(err, out.Close())
	}()
	var seen []string
	found := false
	for lines := bufio.NewScanner(printed); lines.Scan(); {
		seen = append(seen, lines.Text())
		if strings.Contains(lines.Text(), text) {
			found = true
			stop() // and read on, so that the program can end
		}
	}
	if err := <-ended; err != nil {
		t.Errorf("the program ended with: %v", err)
	}
	if !found {
		t.Errorf("the program never printed %q:\n%s", text, strings.Join(seen, "\n"))
	}
}
