package dnsupdate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/setpointhq/setpoint/command"
)

// Request is the wish for one name.
type Request struct {
	// Name may be left out; it must otherwise be the command's key.
	Name string `json:"name,omitempty"`
	// Addresses are IPv4 or IPv6, in any order; none asks for absence.
	Addresses []string `json:"addresses"`
	// TTL in seconds. Default 30.
	TTL uint32 `json:"ttl,omitempty"`
}

// Result is what the name resolves to.
type Result struct {
	Addresses []string `json:"addresses"`
}

// Key signs messages with hmac-sha256.
type Key struct {
	Name string
	// Secret is in base64.
	Secret string
}

// Options configures an adapter for one zone of one server. Server and Zone must be set; every other zero value takes the
// default named beside it.
type Options struct {
	// Server is "host:port".
	Server string
	Zone   string
	// Key signs updates and transfers, when the server wants that.
	Key *Key
	// Scope names the scope of a call's epoch: epochs of different scopes are not compared. Default: the one that the call names.
	Scope func(command.Call) string
	// Interval is how often the zone's serial is asked for. Default 2 s.
	Interval time.Duration
	// Cap bounds the backoff of observing. Default 30 s.
	Cap time.Duration
	// MaxRecords bounds a transfer. Default 2,000,000.
	MaxRecords int
	// Log receives what an operator should know. Default slog.Default().
	Log *slog.Logger
}

// Adapter is a command.Adapter, command.LookUp and command.Observer. Use [New].
type Adapter struct {
	options Options
	// updates counts the updates that the server has acknowledged to this adapter.
	updates atomic.Uint32
}

var (
	_ command.Adapter  = (*Adapter)(nil)
	_ command.LookUp   = (*Adapter)(nil)
	_ command.Observer = (*Adapter)(nil)

	_ command.Overlapping = (*Adapter)(nil)
)

// New makes an adapter. It does nothing until it is called.
func New(o Options) *Adapter {
	o.Zone = dns.CanonicalName(o.Zone)
	if o.Scope == nil {
		o.Scope = func(c command.Call) string { return c.Scope }
	}
	if o.Interval <= 0 {
		o.Interval = 2 * time.Second
	}
	if o.Cap <= 0 {
		o.Cap = 30 * time.Second
	}
	if o.MaxRecords <= 0 {
		o.MaxRecords = 2_000_000
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Adapter{options: o}
}

// Overlaps says that calls of one slot may be made at the same time, by several nodes: they only delay each other.
func (a *Adapter) Overlaps() bool { return true }

// wish is a checked request.
type wish struct {
	name      string // canonical
	addresses []netip.Addr
	ttl       uint32
}

func (a *Adapter) wish(call command.Call) (w wish, err error) {
	w = wish{name: dns.CanonicalName(call.Key), ttl: 30}
	if _, ok := dns.IsDomainName(call.Key); !ok || !dns.IsSubDomain(a.options.Zone, w.name) || strings.HasPrefix(w.name, slotPrefix) {
		return w, fmt.Errorf("key %q is not a name of zone %s that this adapter may change", call.Key, a.options.Zone)
	}
	if call.Request == nil {
		return w, nil
	}
	var r Request
	if err := json.Unmarshal(call.Request, &r); err != nil {
		return w, fmt.Errorf("the request is not {name, addresses, ttl}: %w", err)
	}
	if r.Name != "" && dns.CanonicalName(r.Name) != w.name {
		return w, fmt.Errorf("the request is for %q, and the command's key is %q", r.Name, call.Key)
	}
	if r.TTL != 0 {
		w.ttl = r.TTL
	}
	for _, text := range r.Addresses {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return w, fmt.Errorf("address %q of %s is not one", text, call.Key)
		}
		w.addresses = append(w.addresses, address.Unmap())
	}
	slices.SortFunc(w.addresses, netip.Addr.Compare)
	w.addresses = slices.Compact(w.addresses)
	return w, nil
}

// swaps bounds how often one attempt tries its compare-and-swap.
const swaps = 4

// Do makes one attempt: read, compare, swap.
func (a *Adapter) Do(ctx context.Context, call command.Call) command.Result {
	w, err := a.wish(call)
	if err != nil {
		return refuse(command.Terminal, err)
	}
	conversation, err := a.dial(ctx)
	if err != nil {
		return refuse(command.Retry, err) // nothing was sent
	}
	defer conversation.end()
	for range swaps {
		standing, err := conversation.read(ctx, w.name)
		if err != nil {
			return refuse(command.Retry, fmt.Errorf("read before writing: %w", err)) // nothing but questions was sent
		}
		mine := fenceOf(call, a.options.Scope(call))
		if why := standing.refuses(mine); why != "" {
			return refuse(command.Stale, errors.New(why))
		}
		right := slices.Equal(standing.addresses, w.addresses)
		if right && standing.knows(call.Token) {
			return done(w)
		}
		result, settled := a.swap(ctx, conversation, w, standing, mine, !right)
		if settled {
			return result
		}
	}
	return refuse(command.Retry, fmt.Errorf("slot %s moved %d times under the hands", slot(w.name), swaps))
}

