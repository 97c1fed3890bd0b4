package sqlite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/storetest"
)

// The test binary plays the process that crashes when these are set.
const (
	childPath = "SETPOINT_TEST_DATABASE"
	childKill = "SETPOINT_TEST_KILL" // "before 3", "after 3": kills itself around the third commit; empty: runs until it is killed
)

// childRole runs the child's part, and reports whether this process is one.
func childRole() bool {
	path := os.Getenv(childPath)
	if path == "" {
		return false
	}
	if err := child(path, os.Getenv(childKill)); err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(3)
	}
	return true
}

// child increments pairs of counters, and says so on stdout after each acknowledgement.
func child(path, kill string) error {
	when, at, _ := strings.Cut(kill, " ")
	n, workers := 0, 8
	if kill != "" {
		var err error
		if n, err = strconv.Atoi(at); err != nil {
			return err
		}
		workers = 1
	}
	groups := 0
	die := func(here string) error {
		if here == "before" {
			groups++
		}
		if when == here && groups == n {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return nil
	}
	s, err := Open(context.Background(), Options{Path: path, Hooks: Hooks{
		BeforeCommit: func(GroupStats) error { return die("before") },
		AfterCommit:  func(GroupStats) error { return die("after") },
	}})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	failed := make(chan error, workers)
	for w := range workers {
		wg.Go(func() { failed <- countForEver(s, w) })
	}
	wg.Wait()
	return <-failed
}

// pair names the two objects that are always written together.
func pair(worker int) (left, right resource.Key) {
	left, right = box("").Key, box("").Key
	left.Name, right.Name = resource.Name(fmt.Sprint("left-", worker)), resource.Name(fmt.Sprint("right-", worker))
	return left, right
}

func countForEver(s *Store, worker int) error {
	left, right := pair(worker)
	for {
		var tx store.Transaction
		n := 0
		for _, key := range []resource.Key{left, right} {
			o, err := s.Object(context.Background(), key)
			if errors.Is(err, store.ErrNotFound) {
				o, err = box(string(key.Name)), nil
				o.Spec = []byte(`0`)
			}
			if err != nil {
				return err
			}
			have, err := strconv.Atoi(string(o.Spec))
			if err != nil {
				return err
			}
			expect := o.Revision
			o = o.Clone()
			n = have + 1
			o.Spec = []byte(strconv.Itoa(n))
			tx.Objects = append(tx.Objects, store.ObjectWrite{Object: o, Expect: expect})
		}
		if _, err := s.Commit(context.Background(), tx); err != nil {
			return err
		}
		if _, err := fmt.Printf("%d %d\n", worker, n); err != nil {
			return err
		}
	}
}

// runChild runs a child, kills it after so many acknowledgements (0: it does so itself), and returns the last acknowledged count per worker.
func runChild(t *testing.T, path, kill string, acknowledgements int) map[int]int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childPath+"="+path, childKill+"="+kill)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := map[int]int{}
	lines := bufio.NewReader(out)
	for seen := 1; ; seen++ {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break // a last line without an end was cut by the kill
		}
		if err != nil {
			t.Fatal(err)
		}
		var worker, n int
		if _, err := fmt.Sscanf(line, "%d %d", &worker, &n); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		acknowledged[worker] = n
		if seen == acknowledgements {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended with %v, it should have been killed", err)
	}
	return acknowledged
}

// checkSurvivors opens the database, and holds it against what was acknowledged. It returns the revision.
func checkSurvivors(t *testing.T, path string, acknowledged map[int]int) resource.Revision {
	t.Helper()
	s := open(t, func(o *Options) { o.Path = path })
	state, err := storetest.ScanState(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for worker := range 8 {
		left, right := pair(worker)
		a, b := counterOf(t, state, left), counterOf(t, state, right)
		if a != b {
			t.Errorf("worker %d: half a transaction: left %d, right %d", worker, a, b)
		}
		if a < acknowledged[worker] {
			t.Errorf("worker %d: %d were acknowledged, %d are there", worker, acknowledged[worker], a)
		}
		total += a
	}
	if state.Revision != resource.Revision(total) {
		t.Errorf("revision %d after %d commits", state.Revision, total)
	}
	checkFeed(t, s, state)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return state.Revision
}

func counterOf(t *testing.T, state *storetest.State, key resource.Key) int {
	t.Helper()
	o := state.Objects[key]
	if o == nil {
		return 0
	}
	var n int
	if err := json.Unmarshal(o.Spec, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// checkFeed replays everything from revision 0.
func checkFeed(t *testing.T, s *Store, want *storetest.State) {
	t.Helper()
	stream, err := s.Watch(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	state := storetest.NewState()
	for state.Revision < want.Revision {
		b, err := stream.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := state.Apply(b); err != nil {
			t.Fatal(err)
		}
	}
	if state.String() != want.String() {
		t.Errorf("the feed gives\n%s\nthe database has\n%s", state, want)
	}
}

// TestKill kills a process that eight goroutines commit in, again and again, on one database.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	for round := range 6 {
		acknowledged := runChild(t, path, "", 40+37*round)
		rev := checkSurvivors(t, path, acknowledged)
		t.Logf("round %d: revision %d", round, rev)
	}
}

// TestKillAroundEveryCommit enumerates the moments just before and just after each of the first commits.
func TestKillAroundEveryCommit(t *testing.T) {
	for n := 1; n <= 4; n++ {
		for when, lost := range map[string]int{"before": 1, "after": 0} {
			path := filepath.Join(t.TempDir(), "test.db")
			acknowledged := runChild(t, path, fmt.Sprintf("%s %d", when, n), 0)
			rev := checkSurvivors(t, path, acknowledged)
			if want := n - lost; int(rev) != want {
				t.Errorf("killed %s commit %d: revision %d, want %d", when, n, rev, want)
			}
			if acknowledged[0] != n-1 {
				t.Errorf("killed %s commit %d: %d were acknowledged, want %d", when, n, acknowledged[0], n-1)
			}
		}
	}
}

// TestOtherProcessIsRefused lets another process hold the database.
func TestOtherProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childPath+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Options{Path: path})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint("process ", cmd.Process.Pid)) {
		t.Errorf("error %v; want ErrInUse, naming process %d", err, cmd.Process.Pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
	open(t, func(o *Options) { o.Path = path })
}
