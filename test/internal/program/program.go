package program

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// path is the program under test, and sources are the files that programs were made of.
var (
	path    string
	mu      sync.Mutex
	sources []string
	touched sync.Once
)

// Path is the file of the program under test. [Main] builds it.
func Path() string {
	Depend()
	return path
}

// Depend has the results of tests depend on the sources of the programs that were built. The go tool remembers the result of tests that have passed, until something changes that they depend on. It does not
// know that they depend on programs, but it sees which files a test looks at.
func Depend() {
	touched.Do(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, file := range sources {
			if _, err := os.Stat(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				panic(err) // it was there when the program was built
			}
		}
	})
}

// Main builds the program, runs the tests, and fails when they leave goroutines behind. It does not return.
func Main(m *testing.M) { MainOf(m, "github.com/setpointhq/setpoint/cmd/setpoint") }

// MainOf is Main for tests of another program, which a package names.
func MainOf(m *testing.M, program string) {
	MainWith(m, func(folder string) error {
		path = filepath.Join(folder, filepath.Base(program))
		return Build(path, program)
	})
}

// MainWith is Main for tests of several programs: build makes them, with [Build], in a folder that is removed in the end.
func MainWith(m *testing.M, build func(folder string) error) {
	folder, err := os.MkdirTemp("", "setpoint-test-")
	if err == nil {
		err = build(folder)
	}
	code := 1
	if err == nil {
		code = m.Run()
	}
	if code == 0 {
		err = goleak.Find()
	}
	if removed := os.RemoveAll(folder); removed != nil && err == nil {
		err = removed
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// Build makes the program of a package, as the file at: with the race detector when the test has it. Options are further ones of go build.
func Build(at, program string, options ...string) error {
	arguments := append([]string{"build", "-o", at}, options...)
	if race {
		arguments = append(arguments, "-race")
	}
	c := exec.Command("go", append(arguments, program)...)
	if output, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", c.Args, err, output)
	}
	const ours = "{{with .Module}}{{if .Main}}{{range $.GoFiles}}{{$.Dir}}/{{.}}\n{{end}}{{range $.EmbedFiles}}{{$.Dir}}/{{.}}\n{{end}}{{end}}{{end}}"
	list := exec.Command("go", "list", "-deps", "-f", ours, program)
	output, err := list.Output()
	if err != nil {
		return fmt.Errorf("%v: %w", list.Args, err)
	}
	mu.Lock()
	defer mu.Unlock()
	sources = append(sources, strings.Fields(string(output))...)
	return nil
}

// Soak reports whether the long forms are asked for.
func Soak() bool { return os.Getenv("SETPOINT_SOAK") != "" }

// Size is a number of the short form, or of the long one.
func Size(short, long int) int {
	if Soak() {
		return long
	}
	return short
}

// Seeded is the source of a test's choices. It prints how to have the same ones again.
func Seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(1)
	if text := os.Getenv("SETPOINT_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("SETPOINT_SEED=%q: %v", text, err)
		}
	}
	t.Logf("seed %d: repeat with SETPOINT_SEED=%d", seed, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// Run runs a program to its end, which must be a good one, and returns what it prints.
func Run(t *testing.T, program string, arguments ...string) string {
	t.Helper()
	var problems strings.Builder
	c := exec.CommandContext(t.Context(), program, arguments...)
	c.Stderr = &problems
	output, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", c.Args, err, output, problems.String())
	}
	return string(output)
}
