package cluster

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// registers is how many objects the writers contend for.
const registers = 4

// act is an attempt to write a register that is at a revision.
type act struct {
	client, register      int
	value                 string
	expect, revision      uint64
	call, back            int64
	done, conflict, doubt bool
}

// writers write registers through any node, each write on condition of the version that was read, which may be old.
type writers struct {
	town *town
	kind client.Kind
	over sync.WaitGroup
	end  context.CancelFunc

	mu      sync.Mutex
	acts    []act
	written map[string]uint64 // revision by value, as the watcher saw it
}

// see notes what the watcher sees of registers.
func (x *writers) see(b store.Batch) {
	for _, o := range b.Objects {
		if o.Object.Key.Kind == "Register.test.example" {
			x.mu.Lock()
			x.written[string(o.Object.Spec)] = uint64(b.Revision)
			x.mu.Unlock()
		}
	}
}

func (x *writers) begin(random *rand.Rand, count int, pace time.Duration) {
	x.town.Helper()
	x.kind = x.town.kind("registers")
	for i := range registers {
		x.town.mustApply(x.kind, fmt.Sprintf("register-%d", i), map[string]string{"value": "first"})
	}
	ctx, cancel := context.WithCancel(context.Background())
	x.end = cancel
	x.town.Cleanup(cancel)
	began := time.Now()
	for i := range count {
		own := rand.New(rand.NewPCG(random.Uint64(), uint64(i)))
		x.over.Go(func() {
			for n := 0; pause(ctx, pace/2+time.Duration(own.Int64N(int64(pace)))); n++ {
				x.write(ctx, i, n, own.IntN(registers), began)
			}
		})
	}
}

// write reads a register, and writes it unless it has changed.
func (x *writers) write(ctx context.Context, who, n, register int, began time.Time) {
	ref := client.Ref{Namespace: "default", Name: resource.Name(fmt.Sprintf("register-%d", register))}
	o, err := x.town.client.Get(ctx, x.kind, ref)
	if err != nil {
		return
	}
	a := act{client: who, register: register, value: fmt.Sprintf(`{"value":"w%d-%d"}`, who, n)}
	if a.expect, err = strconv.ParseUint(string(o.Metadata.ResourceVersion), 10, 64); err != nil {
		x.town.Errorf("version %q: %v", o.Metadata.ResourceVersion, err)
		return
	}
	o.Spec = []byte(a.value)
	a.call = time.Since(began).Nanoseconds()
	stored, err := x.town.client.Update(ctx, x.kind, o, client.WriteOptions{})
	a.back = time.Since(began).Nanoseconds()
	switch {
	case err == nil:
		a.done = true
		a.revision, err = strconv.ParseUint(string(stored.Metadata.ResourceVersion), 10, 64)
		if err != nil {
			x.town.Error(err)
		}
	case errors.Is(err, client.ErrConflict):
		a.conflict = true
	case errors.Is(err, client.ErrUnavailable):
		return // it was certainly not written
	default:
		a.doubt, a.back = true, math.MaxInt64
	}
	x.mu.Lock()
	x.acts = append(x.acts, a)
	x.mu.Unlock()
}

// stop ends the writers.
func (x *writers) stop() {
	x.end()
	x.over.Wait()
}

// linearizable checks that every acknowledged write is in the feed at the revision that was told (I1), that no refused one is, and that the acknowledged writes of each register are those of one with
// compare-and-swap (I7). The watcher must have seen everything.
func (x *writers) linearizable(t *testing.T) {
	t.Helper()
	var history []porcupine.Operation
	count := map[string]int{}
	for _, a := range x.acts {
		revision, is := x.written[a.value]
		switch {
		case a.done && revision != a.revision:
			t.Errorf("write %+v was acknowledged, and the feed has it at %d", a, revision)
		case a.conflict && is:
			t.Errorf("write %+v was refused, and the feed has it at %d", a, revision)
		case a.doubt && !is:
			count["lost"]++
			continue
		case a.doubt:
			count["done without an answer"]++
		case a.done:
			count["done"]++
		default:
			count["refused"]++
			if x.spurious(a) {
				count["refused though nothing had changed"]++
			}
			continue // it was not made, which is all that it says: a node whose view is behind refuses what it has not seen yet
		}
		a.revision = revision
		history = append(history, porcupine.Operation{ClientId: a.client, Input: a, Call: a.call, Return: a.back})
	}
	first := map[int]uint64{}
	for _, a := range x.acts {
		if at := first[a.register]; at == 0 || a.expect < at {
			first[a.register] = a.expect
		}
	}
	if result := porcupine.CheckOperationsTimeout(registerModel(first), history, 2*time.Minute); result != porcupine.Ok {
		t.Errorf("the history of %d writes is linearizable: %s", len(history), result)
	}
	t.Logf("writes of registers: %v", count)
	if count["done"] == 0 {
		t.Error("no register was written")
	}
}

// spurious reports whether what a refused write was conditional on was so all the time: what came after it was written later.
func (x *writers) spurious(a act) bool {
	next := act{revision: math.MaxUint64, call: math.MaxInt64}
	for _, o := range x.acts {
		if revision, is := x.written[o.value]; is && o.register == a.register && revision > a.expect && revision < next.revision {
			next = o
			next.revision = revision
		}
	}
	return next.call > a.back
}

// registerModel are registers at their first revisions, whose state is the revision of the last write.
func registerModel(first map[int]uint64) porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			parts := make([][]porcupine.Operation, registers)
			for _, op := range history {
				k := op.Input.(act).register
				parts[k] = append(parts[k], op)
			}
			return parts
		},
		Init: func() any { return uint64(0) },
		Step: func(state, input, _ any) (bool, any) {
			now, a := state.(uint64), input.(act)
			if now == 0 {
				now = first[a.register]
			}
			return now == a.expect, a.revision
		},
		DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
	}
}
