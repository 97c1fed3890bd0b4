package server_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/server"
)

// waiting is what a node says of the take-up.
func waiting(t *testing.T, c *client.Client) client.TakeUp {
	t.Helper()
	n, err := c.Nodes(t.Context())
	if err != nil || n.Problem != "" {
		t.Fatalf("list the nodes: %v %s", err, n.Problem)
	}
	return n.TakeUp
}

// TestAPausedTakeUpOutlivesARestart: asked for in the lane of administrators, on one process and its file or database; what is written meanwhile is worked on.
func TestAPausedTakeUpOutlivesARestart(t *testing.T) {
	for engine, database := range map[string]string{"sqlite": filepath.Join(t.TempDir(), "setpoint.db"), "postgres": pg.Shared(t).Database(t)} {
		t.Run(engine, func(t *testing.T) {
			heard := urls{slog.DiscardHandler, make(chan string, 2)}
			lane := func(o *server.Options) { o.AdminListen, o.Logger = "127.0.0.1:0", slog.New(heard) }
			a := serveNamed(t, database, "edge-1", lane)
			works(t, a.url, "before")
			p, err := talk(t, <-heard.found).PauseTakeUp(t.Context(), "ada", time.Hour)
			if err != nil || !p.Paused || p.By != "ada at 127.0.0.1" {
				t.Fatalf("%+v, %v", p, err)
			}
			if err := a.stop(); err != nil {
				t.Fatal(err)
			}
			b := serveNamed(t, database, "edge-1", lane)
			testkit.Wait(t, "what there was waits", func() bool { return waiting(t, b.client).Waiting == 20 })
			works(t, b.url, "during")
			if now := waiting(t, b.client); now.Waiting != 20 || !now.Paused || !now.Until.Equal(p.Until) || !now.Since.Equal(p.Since) {
				t.Errorf("after the restart it is %+v, before it was %+v; want the same pause, and 20 that wait", now, p)
			}
			if f, d := finding(t, b.client, "TakeUpPaused"); !d.Well || !strings.Contains(f.What, "paused by ada at 127.0.0.1") || !strings.Contains(f.What, "20 objects wait") {
				t.Errorf("the doctor says %+v", d)
			}
			if p, err := b.client.ResumeTakeUp(t.Context()); err != nil || p.Paused {
				t.Errorf("%+v, %v", p, err)
			}
			testkit.Wait(t, "nothing waits any more", func() bool { return waiting(t, b.client) == (client.TakeUp{}) })
		})
	}
}

// TestAPauseHoldsForAllNodes: one is told, and the other stands still with what it is given.
func TestAPauseHoldsForAllNodes(t *testing.T) {
	database := pg.Shared(t).Database(t)
	a := serveNamed(t, database, "edge-1")
	works(t, a.url, "before")
	b := serveNamed(t, database, "edge-2")
	testkit.Wait(t, "both have half of the shards, and have taken up what is there", func() bool {
		return shards(t, a.client, "edge-1") == 128 && shards(t, a.client, "edge-2") == 128 && waiting(t, b.client).Waiting == 0
	})
	if _, err := a.client.PauseTakeUp(t.Context(), "ada", time.Hour); err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, "the other has heard of it", func() bool { return b.plane.TakeUp().Paused > 0 })
	if _, err := a.client.Drain(t.Context(), "edge-1", true); err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, "the other has all shards", func() bool { return shards(t, b.client, "edge-2") == 256 })
	testkit.Wait(t, "what it has got waits", func() bool { return waiting(t, b.client).Waiting > 0 })
	works(t, a.url, "during")
	if n := waiting(t, b.client).Waiting; n == 0 {
		t.Error("nothing waits, though nobody has ended the pause")
	}
	if _, err := a.client.ResumeTakeUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, "nothing waits any more", func() bool { return waiting(t, b.client) == (client.TakeUp{}) })
}
