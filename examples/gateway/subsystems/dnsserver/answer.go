package dnsserver

import (
	"strings"

	"github.com/miekg/dns"
)

// answer fills in the reply to a query.
func (z *zone) answer(q dns.Question, reply *dns.Msg) {
	name := strings.ToLower(q.Name)
	if !z.contains(name) || q.Qclass != dns.ClassINET {
		reply.Rcode = dns.RcodeRefused
		return
	}
	reply.Authoritative = true
	for rtype, records := range z.names[name] {
		if rtype == q.Qtype || q.Qtype == dns.TypeANY || rtype == dns.TypeCNAME {
			reply.Answer = append(reply.Answer, records...)
		}
	}
	if len(reply.Answer) > 0 {
		return
	}
	if !z.exists(name) {
		reply.Rcode = dns.RcodeNameError
	}
	reply.Ns = []dns.RR{z.soa()}
}

// transferPage is the number of records per message of a transfer.
const transferPage = 100

// pages cuts the zone into the messages of a transfer: SOA, everything else, SOA.
func (z *zone) pages() [][]dns.RR {
	var pages [][]dns.RR
	page := []dns.RR{z.soa()}
	z.each(func(s set, records []dns.RR) {
		if s.rtype == dns.TypeSOA {
			return
		}
		if page = append(page, records...); len(page) >= transferPage {
			pages, page = append(pages, page), nil
		}
	})
	return append(pages, append(page, z.soa()))
}
