package allocator

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
)

// Request is a wish for an address.
type Request struct {
	Pool string `json:"pool"`
	// Address asks for this one and no other.
	Address string `json:"address,omitempty"`
}

// Result is a granted address.
type Result struct {
	Address string `json:"address"`
}

// Options configures an allocator.
type Options struct {
	// Listen is "host:port"; port 0 chooses one. Default "127.0.0.1:0".
	Listen string
	// Dir holds the journal and the ledger.
	Dir string
	// Pools maps a pool's name to its addresses in CIDR notation. The first and the last address of a pool are not
	// granted. Default: "edge" is 127.77.0.0/16.
	Pools map[string]string
	// Ready is told the bound address.
	Ready func(net.Addr)
	// Kit configures the rest; its Dir and Handler are ignored.
	Kit subsystem.Options
}

// Run serves until ctx ends.
func Run(ctx context.Context, o Options) error {
	handler, err := New(o.Pools)
	if err != nil {
		return err
	}
	o.Kit.Dir, o.Kit.Handler = o.Dir, handler
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	return subsystem.Run(ctx, o.Kit, o.Listen, o.Ready)
}

// Allocator is the subsystem.Handler. Use [New].
type Allocator struct {
	mu    sync.Mutex
	pools map[string]*pool
	// granted maps an address to the key that holds it.
	granted map[netip.Addr]string
}

type pool struct {
	prefix      netip.Prefix
	first, last netip.Addr
	// next is where the search for a free address begins.
	next netip.Addr
}

// New makes an allocator of pools, see [Options.Pools].
func New(pools map[string]string) (*Allocator, error) {
	if pools == nil {
		pools = map[string]string{"edge": "127.77.0.0/16"}
	}
	a := &Allocator{pools: map[string]*pool{}, granted: map[netip.Addr]string{}}
	for name, cidr := range pools {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("allocator: pool %q: %w", name, err)
		}
		prefix = prefix.Masked()
		if !prefix.Addr().Is4() || prefix.Bits() > 30 {
			return nil, fmt.Errorf("allocator: pool %q is %s: want an IPv4 prefix of at most 30 bits", name, cidr)
		}
		first := prefix.Addr().Next()
		a.pools[name] = &pool{prefix: prefix, first: first, last: lastOf(prefix).Prev(), next: first}
	}
	return a, nil
}

func lastOf(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Addr().As4()
	for bit := prefix.Bits(); bit < 32; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(bytes)
}

// Start takes up what was granted before.
func (a *Allocator) Start(remembered []subsystem.Entry, _ subsystem.LoseFunc) error {
	for _, e := range remembered {
		address := addressOf(e.Result)
		if !address.IsValid() {
			continue
		}
		if holder, taken := a.granted[address]; taken {
			return fmt.Errorf("allocator: the journal grants %s to both %q and %q", address, holder, e.Key)
		}
		a.grant(address, e.Key)
	}
	return nil
}

// Apply grants, changes or takes back one key's address.
func (a *Allocator) Apply(_ context.Context, c subsystem.Change) subsystem.Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	var held netip.Addr
	if c.Standing != nil {
		held = addressOf(c.Standing.Result)
	}
	if c.Request == nil {
		if !held.IsValid() {
			return subsystem.Done(nil, subsystem.NoEffect, "")
		}
		delete(a.granted, held)
		return subsystem.Done(nil, subsystem.Delete, held.String())
	}
	address, refusal := a.choose(c, held)
	if refusal != nil {
		return *refusal
	}
	if held.IsValid() && held != address {
		delete(a.granted, held)
	}
	a.grant(address, c.Key)
	result := resultOf(address)
	switch {
	case c.StopHalfway:
		return subsystem.Fail(result, "the address is reserved, and not recorded", address.String())
	case !held.IsValid() || c.Standing.Token == c.Token:
		return subsystem.Done(result, subsystem.Create, address.String())
	case held == address:
		return subsystem.Done(result, subsystem.NoEffect, "")
	}
	return subsystem.Done(result, subsystem.Update, held.String()+" -> "+address.String())
}

// choose finds the address for a wish: the one asked for, else the one held, else the one held before, else a free one.
func (a *Allocator) choose(c subsystem.Change, held netip.Addr) (netip.Addr, *subsystem.Answer) {
	refuse := func(class command.Class, format string, arguments ...any) (netip.Addr, *subsystem.Answer) {
		answer := subsystem.Refuse(class, fmt.Sprintf(format, arguments...))
		answer.RetryAfter = time.Second
		return netip.Addr{}, &answer
	}
	var wish Request
	if err := json.Unmarshal(c.Request, &wish); err != nil {
		return refuse(command.Terminal, "the request is not {pool, address}: %v", err)
	}
	p, ok := a.pools[wish.Pool]
	if !ok {
		return refuse(command.Terminal, "there is no pool %q", wish.Pool)
	}
	if wish.Address != "" {
		asked, err := netip.ParseAddr(wish.Address)
		if err != nil || !p.has(asked) {
			return refuse(command.Terminal, "%q is not an address that pool %q (%s) grants", wish.Address, wish.Pool, p.prefix)
		}
		if holder, taken := a.granted[asked]; taken && holder != c.Key {
			return refuse(command.Throttled, "address %s is held by %q", asked, holder)
		}
		return asked, nil
	}
	if held.IsValid() && p.has(held) {
		return held, nil
	}
	if before := addressOf(c.Previous); before.IsValid() && p.has(before) {
		if _, taken := a.granted[before]; !taken {
			return before, nil
		}
	}
	free, ok := p.free(a.granted)
	if !ok {
		return refuse(command.Throttled, "pool %q (%s) has no free address", wish.Pool, p.prefix)
	}
	return free, nil
}

func (p *pool) has(a netip.Addr) bool { return a.Compare(p.first) >= 0 && a.Compare(p.last) <= 0 }

// free looks once around the pool.
func (p *pool) free(granted map[netip.Addr]string) (netip.Addr, bool) {
	start := p.next
	for {
		candidate := p.next
		if p.next = candidate.Next(); !p.has(p.next) {
			p.next = p.first
		}
		if _, taken := granted[candidate]; !taken {
			return candidate, true
		}
		if p.next == start {
			return netip.Addr{}, false
		}
	}
}

func (a *Allocator) grant(address netip.Addr, key string) { a.granted[address] = key }

// Restore reserves an address again.
func (a *Allocator) Restore(_ context.Context, item subsystem.RestoreItem) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	address := addressOf(item.Result)
	if !address.IsValid() {
		return fmt.Errorf("the result on record names no address: %.100s", item.Result)
	}
	if holder, taken := a.granted[address]; taken && holder != item.Key {
		return fmt.Errorf("address %s is held by %q now", address, holder)
	}
	a.grant(address, item.Key)
	return nil
}

// Forget gives all addresses back.
func (a *Allocator) Forget(context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.granted)
	return nil
}

// addressOf reads a result; what is none is the zero address.
func addressOf(result []byte) netip.Addr {
	var r Result
	if json.Unmarshal(result, &r) != nil {
		return netip.Addr{}
	}
	address, err := netip.ParseAddr(r.Address)
	if err != nil {
		return netip.Addr{}
	}
	return address
}

func resultOf(address netip.Addr) []byte { return fmt.Appendf(nil, `{"address":%q}`, address) }
