package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/store/postgres"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// names are the subsystems of the gateways and of the nodes' own kinds.
var names = []string{"allocator", "hosts", "authority", "dns", "machines", poisoned, quiet}

// town is a database, the subsystems, and the nodes that come and go.
type town struct {
	*testing.T
	dir      string
	ttl      time.Duration
	postgres *pg.Server
	store    string            // the URL of the database
	at       map[string]string // the subsystems' addresses, by name
	client   *client.Client    // finds some node that serves, each time
	namespaces

	// diagnoses tell more when a wait has failed.
	diagnoses []func() string

	mu    sync.Mutex
	nodes []*node // all that ever were
}

// newTown starts the database and the subsystems, and no node.
func newTown(t *testing.T, ttl time.Duration) *town {
	t.Helper()
	w := &town{T: t, dir: t.TempDir(), ttl: ttl, at: map[string]string{}}
	w.postgres = pg.Start(t, pg.Setting("max_connections", "200"))
	w.store = w.postgres.Database(t)
	if _, err := postgres.Migrate(t.Context(), w.store); err != nil {
		t.Fatal(err)
	}
	w.startSubsystems()
	transport := &http.Transport{DialContext: w.dial, DisableKeepAlives: true, ResponseHeaderTimeout: 3 * time.Second}
	t.Cleanup(transport.CloseIdleConnections)
	var err error
	w.client, err = client.New(client.Config{
		Server: "http://127.0.0.1", UserAgent: "customer", HTTP: &http.Client{Transport: transport}, Attempts: 100_000, MaxPause: 100 * time.Millisecond, Timeout: 4 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *town) startSubsystems() {
	w.Helper()
	config := w.encode(map[string]any{"Dir": w.dir})
	testkit.Start(w.T, "env", "SETPOINT_SUBSYSTEMS="+config, program.Path(), "subsystems")
	var text []byte
	w.await("the subsystems serve", func() (string, bool) {
		var err error
		text, err = os.ReadFile(filepath.Join(w.dir, "addresses"))
		return fmt.Sprint(err), err == nil
	})
	if err := json.Unmarshal(text, &w.at); err != nil {
		w.Fatal(err)
	}
}

func (w *town) encode(v any) string {
	w.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		w.Fatal(err)
	}
	return string(text)
}

// dial goes to some node that serves.
func (w *town) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	w.mu.Lock()
	var serving []string
	for _, n := range w.nodes {
		if !n.down {
			if address := n.address(); address != "" {
				serving = append(serving, address)
			}
		}
	}
	w.mu.Unlock()
	if len(serving) == 0 {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("no node serves")}
	}
	return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, serving[rand.IntN(len(serving))])
}

// await polls, see [program.Await].
func (w *town) await(what string, look func() (string, bool)) {
	w.Helper()
	program.Await(w.T, what, look, w.diagnosis)
}

// query asks the database, beside the nodes.
func (w *town) query(statement string) [][]string {
	w.Helper()
	return w.database().Query(statement)
}

// number is the only value of a query.
func (w *town) number(statement string) int {
	w.Helper()
	return w.database().Number(statement)
}

// diagnosis is what the database knows when a wait has failed.
func (w *town) diagnosis() string {
	if len(w.at) == 0 {
		return "the subsystems do not serve"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var b strings.Builder
	for _, statement := range []string{
		"SELECT id, trouble, seen, expires, clock_timestamp() FROM setpoint.node ORDER BY joined",
		"SELECT holder, count(*) FROM setpoint.lease WHERE scope LIKE 'shard/%' GROUP BY holder",
		"SELECT kind, name, state, attributes, status FROM setpoint.object WHERE attributes NOT LIKE '%\"type\":\"Ready\",\"status\":\"True\"%' LIMIT 10",
		"SELECT adapter, key, phase, intent, revision FROM setpoint.command WHERE phase NOT IN ('Done') LIMIT 20",
	} {
		rows, err := pg.Query(ctx, w.store, statement)
		fmt.Fprintln(&b, statement, err)
		for _, row := range rows {
			fmt.Fprintf(&b, "  %.300s\n", fmt.Sprint(row))
		}
	}
	for _, more := range w.diagnoses {
		b.WriteString(more())
	}
	return b.String()
}

// shards is who has which shard, under which epoch.
func (w *town) shards() map[int]assignment {
	w.Helper()
	all := map[int]assignment{}
	for _, row := range w.query("SELECT scope, holder, incarnation || '.' || counter FROM setpoint.lease WHERE scope LIKE 'shard/%'") {
		var n int
		if _, err := fmt.Sscanf(row[0], "shard/%d", &n); err != nil {
			w.Fatal(err)
		}
		name, _, _ := strings.Cut(row[1], "#")
		all[n] = assignment{node: name, epoch: row[2]}
	}
	return all
}

// assignment is a shard's node, by its name, "" when it is nobody's.
type assignment struct{ node, epoch string }

// divided waits until every shard is one of these nodes', and each has some.
func (w *town) divided(nodes ...*node) {
	w.Helper()
	w.await(fmt.Sprintf("all shards are divided among %d nodes", len(nodes)), func() (string, bool) {
		count := map[string]int{}
		for _, a := range w.shards() {
			count[a.node]++
		}
		sum, least := 0, 256
		for _, n := range nodes {
			sum, least = sum+count[n.name], min(least, count[n.name])
		}
		return fmt.Sprint(count), sum == 256 && least >= 256/len(nodes)
	})
}
