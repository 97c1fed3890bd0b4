package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/cli"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestProgram types what the tutorial's reader types.
func TestProgram(t *testing.T) {
	dir := t.TempDir()
	manifest := func(text string) string {
		path := filepath.Join(t.TempDir(), "page.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	hello, err := os.ReadFile("home.yaml")
	if err != nil {
		t.Fatal(err)
	}
	evening := manifest(strings.Replace(string(hello), "Hello", "Good evening", 1))
	untitled := manifest(strings.Replace(string(hello), "Hello", `" "`, 1))
	url, stop := serveIn(t, dir)
	defer stop()

	for _, c := range []struct {
		reason, line string
		code         int
		says, page   string
	}{
		{"a manifest makes a page", "apply -f home.yaml", 0, "home created", ""},
		{"it is published", "wait page home --for=state=Published", 0, "", "<h1>Hello</h1>"},
		{"a changed manifest changes it", "apply -f " + evening, 0, "home configured", ""},
		{"which takes a moment", "wait page home", 0, "", "<h1>Good evening</h1>"},
		{"the kind's rules are asked", "apply -f " + untitled, 7, "spec.title: Invalid value: a page needs a title", "<h1>Good evening</h1>"},
		{"why is answered also when all is well", "why page home", 0, "is at its setpoint", ""},
		{"deletion is asked for", "delete page home", 0, "home", ""},
		{"and done", "wait page home --for=delete", 0, "", "none"},
	} {
		code, output := typed(t, url, c.line)
		if code != c.code || !strings.Contains(output, c.says) {
			t.Errorf("%s: %q ended with %d, want %d and %q:\n%s", c.reason, c.line, code, c.code, c.says, output)
		}
		text, err := os.ReadFile(filepath.Join(dir, "public", "default", "home.html"))
		switch {
		case c.page == "none" && !errors.Is(err, os.ErrNotExist):
			t.Errorf("%s: after %q the file is %q (%v), want none", c.reason, c.line, text, err)
		case c.page != "none" && !strings.Contains(string(text), c.page):
			t.Errorf("%s: after %q the file is %q (%v), want %q", c.reason, c.line, text, err, c.page)
		}
	}
}

// serveIn runs "dev" until stop is called, and returns its URL.
func serveIn(t *testing.T, dir string) (url string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	said, says := io.Pipe()
	p := program
	p.Stdout, p.Stderr, p.Environ = says, says, func() []string { return nil }
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, p, []string{"dev", "--listen", "127.0.0.1:0", "--directory", dir})
		if err := says.Close(); err != nil {
			t.Error(err)
		}
	}()
	lines := bufio.NewScanner(said)
	for url == "" && lines.Scan() {
		_, url, _ = strings.Cut(lines.Text(), "Serving at ")
	}
	drained := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, said); drained <- err }()
	return url, func() {
		cancel()
		if code := <-ended; code != cli.ExitOK {
			t.Errorf("dev ended with %d, want %d", code, cli.ExitOK)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
	}
}

// typed runs one line against the server.
func typed(t *testing.T, url, line string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	p := program
	p.Stdout, p.Stderr = &out, &out
	p.Environ = func() []string { return []string{"SETPOINT_SERVER=" + url} }
	code = cli.Run(t.Context(), p, strings.Fields(line))
	return code, out.String()
}
