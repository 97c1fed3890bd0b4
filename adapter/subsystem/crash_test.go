package subsystem

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/testkit"
)

// Environment of a subsystem process: its folder, and its address.
const (
	crashDir     = "SUBSYSTEM_TEST_DIR"
	crashAddress = "SUBSYSTEM_TEST_ADDRESS"
)

// runShelf is the main function of such a process.
func runShelf(dir string) error {
	return Run(context.Background(), Options{Dir: dir, Handler: newShelf()}, os.Getenv(crashAddress), func(net.Addr) {})
}

// TestKilledAgainAndAgain kills the subsystem process in the middle of its work. Whatever was acknowledged is remembered by
// the next one, and no token has two effects.
func TestKilledAgainAndAgain(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, address := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", testkit.Port(t))
	t.Setenv(crashDir, dir)
	t.Setenv(crashAddress, address)
	client, d := clientOf(t, "http://"+address), newDesk()
	observe(t, client, d)
	var done atomic.Int64
	var workers sync.WaitGroup
	const keys, intents = 8, 40
	for k := range keys {
		workers.Go(func() {
			for intent := range uint64(intents) {
				c := call(fmt.Sprint("k", k), 1, intent+1, fmt.Sprintf("k%d-%d", k, intent+1), `{}`)
				d.wish(c.Key)
				d.acknowledge(c, settle(t, client, c))
				done.Add(1)
			}
		})
	}
	for life := int64(1); life <= 5; life++ {
		p := testkit.Start(t, program)
		goal := min(done.Load()+keys*intents/6, keys*intents)
		testkit.Wait(t, fmt.Sprintf("life %d has done its part", life), func() bool { return done.Load() >= goal })
		if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-p.Ended()
	}
	testkit.Start(t, program)
	workers.Wait()
	lines, err := ReadLedger(filepath.Join(dir, LedgerFile))
	if err != nil {
		t.Fatal(err)
	}
	tokens := map[command.Token]int{}
	for i, line := range lines {
		tokens[line.Token]++
		if line.Seq != uint64(i+1) {
			t.Fatalf("line %d of the ledger has number %d", i+1, line.Seq)
		}
	}
	if len(tokens) != keys*intents {
		t.Errorf("%d tokens had an effect: want %d", len(tokens), keys*intents)
	}
	for token, n := range tokens {
		if n != 1 {
			t.Errorf("token %s had %d effects", token, n)
		}
	}
	if got := d.reported(); len(got) != 0 {
		t.Errorf("reported %v: want nothing to be lost", got)
	}
}
