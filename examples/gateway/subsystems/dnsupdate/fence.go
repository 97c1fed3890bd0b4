package dnsupdate

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
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

// slotPrefix begins the names of slots and fences, which nobody may wish for.
const slotPrefix = "_setpoint-"

// Unit is the unit of order of a name's commands: its fence slot. Commands of one unit must not be sent at the same time;
// if they are, because names of one slot belong to objects of several shards, they only delay each other, which [Adapter.Overlaps] says.
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

// fenceName names a canonical name's fence, below the zone: of one length, whatever the name's.
func (a *Adapter) fenceName(name string) string {
	sum := sha256.Sum256([]byte(name))
	return slotPrefix + hex.EncodeToString(sum[:16]) + "." + a.options.Zone
}

// order is the place of a wish among all wishes for its name, whoever has them: intents are revisions, which rise over all objects of a plane, and begin anew in another incarnation.
type order struct{ incarnation, intent uint64 }

func (o order) compare(p order) int {
	return cmp.Or(cmp.Compare(o.incarnation, p.incarnation), cmp.Compare(o.intent, p.intent))
}

// counter is the content of a slot.
type counter struct {
	n     uint64
	token command.Token // of the last call
	// floor is the latest order of a name that is not there any more, and so has no fence.
	floor order
}

func (c counter) String() string {
	return fmt.Sprintf("c=%d t=%s f=%d.%d", c.n, c.token, c.floor.incarnation, c.floor.intent)
}

// parseCounter reads what String wrote. What somebody else has put there counts as nothing, and is replaced.
func parseCounter(record dns.RR) (c counter) {
	for name, value := range fields(record) {
		var err error
		switch name {
		case "c":
			c.n, err = strconv.ParseUint(value, 10, 64)
		case "t":
			c.token = command.Token(value)
		case "f":
			_, err = fmt.Sscanf(value, "%d.%d", &c.floor.incarnation, &c.floor.intent)
		}
		if err != nil {
			return counter{}
		}
	}
	return c
}

// fence is what is known of the last call for a name that is there.
type fence struct {
	token  command.Token
	scope  string
	epoch  resource.Epoch
	intent uint64
}

func fenceOf(call command.Call, scope string) fence {
	return fence{token: call.Token, scope: scope, epoch: call.Epoch, intent: call.Intent}
}

func (f fence) order() order { return order{f.epoch.Incarnation, f.intent} }

// compare orders two calls for a name. Epochs of one scope order them first; when the name has gone from an object of one shard to an object of another, their epochs say nothing, and the intents alone tell.
func (f fence) compare(g fence) int {
	if f.scope == g.scope {
		return cmp.Or(f.epoch.Compare(g.epoch), f.order().compare(g.order()))
	}
	return f.order().compare(g.order())
}

func (f fence) String() string {
	return fmt.Sprintf("t=%s e=%s i=%d s=%s", f.token, f.epoch, f.intent, f.scope)
}

// parseFence is as parseCounter.
func parseFence(record dns.RR) (f fence) {
	for name, value := range fields(record) {
		var err error
		switch name {
		case "t":
			f.token = command.Token(value)
		case "e":
			_, err = fmt.Sscanf(value, "%d.%d", &f.epoch.Incarnation, &f.epoch.Counter)
		case "i":
			f.intent, err = strconv.ParseUint(value, 10, 64)
		case "s":
			f.scope = value
		}
		if err != nil {
			return fence{}
		}
	}
	return f
}

// fields are those of a text record.
func fields(record dns.RR) map[string]string {
	all := map[string]string{}
	if txt, ok := record.(*dns.TXT); ok {
		for field := range strings.FieldsSeq(strings.Join(txt.Txt, "")) {
			name, value, _ := strings.Cut(field, "=")
			all[name] = value
		}
	}
	return all
}

// refuses says why a call comes too late, "" when it does not. Of a name that is not there only the slot's floor is known, which may be another name's: who is refused for that, and is the owner, asks again
// under a higher intent.
func (s standing) refuses(call fence) string {
	switch {
	case s.fence != (fence{}) && call.compare(s.fence) < 0:
		return fmt.Sprintf("intent %d of epoch %s (%s) is over: intent %d of epoch %s (%s) was seen", call.intent, call.epoch, call.scope, s.fence.intent, s.fence.epoch, s.fence.scope)
	case s.fence == (fence{}) && call.order().compare(s.counter.floor) < 0:
		return fmt.Sprintf("intent %d is over: a name of its slot was removed under intent %d", call.intent, s.counter.floor.intent)
	}
	return ""
}

// after is the slot's content after a call; gone says that the name is not there any more.
func (s standing) after(call fence, gone bool) counter {
	next := counter{n: s.counter.n + 1, token: call.token, floor: s.counter.floor}
	if !gone {
		return next
	}
	for _, o := range []order{call.order(), s.fence.order()} {
		if o.compare(next.floor) > 0 {
			next.floor = o
		}
	}
	return next
}
