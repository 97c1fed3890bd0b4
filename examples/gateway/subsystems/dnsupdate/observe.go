package dnsupdate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/setpointhq/setpoint/command"
)

// auditEvery is the number of intervals after which a zone that has moved is compared although its serial is explained: a
// server may fold several updates into one step of the serial, and so hide another's among ours.
const auditEvery = 150

// Observe watches the zone's serial for as long as ctx lasts, and returns nil when it ends.
func (a *Adapter) Observe(ctx context.Context, desk command.Desk) error {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	w := &watch{adapter: a, desk: desk}
	failures := 0
	for {
		pause := a.options.Interval
		if err := w.look(ctx); err != nil {
			if failures++; failures == 3 {
				a.options.Log.Warn("a zone cannot be observed", "zone", a.options.Zone, "server", a.options.Server, "error", err)
			}
			pause = command.Backoff(a.options.Interval, max(a.options.Cap, a.options.Interval), failures, random)
		} else {
			failures = 0
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// watch belongs to one goroutine.
type watch struct {
	adapter *Adapter
	desk    command.Desk
	known   bool
	// serial and updates are the zone's serial when it was last explained, and how many updates of ours there had been.
	serial, updates uint32
	// compared is the serial of the last comparison, looks the number of looks since.
	compared uint32
	looks    int
	// notBefore keeps transfers to a tenth of the time.
	notBefore time.Time
}

// look asks once for the serial, and compares the zone when its move is not explained.
func (w *watch) look(ctx context.Context) error {
	before := w.adapter.updates.Load()
	serial, err := w.adapter.serial(ctx)
	if err != nil {
		return err
	}
	after := w.adapter.updates.Load()
	w.looks++
	// An update of ours that is acknowledged while the question is under way may be in the answer or not. What is taken
	// for explained wrongly is missing from the next look, and unexplained then.
	moved := serial - w.serial
	explained := w.known && moved >= before-w.updates && moved <= after-w.updates
	if explained && (w.looks < auditEvery || serial == w.compared) {
		w.serial, w.updates = serial, w.updates+moved
		return nil
	}
	if time.Now().Before(w.notBefore) {
		return nil // the move stays unexplained, and is looked into later
	}
	began := time.Now()
	if err := w.compare(ctx); err != nil {
		return err
	}
	w.notBefore = time.Now().Add(9 * time.Since(began))
	w.known, w.serial, w.updates, w.compared, w.looks = true, serial, before, serial, 0
	return nil
}

// compare takes what is expected first and the zone after it; what was replaced in between the desk sorts out by its token.
func (w *watch) compare(ctx context.Context) error {
	expected := w.desk.Expected("")
	zone, err := w.adapter.transfer(ctx)
	if err != nil {
		return err
	}
	var losses []command.Loss
	for _, e := range expected {
		wish, err := w.adapter.wish(command.Call{Key: e.Key, Request: e.Request})
		if err != nil {
			continue // not of this zone
		}
		if got := zone[wish.name]; !slices.Equal(got, wish.addresses) {
			losses = append(losses, command.Loss{
				Key: e.Key, Token: e.Token, Reason: fmt.Sprintf("the zone has %v for %s, not %v", got, wish.name, wish.addresses),
			})
		}
	}
	if len(losses) == 0 {
		return nil
	}
	if err := w.desk.Lost(ctx, losses); err != nil {
		return fmt.Errorf("report %d losses: %w", len(losses), err)
	}
	return nil
}

// serial asks with one datagram.
func (a *Adapter) serial(ctx context.Context) (uint32, error) {
	m := new(dns.Msg).SetQuestion(a.options.Zone, dns.TypeSOA)
	m.RecursionDesired = false
	client := &dns.Client{Net: "udp", Timeout: patience / 2}
	reply, _, err := client.ExchangeContext(ctx, m, a.options.Server)
	if err != nil {
		return 0, fmt.Errorf("ask %s for the serial of %s: %w", a.options.Server, a.options.Zone, err)
	}
	for _, r := range reply.Answer {
		if soa, ok := r.(*dns.SOA); ok {
			return soa.Serial, nil
		}
	}
	return 0, fmt.Errorf("ask %s for the serial of %s: the server said %s",
		a.options.Server, a.options.Zone, dns.RcodeToString[reply.Rcode])
}

// transfer reads all addresses of the zone, sorted, by name.
func (a *Adapter) transfer(ctx context.Context) (zone map[string][]netip.Addr, err error) {
	c, err := a.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.release()
	m := new(dns.Msg).SetAxfr(a.options.Zone)
	if k := a.options.Key; k != nil {
		m.SetTsig(dns.CanonicalName(k.Name), dns.HmacSHA256, 300, time.Now().Unix())
	}
	t := &dns.Transfer{Conn: c.conn, ReadTimeout: patience, TsigSecret: a.secrets()}
	pages, err := t.In(m, a.options.Server)
	if err != nil {
		c.close()
		return nil, fmt.Errorf("transfer %s: %w", a.options.Zone, err)
	}
	zone, count := map[string][]netip.Addr{}, 0
	for page := range pages { // to the end in any case, so that the sender ends
		if page.Error != nil {
			err = fmt.Errorf("transfer %s: %w", a.options.Zone, page.Error)
		}
		if count += len(page.RR); count > a.options.MaxRecords {
			if err == nil {
				err = fmt.Errorf("transfer %s: more than %d records", a.options.Zone, a.options.MaxRecords)
				c.close()
			}
			continue
		}
		for _, r := range page.RR {
			if address, ok := addressOf(r); ok {
				name := dns.CanonicalName(r.Header().Name)
				zone[name] = append(zone[name], address)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	for _, addresses := range zone {
		slices.SortFunc(addresses, netip.Addr.Compare)
	}
	return zone, nil
}
