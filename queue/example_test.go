package queue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/queue"
	"github.com/setpointhq/setpoint/resource"
)

// One worker of a controller: it takes a key, runs a turn, and says how it ended.
func Example() {
	q := queue.New(queue.Options[resource.Key]{
		Name:   "gateway",
		Tenant: func(k resource.Key) resource.Namespace { return k.Namespace },
	})
	defer q.Close()

	key := resource.Key{Kind: "Gateway.edge.example", Namespace: "acme", Name: "front"}
	q.Add(key, queue.Wake{Change: true, Cause: queue.Cause{Revision: 41, Writer: "alice"}})
	q.Add(key, queue.Wake{Change: true, Cause: queue.Cause{Revision: 42, Writer: "bob"}})

	item, ok := q.Next(context.Background())
	fmt.Println(ok, item.Key, "woken", item.Woken, "times, first by", item.Causes[0].Writer)

	q.Add(key, queue.Wake{Change: true}) // a change during work …
	q.Done(item.Key, queue.Verdict{End: queue.Succeeded, Due: time.Now().Add(time.Hour)})
	entry, _ := q.Inspect(key)
	fmt.Println("the key is", entry.State, "again") // … runs it again

	// Output:
	// true Gateway.edge.example/acme/front woken 2 times, first by alice
	// the key is ready again
}

// A caller that has just received a result runs the owner's turn at once, if nobody else is at it.
func ExampleQueue_TryAcquire() {
	q := queue.New(queue.Options[string]{Name: "dns"})
	defer q.Close()

	_, mine := q.TryAcquire("front")
	_, again := q.TryAcquire("front")
	fmt.Println(mine, again)
	if !again {
		q.Add("front", queue.Wake{Change: true}) // who has it will run once more
	}
	q.Done("front", queue.Verdict{End: queue.Succeeded})
	fmt.Println(q.Stats().Ready, "ready")

	// Output:
	// true false
	// 1 ready
}
