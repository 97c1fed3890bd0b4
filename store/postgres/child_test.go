package postgres

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

// The test binary plays another process when this is set: the name of a part of childParts.
const childPart = "SETPOINT_TEST_PART"

// childParts are run by another process, until its standard input ends or the part is over. What they return is printed as JSON.
var childParts = map[string]func(ctx context.Context, out io.Writer) error{
	"contender": contend,
	"freezer":   holdTheCounter,
}

// childRole runs the child's part, and reports whether this process is one.
func childRole() bool {
	part, ok := childParts[os.Getenv(childPart)]
	if !ok {
		return false
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // the parent closes the pipe, or is gone
		defer cancel()
		if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
		}
	}()
	if err := part(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(3)
	}
	return true
}

// childProcess is a child under way.
type childProcess struct {
	cmd   *exec.Cmd
	out   *bufio.Reader
	stdin io.Closer
}

// startChild runs a part in a process of its own.
func startChild(t *testing.T, part string, env ...string) *childProcess {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), childPart+"="+part), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &childProcess{cmd: cmd, out: bufio.NewReader(out), stdin: stdin}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("kill the child: %v", err)
		}
		if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
			t.Errorf("wait for the child: %v", err)
		}
	})
	return c
}

// line reads what a child prints next into v.
func (c *childProcess) line(t *testing.T, v any) {
	t.Helper()
	text, err := c.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatalf("a line of the child, %q: %v", text, err)
	}
}

// printJSON writes one line.
func printJSON(out io.Writer, v any) error { return json.NewEncoder(out).Encode(v) }