// swap sends one update. settled is false when the slot was not as it had been read, so that nothing was done.
func (a *Adapter) swap(ctx context.Context, c *conversation, w wish, s standing, mine fence, addresses bool) (r command.Result, settled bool) {
	reply, err := c.exchange(ctx, a.message(w, s, mine, addresses))
	if err != nil {
		return command.Result{Outcome: command.OutcomeUnknown, Class: command.Ambiguous, Message: "update: " + err.Error()}, true
	}
	switch reply.Rcode {
	case dns.RcodeSuccess:
		a.updates.Add(1)
		return done(w), true
	case dns.RcodeNXRrset, dns.RcodeYXRrset, dns.RcodeYXDomain, dns.RcodeNameError:
		return command.Result{}, false
	case dns.RcodeServerFailure:
		return command.Result{
			Outcome: command.OutcomeUnknown, Class: command.Ambiguous, Message: "update: the server failed (SERVFAIL)",
		}, true
	}
	err = fmt.Errorf("update of %s: the server said %s", w.name, dns.RcodeToString[reply.Rcode])
	if reply.Rcode == dns.RcodeRefused {
		return refuse(command.Retry, err), true
	}
	return refuse(command.Terminal, err), true // not its zone, not our key, not its protocol
}

// message is the update: if the slot is as it was read, replace it and the name's fence, and the addresses if they differ.
func (a *Adapter) message(w wish, s standing, mine fence, addresses bool) *dns.Msg {
	m := new(dns.Msg).SetUpdate(a.options.Zone)
	slot, fence := text(a.slotName(w.name)), text(a.fenceName(w.name))
	if len(s.slot) == 0 {
		m.RRsetNotUsed([]dns.RR{slot})
	} else {
		m.Used(s.slot)
	}
	gone := len(w.addresses) == 0
	m.RemoveRRset([]dns.RR{slot, fence})
	m.Insert([]dns.RR{text(slot.Hdr.Name, s.after(mine, gone).String())})
	if !gone {
		m.Insert([]dns.RR{text(fence.Hdr.Name, mine.String())})
	}
	if !addresses {
		return m
	}
	for _, rtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		m.RemoveRRset([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: w.name, Rrtype: rtype}}})
	}
	for _, address := range w.addresses {
		m.Insert([]dns.RR{recordOf(w.name, w.ttl, address)})
	}
	return m
}

// text is a text record, which no resolver may keep.
func text(name string, content ...string) *dns.TXT {
	return &dns.TXT{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: content}
}

func recordOf(name string, ttl uint32, address netip.Addr) dns.RR {
	h := dns.RR_Header{Name: name, Class: dns.ClassINET, Ttl: ttl}
	if address.Is4() {
		h.Rrtype = dns.TypeA
		return &dns.A{Hdr: h, A: address.AsSlice()}
	}
	h.Rrtype = dns.TypeAAAA
	return &dns.AAAA{Hdr: h, AAAA: address.AsSlice()}
}

func done(w wish) command.Result {
	r := Result{Addresses: []string{}}
	for _, address := range w.addresses {
		r.Addresses = append(r.Addresses, address.String())
	}
	body, err := json.Marshal(r)
	if err != nil {
		return refuse(command.Terminal, err)
	}
	return command.Result{Outcome: command.OutcomeDone, Body: body}
}

func refuse(class command.Class, err error) command.Result {
	return command.Result{Outcome: command.OutcomeRefused, Class: class, Message: err.Error()}
}

// LookUp reads. The wish is known to be done when the fence or the slot holds its token and the name its addresses; otherwise sending it
// is as safe as the first time, whatever became of earlier attempts.
func (a *Adapter) LookUp(ctx context.Context, call command.Call) (r command.Result, known bool, err error) {
	w, err := a.wish(call)
	if err != nil {
		return r, false, err
	}
	c, err := a.dial(ctx)
	if err != nil {
		return r, false, err
	}
	defer c.end()
	standing, err := c.read(ctx, w.name)
	if err != nil {
		return r, false, err
	}
	if !standing.knows(call.Token) || !slices.Equal(standing.addresses, w.addresses) {
		return r, false, nil
	}
	return done(w), true, nil
}

// errAnswer marks answers that are none to the question.
var errAnswer = errors.New("the answer is unusable")
