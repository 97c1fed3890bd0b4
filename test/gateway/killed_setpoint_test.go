package gateway

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/client"
	edge "github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// TestKilledSetpoint: Setpoint is killed at random moments while a customer creates, changes and deletes gateways, and is started again each time. In the
// end there is what the customer has asked for last, and nothing else; and when all is deleted, nothing.
func TestKilledSetpoint(t *testing.T) {
	t.Parallel()
	random := program.Seeded(t)
	kills := program.Size(8, 200)
	d := newDemo(t)
	d.Start()
	d.introduced()
	c := newCustomer(d, random, "g", 5)
	c.wishes["shop"] = d.get("shop").Spec // which every start of the demo makes anew
	ctx, dismiss := context.WithCancel(t.Context())
	defer dismiss()
	var shift sync.WaitGroup
	ended := make(chan error, 1)
	shift.Go(func() { ended <- c.work(ctx) })

	began := time.Now()
	for n := range kills {
		d.moment(random, ended)
		d.Kill()
		d.Start()
		t.Logf("killed %d of %d, %v", n+1, kills, time.Since(began).Round(time.Millisecond))
	}
	dismiss()
	shift.Wait()
	if err := <-ended; err != nil {
		t.Fatalf("the customer: %v", err)
	}
	all := d.awaitWishes(c.wishes)
	d.agree(all)
	d.once()
	for name, version := range c.versions {
		d.answers(t, all[name], version)
	}
	t.Logf("%d creations, %d changes, %d deletions; %d addresses granted, %d processes started; %d commits",
		c.created, c.changed, c.deleted, count(d.ledger("allocator"), subsystem.Create), count(d.ledger("hosts"), subsystem.Create), d.revision())

	for name := range all {
		d.mustDelete(name)
	}
	d.awaitWishes(nil)
	d.nothingLeft(t)
	d.once()
}

// moment lets a random number of commits happen, none or up to a few dozen, and then a random part of the time that a commit may take. Often it comes
// while Setpoint still starts.
func (d *demo) moment(random *rand.Rand, ended <-chan error) {
	d.t.Helper()
	if random.IntN(6) > 0 {
		target := d.revision() + random.IntN(40)
		d.Await(fmt.Sprintf("commit %d", target), func() (string, bool) {
			now := d.revision()
			return strconv.Itoa(now), now >= target
		})
	}
	timer := time.NewTimer(time.Duration(random.IntN(20_000)) * time.Microsecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case err := <-ended:
		d.t.Fatalf("the customer has given up: %v", err)
	}
}

// revision counts the commits, by the database's own file.
func (d *demo) revision() int {
	d.t.Helper()
	n, err := strconv.Atoi(d.sql("SELECT revision FROM meta"))
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

// customer changes its mind all the time. Its requests are repeated until they are answered, whatever happens to the server meanwhile.
type customer struct {
	*demo
	random                    *rand.Rand
	wishes                    map[string]edge.GatewaySpec
	versions                  map[string]string
	created, changed, deleted int
	// prefix and names say which gateways it plays with, and how many.
	prefix string
	names  int
}

func newCustomer(d *demo, random *rand.Rand, prefix string, names int) *customer {
	return &customer{
		demo: d, random: rand.New(rand.NewPCG(random.Uint64(), 1)), wishes: map[string]edge.GatewaySpec{}, versions: map[string]string{}, prefix: prefix, names: names,
	}
}

// work goes on until ctx ends, and ends between two wishes.
func (c *customer) work(ctx context.Context) error {
	for n := 1; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("%s%d", c.prefix, c.random.IntN(c.names))
		_, exists := c.wishes[name]
		if exists && c.random.IntN(3) == 0 {
			if err := c.remove(name); err != nil {
				return err
			}
		} else if err := c.wish(name, fmt.Sprintf("r%d", n), exists); err != nil {
			return err
		}
		if c.random.IntN(2) == 0 {
			if err := c.settle(ctx, name); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
	return nil
}

// wish asks for a gateway. One of that name that is being deleted still has to go first.
func (c *customer) wish(name, version string, exists bool) error {
	spec := c.spec(name, 1+c.random.IntN(2), version)
	for {
		err := c.apply(c.t.Context(), name, spec)
		if errors.Is(err, client.ErrDeleting) {
			if err = c.settle(c.t.Context(), name); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		break
	}
	if exists {
		c.changed++
	} else {
		c.created++
	}
	c.wishes[name], c.versions[name] = spec, version
	return nil
}

func (c *customer) remove(name string) error {
	c.deleted++
	delete(c.wishes, name)
	delete(c.versions, name)
	return c.delete(c.t.Context(), name)
}

// settle waits until a gateway serves, or is gone.
func (c *customer) settle(ctx context.Context, name string) error {
	_, wanted := c.wishes[name]
	_, err := c.Client.Wait(ctx, c.gateways, ref(name), func(o *client.Object) (bool, error) {
		if o == nil || !wanted {
			return o == nil, nil
		}
		g, err := decode(o)
		return err == nil && g.serves(), err
	})
	return err
}
