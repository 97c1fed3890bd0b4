package dnsserver

import (
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// update judges one UPDATE message (RFC 2136, sections 3.1 to 3.4) and drafts its changes. The serial is not raised yet.
func (z *zone) update(m *dns.Msg) (d *draft, rcode int) {
	if rcode := z.prerequisites(m.Answer); rcode != dns.RcodeSuccess {
		return nil, rcode
	}
	if rcode := z.prescan(m.Ns); rcode != dns.RcodeSuccess {
		return nil, rcode
	}
	d = newDraft(z)
	for _, rr := range m.Ns {
		d.apply(rr)
	}
	return d, dns.RcodeSuccess
}

func setOf(rr dns.RR) set { return set{strings.ToLower(rr.Header().Name), rr.Header().Rrtype} }

// bare reports whether a record carries no data.
func bare(rr dns.RR) bool { return rr.Header().Rdlength == 0 }

// prerequisites checks the five forms of section 2.4.
func (z *zone) prerequisites(conditions []dns.RR) int {
	exact := map[set][]dns.RR{}
	for _, rr := range conditions {
		h, s := rr.Header(), setOf(rr)
		if h.Ttl != 0 {
			return dns.RcodeFormatError
		}
		if !z.contains(s.name) {
			return dns.RcodeNotZone
		}
		switch h.Class {
		case dns.ClassANY, dns.ClassNONE:
			if !bare(rr) {
				return dns.RcodeFormatError
			}
			if rcode := z.inUse(s, h.Class == dns.ClassANY); rcode != dns.RcodeSuccess {
				return rcode
			}
		case dns.ClassINET:
			exact[s] = append(exact[s], rr)
		default:
			return dns.RcodeFormatError
		}
	}
	for s, wanted := range exact {
		if !sameData(z.get(s), wanted) {
			return dns.RcodeNXRrset
		}
	}
	return dns.RcodeSuccess
}

// inUse checks that a name (type ANY) or a record set exists, or that it does not.
func (z *zone) inUse(s set, want bool) int {
	if s.rtype == dns.TypeANY {
		switch used := z.used(s.name); {
		case want && !used:
			return dns.RcodeNameError
		case !want && used:
			return dns.RcodeYXDomain
		}
		return dns.RcodeSuccess
	}
	switch exists := len(z.get(s)) > 0; {
	case want && !exists:
		return dns.RcodeNXRrset
	case !want && exists:
		return dns.RcodeYXRrset
	}
	return dns.RcodeSuccess
}

// sameData compares two record sets without their TTLs and order.
func sameData(a, b []dns.RR) bool {
	covers := func(a, b []dns.RR) bool {
		for _, x := range a {
			if !slices.ContainsFunc(b, func(y dns.RR) bool { return dns.IsDuplicate(x, y) }) {
				return false
			}
		}
		return true
	}
	return covers(a, b) && covers(b, a)
}

// prescan refuses an update that could not be applied as a whole (section 3.4.1).
func (z *zone) prescan(updates []dns.RR) int {
	for _, rr := range updates {
		h := rr.Header()
		if !z.contains(strings.ToLower(h.Name)) {
			return dns.RcodeNotZone
		}
		meta := h.Rrtype == dns.TypeAXFR || h.Rrtype == dns.TypeIXFR || h.Rrtype == dns.TypeMAILA || h.Rrtype == dns.TypeMAILB
		wrong := meta
		switch h.Class {
		case dns.ClassINET:
			wrong = wrong || h.Rrtype == dns.TypeANY || bare(rr)
		case dns.ClassANY:
			wrong = wrong || h.Ttl != 0 || !bare(rr)
		case dns.ClassNONE:
			wrong = wrong || h.Ttl != 0 || h.Rrtype == dns.TypeANY
		default:
			wrong = true
		}
		if wrong {
			return dns.RcodeFormatError
		}
	}
	return dns.RcodeSuccess
}

// apply makes one change (section 3.4.2).
func (d *draft) apply(rr dns.RR) {
	s := setOf(rr)
	switch class := rr.Header().Class; {
	case class == dns.ClassANY && s.rtype == dns.TypeANY:
		for _, rtype := range d.types(s.name) {
			d.remove(set{s.name, rtype})
		}
	case class == dns.ClassANY:
		d.remove(s)
	case class == dns.ClassNONE:
		d.removeOne(s, rr)
	default:
		d.add(s, rr)
	}
}

// remove drops a record set, unless the zone cannot be without it.
func (d *draft) remove(s set) {
	if !d.essential(s) {
		d.put(s, nil)
	}
}

func (z *zone) essential(s set) bool {
	return s.name == z.apex && (s.rtype == dns.TypeSOA || s.rtype == dns.TypeNS)
}

func (d *draft) removeOne(s set, rr dns.RR) {
	match := dns.Copy(rr)
	match.Header().Class = dns.ClassINET
	rest := slices.DeleteFunc(slices.Clone(d.get(s)), func(r dns.RR) bool { return dns.IsDuplicate(r, match) })
	if len(rest) == 0 && d.essential(s) || s.rtype == dns.TypeSOA {
		return
	}
	d.put(s, rest)
}

// add puts a record beside the others of its set; one with the same data is replaced. All records of a set have one TTL.
func (d *draft) add(s set, rr dns.RR) {
	if d.conflicts(s) {
		return
	}
	fresh := dns.Copy(rr)
	fresh.Header().Name = s.name
	if soa, ok := fresh.(*dns.SOA); ok {
		if current := d.get(s); len(current) == 1 && newer(soa.Serial, current[0].(*dns.SOA).Serial) {
			d.put(s, []dns.RR{soa})
		}
		return
	}
	var records []dns.RR
	for _, r := range d.get(s) {
		if s.rtype != dns.TypeCNAME && !dns.IsDuplicate(r, fresh) {
			r = dns.Copy(r)
			r.Header().Ttl = fresh.Header().Ttl
			records = append(records, r)
		}
	}
	d.put(s, append(records, fresh))
}

// conflicts: a CNAME stands alone at its name, and an addition that says otherwise is ignored.
func (d *draft) conflicts(s set) bool {
	return slices.ContainsFunc(d.types(s.name), func(other uint16) bool {
		return (s.rtype == dns.TypeCNAME) != (other == dns.TypeCNAME)
	})
}

// newer compares serials on their circle (RFC 1982).
func newer(a, b uint32) bool { return a != b && int32(a-b) > 0 }
