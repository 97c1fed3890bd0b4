package program

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// path is the program under test.
var path string

// Path is the file of the program under test. [Main] builds it.
func Path() string { return path }

// Main builds the program, runs the tests, and fails when they leave goroutines behind. It does not return.
func Main(m *testing.M) { MainOf(m, "github.com/setpointhq/setpoint/cmd/setpoint") }

// MainOf is Main for tests of another program, which a package names.
func MainOf(m *testing.M, program string) {
	folder, err := os.MkdirTemp("", "setpoint-test-")
	if err == nil {
		path = filepath.Join(folder, filepath.Base(program))
		err = build(program)
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

func build(program string) error {
	arguments := []string{"build", "-o", path}
	if race {
		arguments = append(arguments, "-race")
	}
	c := exec.Command("go", append(arguments, program)...)
	if output, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", c.Args, err, output)
	}
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
