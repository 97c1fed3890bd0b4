package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run is the whole of the tests: the facts of the machine first, and the databases that benchmarks share removed at the end, unless
// SETPOINT_BENCH_DIR names a folder to keep them in for the next run.
func run(m *testing.M) (code int, err error) {
	if populations.dir = os.Getenv("SETPOINT_BENCH_DIR"); populations.dir == "" {
		if populations.dir, err = os.MkdirTemp("", "setpoint-bench-"); err != nil {
			return 0, err
		}
		defer func() {
			if failed := os.RemoveAll(populations.dir); err == nil {
				err = failed
			}
		}()
	}
	facts, err := machine(populations.dir)
	if err != nil {
		return 0, err
	}
	fmt.Println(facts)
	return m.Run(), nil
}

// machine describes what the numbers were taken on.
func machine(dir string) (string, error) {
	p50, p99, err := syncTimes(dir)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("machine: %s/%s, %d × %s, %s, Linux %s, %s\ndisk of %s: write and sync of 4 KiB p50 %s p99 %s; load before the run: %s",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), fact("/proc/cpuinfo", "model name"), fact("/proc/meminfo", "MemTotal"), fact("/proc/sys/kernel/osrelease", ""), runtime.Version(),
		filepath.Dir(dir), p50.Round(time.Microsecond), p99.Round(time.Microsecond), fact("/proc/loadavg", "")), nil
}

// fact is what a file of Linux says: the value of a name, or the first line. Elsewhere it is not known.
func fact(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "(" + path + " unknown)"
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, name); found {
			return strings.TrimLeft(strings.TrimSpace(value), "\t :")
		}
	}
	return "(" + name + " unknown)"
}

// syncTimes is how long the disk takes for what a commit asks of it, at least.
func syncTimes(dir string) (p50, p99 time.Duration, err error) {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		if failed := f.Close(); err == nil {
			err = failed
		}
	}()
	page, sample := make([]byte, 4096), make([]time.Duration, 500)
	for i := range sample {
		begun := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0, 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, 0, err
		}
		sample[i] = time.Since(begun)
	}
	return percentile(sample, 0.5), percentile(sample, 0.99), nil
}
