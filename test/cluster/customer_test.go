package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/client"
	edge "github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/resource"
)

// customer creates, changes and deletes gateways, and asks for runs of jobs. Its requests go to any node, and are repeated until they are answered; wishes is its journal of what was acknowledged last (I1).
type customer struct {
	town                            *town
	gateways, jobs                  client.Kind
	random                          *rand.Rand
	prefix                          string
	names                           int
	job                             string
	pace                            time.Duration
	wishes                          map[string]edge.GatewaySpec
	created, changed, deleted, runs int
	repeated                        int // requests whose answer did not settle them
}

// settled reports whether an error of a request is an answer that repeating does not change.
func settled(err error) bool {
	return errors.Is(err, client.ErrInvalid) || errors.Is(err, client.ErrForbidden) || errors.Is(err, client.ErrTooLarge)
}

// pause waits between two requests, so that customers are no flood; it is false when ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// work goes on until ctx ends, and ends between two wishes. Each wish is seen through, by another context.
func (c *customer) work(ctx, whole context.Context) error {
	for n := 1; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("%s%d", c.prefix, c.random.IntN(c.names))
		_, exists := c.wishes[name]
		var err error
		if exists && c.random.IntN(4) == 0 {
			err = c.remove(whole, name)
		} else {
			err = c.wish(whole, name, n, exists)
		}
		if err == nil && c.job != "" && n%4 == 0 {
			err = c.run(whole, n)
		}
		if err != nil {
			return err
		}
		pause(ctx, c.pace/2+time.Duration(c.random.Int64N(int64(c.pace))))
	}
	return nil
}

// spec is a wish that no other is like.
func (c *customer) spec(name string, n int) edge.GatewaySpec {
	return edge.GatewaySpec{
		Hostname: name + ".edge.test", Replicas: 1 + c.random.IntN(2),
		Routes: []edge.Route{{Path: "/", Upstream: fmt.Sprintf("http://127.0.0.1/%s/%d", name, n)}},
	}
}

func (c *customer) wish(ctx context.Context, name string, n int, exists bool) error {
	spec := c.spec(name, n)
	for {
		err := c.town.apply(ctx, c.gateways, name, spec)
		if err == nil {
			break
		}
		if settled(err) || !pause(ctx, 50*time.Millisecond) {
			return fmt.Errorf("wish for %s: %w", name, err)
		}
		c.repeated++
	}
	if exists {
		c.changed++
	} else {
		c.created++
	}
	c.wishes[name] = spec
	return nil
}

// remove asks for a deletion. A node whose view is behind may say that there is no such object; then the database is asked.
func (c *customer) remove(ctx context.Context, name string) error {
	for {
		_, err := c.town.client.Delete(ctx, c.gateways, client.Ref{Namespace: "default", Name: resource.Name(name)}, client.DeleteOptions{})
		if err == nil || errors.Is(err, client.ErrNotFound) && c.town.gone(ctx, name) {
			break
		}
		if settled(err) || !pause(ctx, 50*time.Millisecond) {
			return fmt.Errorf("remove %s: %w", name, err)
		}
		c.repeated++
	}
	c.deleted++
	delete(c.wishes, name)
	return nil
}

// gone reports whether the database says that a gateway does not exist, or is on its way out.
func (w *town) gone(ctx context.Context, name string) bool {
	rows, err := pg.Query(ctx, w.store, fmt.Sprintf("SELECT count(*) FROM setpoint.object WHERE kind LIKE 'Gateway.%%' AND name = '%s' AND deleted = 0", name))
	return err == nil && rows[0][0] == "0"
}

func (c *customer) run(ctx context.Context, n int) error {
	for {
		err := c.town.raise(ctx, c.jobs, c.job, "NeedsWork", fmt.Sprint(n))
		if err == nil {
			c.runs++
			return nil
		}
		if settled(err) || !pause(ctx, 50*time.Millisecond) {
			return fmt.Errorf("run of %s: %w", c.job, err)
		}
		c.repeated++
	}
}

// crowd are customers at work.
type crowd struct {
	town      *town
	customers []*customer
	shift     sync.WaitGroup
	dismiss   context.CancelFunc
}

