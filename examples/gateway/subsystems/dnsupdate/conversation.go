package dnsupdate

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/setpointhq/setpoint/command"
)

// conversation is one TCP connection to the server, for a few exchanges.
type conversation struct {
	adapter *Adapter
	client  *dns.Client
	conn    *dns.Conn
	release func() bool
}

// patience bounds one exchange when the context does not.
const patience = 10 * time.Second

// dial connects. Whatever fails here has sent nothing.
func (a *Adapter) dial(ctx context.Context) (*conversation, error) {
	client := &dns.Client{Net: "tcp", Timeout: patience, TsigSecret: a.secrets()}
	conn, err := client.DialContext(ctx, a.options.Server)
	if err != nil {
		return nil, fmt.Errorf("connect to DNS server %s: %w", a.options.Server, err)
	}
	c := &conversation{adapter: a, client: client, conn: conn}
	c.release = context.AfterFunc(ctx, c.close)
	return c, nil
}

func (a *Adapter) secrets() map[string]string {
	if a.options.Key == nil {
		return nil
	}
	return map[string]string{dns.CanonicalName(a.options.Key.Name): a.options.Key.Secret}
}

// end closes the connection once.
func (c *conversation) end() {
	if c.release() {
		c.close()
	}
}

func (c *conversation) close() {
	if err := c.conn.Close(); err != nil {
		c.adapter.options.Log.Debug("hang up on the DNS server", "server", c.adapter.options.Server, "error", err)
	}
}

// exchange sends m, signed when there is a key, and returns an answer that belongs to it.
func (c *conversation) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	if k := c.adapter.options.Key; k != nil {
		m.SetTsig(dns.CanonicalName(k.Name), dns.HmacSHA256, 300, time.Now().Unix())
	}
	// A dns.Conn signs as if every message but the first answered the one before, so each exchange has one of its own.
	reply, _, err := c.client.ExchangeWithConnContext(ctx, m, &dns.Conn{Conn: c.conn.Conn})
	if err != nil {
		return nil, err
	}
	if !reply.Response || reply.Opcode != m.Opcode {
		return nil, errAnswer
	}
	return reply, nil
}

// standing is what the zone holds for a name.
type standing struct {
	addresses []netip.Addr // sorted
	slot      []dns.RR
	counter   counter
	fence     fence // zero when the name is not there
}

// knows reports whether a call was the last for its name, or the last of its slot.
func (s standing) knows(token command.Token) bool {
	return s.fence.token == token || s.counter.token == token
}

// read asks for the slot, the fence and the addresses. It is one picture if an update finds the slot as it was read: every update replaces it.
func (c *conversation) read(ctx context.Context, name string) (s standing, err error) {
	if s.slot, err = c.ask(ctx, c.adapter.slotName(name), dns.TypeTXT); err != nil {
		return s, err
	}
	if len(s.slot) > 0 {
		s.counter = parseCounter(s.slot[0])
	}
	fences, err := c.ask(ctx, c.adapter.fenceName(name), dns.TypeTXT)
	if err != nil {
		return s, err
	}
	if len(fences) > 0 {
		s.fence = parseFence(fences[0])
	}
	for _, rtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		records, err := c.ask(ctx, name, rtype)
		if err != nil {
			return s, err
		}
		for _, r := range records {
			if address, ok := addressOf(r); ok {
				s.addresses = append(s.addresses, address)
			}
		}
	}
	slices.SortFunc(s.addresses, netip.Addr.Compare)
	return s, nil
}

// ask returns one record set, nil when there is none.
func (c *conversation) ask(ctx context.Context, name string, rtype uint16) ([]dns.RR, error) {
	m := new(dns.Msg).SetQuestion(name, rtype)
	m.RecursionDesired = false
	reply, err := c.exchange(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("ask for %s %s: %w", name, dns.TypeToString[rtype], err)
	}
	if reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError || !reply.Authoritative {
		return nil, fmt.Errorf("ask for %s %s: the server said %s, authoritative %v",
			name, dns.TypeToString[rtype], dns.RcodeToString[reply.Rcode], reply.Authoritative)
	}
	return slices.DeleteFunc(reply.Answer, func(r dns.RR) bool {
		return r.Header().Rrtype != rtype || dns.CanonicalName(r.Header().Name) != name
	}), nil
}

func addressOf(r dns.RR) (netip.Addr, bool) {
	var raw []byte
	switch r := r.(type) {
	case *dns.A:
		raw = r.A
	case *dns.AAAA:
		raw = r.AAAA
	default:
		return netip.Addr{}, false
	}
	address, ok := netip.AddrFromSlice(raw)
	return address.Unmap(), ok
}
