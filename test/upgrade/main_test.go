package upgrade

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/setpointhq/setpoint/test/internal/program"
)

// The programs: the service in both versions, and the command line of the next one.
var programs struct{ old, next, setpoint string }

const module = "github.com/setpointhq/setpoint/"

func TestMain(m *testing.M) {
	program.MainWith(m, func(folder string) error {
		overlay, err := overlay(folder)
		if err != nil {
			return err
		}
		programs.old, programs.next, programs.setpoint = filepath.Join(folder, "old"), filepath.Join(folder, "next"), filepath.Join(folder, "setpoint")
		// No tables for a debugger: linking takes a quarter of the time.
		var old, next, setpoint error
		var all sync.WaitGroup
		all.Go(func() { old = program.Build(programs.old, module+"test/upgrade/node", "-ldflags=-w") })
		all.Go(func() {
			next = program.Build(programs.next, module+"test/upgrade/node", "-ldflags=-w", "-overlay", overlay)
		})
		all.Go(func() {
			setpoint = program.Build(programs.setpoint, module+"cmd/setpoint", "-ldflags=-w", "-overlay", overlay)
		})
		all.Wait()
		return errors.Join(old, next, setpoint)
	})
}

// migrations is where the steps of the schema are, from here.
const migrations = "../../store/postgres/migrations"

// schemas are the numbers of the newest migration of version N and of N+1.
func schemas() (old, next int, err error) {
	files, err := filepath.Glob(filepath.Join(migrations, "*.sql"))
	for _, file := range files {
		var number int
		if _, err := fmt.Sscanf(filepath.Base(file), "%05d_", &number); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", file, err)
		}
		old = max(old, number)
	}
	return old, old + 1, err
}

// overlay writes what makes version N+1 of this tree, and returns the file.
func overlay(folder string) (path string, err error) {
	_, number, err := schemas()
	if err != nil {
		return "", err
	}
	replaced := map[string]string{}
	for place, file := range map[string]string{
		"node/version.go": "version.go", "node/order.go": "order.go", "node/move.go": "move.go",
		filepath.Join(migrations, fmt.Sprintf("%05d_next.sql", number)): "migration.sql",
	} {
		place, err1 := filepath.Abs(place)
		file, err2 := filepath.Abs(filepath.Join("testdata", "next", file))
		if err := errors.Join(err1, err2); err != nil {
			return "", err
		}
		replaced[place] = file
	}
	text, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return "", err
	}
	path = filepath.Join(folder, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}
