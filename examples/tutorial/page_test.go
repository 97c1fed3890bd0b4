package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/setpointtest"
)

// TestAPageIsKept runs the whole service in virtual time, on a real database and a real directory.
func TestAPageIsKept(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "default", "home.html")
	holds := func(want string) {
		t.Helper()
		if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("the page is %q (%v), want it to contain %q", text, err, want)
		}
	}
	setpointtest.Run(t, setup(Files{Root: dir}), func(w *setpointtest.World) {
		w.Apply(Pages.Definition, "home", PageSpec{Title: "Hello"})
		w.Converge(time.Minute)
		holds("Hello")

		w.Apply(Pages.Definition, "home", PageSpec{Title: "Good evening"})
		w.Converge(time.Minute)
		holds("Good evening")

		if err := os.Remove(path); err != nil { // an accident
			t.Fatal(err)
		}
		w.Advance(2 * time.Second) // the observer looks once a second
		w.Converge(time.Minute)
		holds("Good evening")

		w.Delete(Pages.Definition, "home")
		w.Converge(time.Minute)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after deletion the file is still there (%v)", err)
		}
	})
}

func setup(adapter command.Adapter) setpointtest.Setup {
	kinds, controllers := parts()
	return setpointtest.Setup{
		Kinds: kinds, Controllers: controllers, Adapters: map[command.AdapterName]command.Adapter{"files": adapter},
	}
}