// employ makes customers, who share gateways and jobs among them.
func (w *town) employ(random *rand.Rand, customers, gateways, jobs int, pace time.Duration) *crowd {
	w.Helper()
	c := &crowd{town: w}
	kinds := [2]client.Kind{w.kind("gateways"), w.kind("jobs")}
	w.each(jobs, func(i int) error { return w.apply(w.Context(), kinds[1], fmt.Sprintf("job-%d", i), struct{}{}) })
	for i := range customers {
		x := &customer{
			town: w, gateways: kinds[0], jobs: kinds[1], random: rand.New(rand.NewPCG(random.Uint64(), 1)), prefix: fmt.Sprintf("c%dg", i),
			names: gateways / customers, pace: pace, wishes: map[string]edge.GatewaySpec{},
		}
		if i < jobs {
			x.job = fmt.Sprintf("job-%d", i)
		}
		c.customers = append(c.customers, x)
	}
	return c
}

// settle makes all gateways, and waits until they serve.
func (c *crowd) settle() {
	c.town.Helper()
	c.town.each(len(c.customers), func(i int) error {
		x := c.customers[i]
		for n := range x.names {
			if err := x.wish(c.town.Context(), fmt.Sprintf("%s%d", x.prefix, n), 0, false); err != nil {
				return err
			}
		}
		return nil
	})
	c.served()
}

// begin lets everybody work. Who gives up says why.
func (c *crowd) begin(gaveUp chan<- error) {
	ctx, dismiss := context.WithCancel(c.town.Context())
	c.dismiss = dismiss
	for _, x := range c.customers {
		c.shift.Go(func() {
			if err := x.work(ctx, c.town.Context()); err != nil {
				gaveUp <- err
			}
		})
	}
}

// end sends everybody home.
func (c *crowd) end() {
	c.dismiss()
	c.shift.Wait()
}

// wishes is what everybody asked for last.
func (c *crowd) wishes() map[string]edge.GatewaySpec {
	all := map[string]edge.GatewaySpec{}
	for _, x := range c.customers {
		maps.Copy(all, x.wishes)
	}
	return all
}

func (c *crowd) String() string {
	var created, changed, deleted, runs, repeated int
	for _, x := range c.customers {
		created, changed, deleted, runs, repeated = created+x.created, changed+x.changed, deleted+x.deleted, runs+x.runs, repeated+x.repeated
	}
	return fmt.Sprintf("%d creations, %d changes, %d deletions, %d runs asked for; %d requests repeated by hand", created, changed, deleted, runs, repeated)
}

// served waits until there are exactly the wished gateways, and each serves its wish.
func (c *crowd) served() {
	c.town.Helper()
	wishes, kind := c.wishes(), c.customers[0].gateways
	c.town.await(fmt.Sprintf("exactly these %d gateways serve", len(wishes)), func() (string, bool) {
		var left []string
		count := 0
		for o, err := range c.town.client.All(c.town.Context(), kind, client.ListOptions{}) {
			if err != nil {
				return err.Error(), false
			}
			count++
			if why := unlike(o, wishes[string(o.Metadata.Name)]); why != "" {
				left = append(left, string(o.Metadata.Name)+" "+why)
			}
		}
		return fmt.Sprintf("%d exist, %d not as wished: %.1000s", count, len(left), strings.Join(left, ", ")), len(left) == 0 && count == len(wishes)
	})
}

// unlike says in what a gateway is not what its customer has asked for last, "" when it is.
func unlike(o *client.Object, wish edge.GatewaySpec) string {
	var spec edge.GatewaySpec
	var status edge.GatewayStatus
	engine, err := o.Engine()
	if err = errors.Join(err, o.DecodeSpec(&spec), o.DecodeStatus(&status)); err != nil {
		return err.Error()
	}
	switch {
	case wish.Hostname == "":
		return "is not wished for"
	case !reflect.DeepEqual(spec, wish):
		return fmt.Sprintf("is asked to be %v, and was to be %v", spec, wish)
	case o.Deleting() || engine.State != edge.Active || engine.ObservedGeneration != o.Metadata.Generation || status.Serving != spec.Replicas:
		return fmt.Sprintf("is %s, %d of %d serve", engine.State, status.Serving, spec.Replicas)
	}
	return ""
}
