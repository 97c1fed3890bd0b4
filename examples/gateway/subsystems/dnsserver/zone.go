package dnsserver

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// set names a record set.
type set struct {
	name  string // lower case, with the final dot
	rtype uint16
}

// zone is the content of the zone: every record set that is not empty. Record sets are replaced, never changed in place.
type zone struct {
	apex  string
	names map[string]map[uint16][]dns.RR
	// below counts the names below each name of the zone, so that one without records of its own is known to exist.
	below map[string]int
}

// emptyZone has what a zone must have: SOA, NS, and the address of the name server.
func emptyZone(apex string) *zone {
	z := &zone{apex: apex, names: map[string]map[uint16][]dns.RR{}, below: map[string]int{}}
	header := func(name string, rtype uint16, ttl uint32) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: rtype, Class: dns.ClassINET, Ttl: ttl}
	}
	z.put(set{apex, dns.TypeSOA}, []dns.RR{&dns.SOA{
		Hdr: header(apex, dns.TypeSOA, 60), Ns: "ns." + apex, Mbox: "hostmaster." + apex,
		Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 5,
	}})
	z.put(set{apex, dns.TypeNS}, []dns.RR{&dns.NS{Hdr: header(apex, dns.TypeNS, 3600), Ns: "ns." + apex}})
	z.put(set{"ns." + apex, dns.TypeA}, []dns.RR{&dns.A{Hdr: header("ns."+apex, dns.TypeA, 3600), A: []byte{127, 0, 0, 1}}})
	return z
}

func (z *zone) get(s set) []dns.RR { return z.names[s.name][s.rtype] }

func (z *zone) soa() *dns.SOA { return z.get(set{z.apex, dns.TypeSOA})[0].(*dns.SOA) }

func (z *zone) contains(name string) bool { return dns.IsSubDomain(z.apex, name) }

func (z *zone) used(name string) bool { return len(z.names[name]) > 0 }

// exists also holds for a name that only has names below it.
func (z *zone) exists(name string) bool { return z.used(name) || z.below[name] > 0 }

// put replaces a record set; an empty one is removed.
func (z *zone) put(s set, records []dns.RR) {
	types := z.names[s.name]
	switch {
	case len(records) > 0 && types == nil:
		z.names[s.name] = map[uint16][]dns.RR{s.rtype: records}
		z.countBelow(s.name, 1)
	case len(records) > 0:
		types[s.rtype] = records
	case types != nil:
		if delete(types, s.rtype); len(types) == 0 {
			delete(z.names, s.name)
			z.countBelow(s.name, -1)
		}
	}
}

func (z *zone) countBelow(name string, by int) {
	for name != z.apex {
		_, parent, found := strings.Cut(name, ".")
		if !found || parent == "" {
			return
		}
		if z.below[parent] += by; z.below[parent] == 0 {
			delete(z.below, parent)
		}
		name = parent
	}
}

// each visits every record set.
func (z *zone) each(visit func(set, []dns.RR)) {
	for name, types := range z.names {
		for rtype, records := range types {
			visit(set{name, rtype}, records)
		}
	}
}

// size is the number of names.
func (z *zone) size() int { return len(z.names) }

// draft is a zone as an update would leave it: the zone, and what the update changes.
type draft struct {
	*zone
	changed map[set][]dns.RR
	// touched lists the changed sets in the order of their first change.
	touched []set
}

func newDraft(z *zone) *draft { return &draft{zone: z, changed: map[set][]dns.RR{}} }

func (d *draft) get(s set) []dns.RR {
	if records, ok := d.changed[s]; ok {
		return records
	}
	return d.zone.get(s)
}

func (d *draft) put(s set, records []dns.RR) {
	if _, again := d.changed[s]; !again {
		d.touched = append(d.touched, s)
	}
	d.changed[s] = records
}

// types lists the types that a name has records of.
func (d *draft) types(name string) []uint16 {
	candidates := map[uint16]bool{}
	for rtype := range d.zone.names[name] {
		candidates[rtype] = true
	}
	for s := range d.changed {
		if s.name == name {
			candidates[s.rtype] = true
		}
	}
	var types []uint16
	for rtype := range candidates {
		if len(d.get(set{name, rtype})) > 0 {
			types = append(types, rtype)
		}
	}
	slices.Sort(types)
	return types
}

// changes compares each touched set with what it was.
func (d *draft) changes() []change {
	var changes []change
	for _, s := range d.touched {
		before, after := text(d.zone.get(s)), text(d.changed[s])
		if !slices.Equal(before, after) {
			changes = append(changes, change{Name: s.name, Type: dns.TypeToString[s.rtype], Before: before, After: after})
		}
	}
	return changes
}

// text writes records as sorted lines of a zone file, which compare like the sets they stand for.
func text(records []dns.RR) []string {
	lines := make([]string, len(records))
	for i, r := range records {
		lines[i] = r.String()
	}
	slices.Sort(lines)
	return lines
}

// parse reads what text wrote.
func parse(lines []string) ([]dns.RR, error) {
	records := make([]dns.RR, len(lines))
	for i, line := range lines {
		r, err := dns.NewRR(line)
		if err != nil {
			return nil, fmt.Errorf("record %q: %w", line, err)
		}
		records[i] = r
	}
	return records, nil
}

// change is a record set before and after an update.
type change struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Before []string `json:"before"`
	After  []string `json:"after"`
}
