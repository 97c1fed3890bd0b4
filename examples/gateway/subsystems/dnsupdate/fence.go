package dnsupdate

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// Slots is the number of fence slots of a zone. It is fixed for the life of a zone.
const Slots = 64

const slotPrefix = "_setpoint-"

// Unit is the unit of order of a name's commands: its fence slot. Commands of one unit must not be sent at the same time;
// if they are, they only delay each other.
func Unit(name string) string { return slot(dns.CanonicalName(name)) }

// slot names a canonical name's slot, below the zone.
func slot(name string) string {
	h := fnv.New64a()
	for i := range len(name) {
		// A hash.Hash never returns an error; one byte at a time avoids a copy.
		if _, err := h.Write([]byte{name[i]}); err != nil {
			panic(err)
		}
	}
	return fmt.Sprintf("%s%02d", slotPrefix, h.Sum64()%Slots)
}

func (a *Adapter) slotName(name string) string { return slot(name) + "." + a.options.Zone }

// fence is the content of a slot.
type fence struct {
	counter uint64
	token   command.Token
	epoch   resource.Epoch
	scope   string
}

func (f fence) String() string {
	return fmt.Sprintf("c=%d t=%s e=%s s=%s", f.counter, f.token, f.epoch, f.scope)
}

// parseFence reads what String wrote. What somebody else has put there counts as nothing, and is replaced.
func parseFence(record dns.RR) (f fence) {
	txt, ok := record.(*dns.TXT)
	if !ok {
		return fence{}
	}
	for field := range strings.FieldsSeq(strings.Join(txt.Txt, "")) {
		name, value, _ := strings.Cut(field, "=")
		var err error
		switch name {
		case "c":
			f.counter, err = strconv.ParseUint(value, 10, 64)
		case "t":
			f.token = command.Token(value)
		case "e":
			_, err = fmt.Sscanf(value, "%d.%d", &f.epoch.Incarnation, &f.epoch.Counter)
		case "s":
			f.scope = value
		}
		if err != nil {
			return fence{}
		}
	}
	return f
}
