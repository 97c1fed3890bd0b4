package gateway

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

// setpoint is the program under test.
var setpoint string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "setpoint-test-gateway-")
	if err == nil {
		setpoint = filepath.Join(folder, "setpoint")
		err = build(setpoint)
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

func build(path string) error {
	arguments := []string{"build", "-o", path}
	if race {
		arguments = append(arguments, "-race")
	}
	c := exec.Command("go", append(arguments, "../../cmd/setpoint")...)
	if output, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", c.Args, err, output)
	}
	return nil
}

// soak reports whether the long forms are asked for.
func soak() bool { return os.Getenv("SETPOINT_SOAK") != "" }

// size is a number of the short form, or of the long one.
func size(short, long int) int {
	if soak() {
		return long
	}
	return short
}

// seeded is the source of a test's choices.
func seeded(t *testing.T) *rand.Rand {
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
