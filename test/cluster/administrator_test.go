package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/resource"
)

// administrator asks the living nodes, one after the other, through the lane that is its own: reads and writes by turns, each once (I8).
type administrator struct {
	town     *town
	kind     client.Kind
	random   *rand.Rand
	shift    sync.WaitGroup
	dismiss  context.CancelFunc
	requests []request // belongs to the shift, and then to the test
}

// request is one, and what became of it.
type request struct {
	node     *node
	from, to time.Time
	write    bool
	err      error
}

// patience is how long an administrator waits for an answer.
const patience = 10 * time.Second

func (w *town) administrator(random *rand.Rand, pace time.Duration) *administrator {
	w.Helper()
	ctx, dismiss := context.WithCancel(w.Context())
	a := &administrator{town: w, kind: w.kind("registers"), random: rand.New(rand.NewPCG(random.Uint64(), 3)), dismiss: dismiss}
	a.shift.Go(func() {
		for n := 0; pause(ctx, pace); n++ {
			if x := a.somebody(); x != nil {
				a.ask(x, n)
			}
		}
	})
	return a
}

// somebody is a node that serves administrators, if one does.
func (a *administrator) somebody() *node {
	a.town.mu.Lock()
	defer a.town.mu.Unlock()
	var serving []*node
	for _, n := range a.town.nodes {
		if !n.down && n.lane() != "" {
			serving = append(serving, n)
		}
	}
	if len(serving) == 0 {
		return nil
	}
	return serving[a.random.IntN(len(serving))]
}

// lane is where the node serves administrators, "" before it does.
func (n *node) lane() string {
	text, err := os.ReadFile(filepath.Join(n.town.dir, n.name+".admin"))
	if err != nil {
		return ""
	}
	return string(text)
}

// ask makes one request.
func (a *administrator) ask(n *node, number int) {
	r := request{node: n, write: number%2 == 0}
	transport := &http.Transport{DisableKeepAlives: true}
	c, err := client.New(client.Config{Server: "http://" + n.lane(), UserAgent: "administrator", HTTP: &http.Client{Transport: transport}, Attempts: 1, Timeout: patience})
	if err != nil {
		a.town.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(a.town.Context(), patience)
	defer cancel()
	r.from = time.Now()
	if r.write {
		text, failed := json.Marshal(map[string]string{"value": fmt.Sprintf("by administrator, %d", number)})
		if failed != nil {
			a.town.Error(failed)
			return
		}
		o := &client.Object{Metadata: client.Metadata{Namespace: "default", Name: resource.Name(fmt.Sprintf("notice-%d", number%8))}, Spec: text}
		_, _, r.err = c.Apply(ctx, a.kind, o, client.WriteOptions{})
	} else {
		_, r.err = c.List(ctx, a.kind, client.ListOptions{Limit: 10})
	}
	r.to = time.Now()
	a.requests = append(a.requests, r)
}

// answered ends the administrator, and checks that each request had its answer, unless its node or the database was away, or had only just come back.
func (a *administrator) answered(spells []spell) {
	a.town.Helper()
	a.dismiss()
	a.shift.Wait()
	answered, excused := 0, 0
	var took []time.Duration
	for _, r := range a.requests {
		switch {
		case r.err == nil:
			answered++
			if len(during(spells, r.from.Add(-a.town.ttl), r.to, silences(r.node))) == 0 {
				took = append(took, r.to.Sub(r.from))
			}
		case len(during(spells, r.from.Add(-a.town.ttl), r.to, silences(r.node))) > 0:
			excused++
		default:
			a.town.Errorf("an administrator's request (a write: %v) to %s from %s to %s was not answered, while the node and the database were up: %v", r.write, r.node.name, r.from.Format("15:04:05.000"), r.to.Format("15:04:05.000"), r.err)
		}
	}
	a.town.Logf("an administrator asked %d times, and was answered %d times; the %d others were asked of a node that was dead, frozen or cut off, or while the database was away. When nothing was: %s", len(a.requests), answered, excused, quantiles(took))
	if answered == 0 {
		a.town.Error("no administrator was ever answered")
	}
}
