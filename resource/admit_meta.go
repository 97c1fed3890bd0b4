package resource

import (
	"fmt"
	"slices"
	"strings"
)

// Bounds of metadata. They are those of Kubernetes where it has them.
const (
	maxAnnotations = 256 << 10 // bytes in all
	maxMessage     = 32 << 10
	maxReason      = 1024
)

func (a *admission) attributes() {
	a.labels()
	a.annotations()
	a.owners()
	a.finalizers()
	a.needs()
	a.conditions()
	a.waits()
}

func (a *admission) labels() {
	for _, k := range sortedKeys(a.new.Labels) {
		field := "metadata.labels[" + k + "]"
		if err := checkQualified(k); err != nil {
			a.wrong.add(field, WrongValue, "the key %s", err.Error())
		}
		if err := checkWord(a.new.Labels[k]); err != nil {
			a.wrong.add(field, WrongValue, "the value %s", err.Error())
		}
	}
}

func (a *admission) annotations() {
	total := 0
	for _, k := range sortedKeys(a.new.Annotations) {
		field := "metadata.annotations[" + k + "]"
		total += len(k) + len(a.new.Annotations[k])
		if err := checkQualified(strings.ToLower(k)); err != nil {
			a.wrong.add(field, WrongValue, "the key %s", err.Error())
		}
		if k == AnnotationChild || k == AnnotationNeeds {
			a.wrong.add(field, Forbidden, "is written by the engine")
		}
	}
	if total > maxAnnotations {
		a.wrong.add("metadata.annotations", TooLong, "are %d bytes in all, at most %d are allowed", total, maxAnnotations)
	}
}

func (a *admission) owners() {
	controllers, uids := 0, map[UID]bool{}
	for i, o := range a.new.Owners {
		field := fmt.Sprintf("metadata.ownerReferences[%d]", i)
		kind, _ := o.Kind.Split()
		for _, f := range []struct{ name, value string }{{"kind", kind}, {"name", string(o.Name)}, {"uid", string(o.UID)}} {
			if f.value == "" {
				a.wrong.add(field+"."+f.name, Required, "is required")
			}
		}
		if o.UID != "" && uids[o.UID] {
			a.wrong.add(field+".uid", Duplicate, "%s is an owner already", o.UID)
		}
		uids[o.UID] = true
		if o.UID != "" && o.UID == a.new.UID {
			a.wrong.add(field+".uid", WrongValue, "an object cannot own itself")
		}
		if o.Controls() {
			controllers++
		}
	}
	if controllers > 1 {
		a.wrong.add("metadata.ownerReferences", WrongValue, "%d owners control the object, at most one may", controllers)
	}
}

func (a *admission) finalizers() {
	for i, f := range a.new.Finalizers {
		field := fmt.Sprintf("metadata.finalizers[%d]", i)
		if err := checkQualified(string(f)); err != nil {
			a.wrong.add(field, WrongValue, "%s", err.Error())
		}
		if slices.Index(a.new.Finalizers, f) < i {
			a.wrong.add(field, Duplicate, "%q is there already", f)
		}
	}
}

func (a *admission) needs() {
	for i, n := range a.new.Needs {
		if err := checkSubdomain(n); err != nil {
			a.wrong.add(fmt.Sprintf("metadata.annotations[%s][%d]", AnnotationNeeds, i), WrongValue, "%s", err.Error())
		}
	}
}

func (a *admission) conditions() {
	for i, c := range a.new.Conditions {
		field := fmt.Sprintf("status.conditions[%d]", i)
		if c.Type == "" {
			a.wrong.add(field+".type", Required, "is required")
		} else if err := checkQualified(c.Type); err != nil {
			a.wrong.add(field+".type", WrongValue, "%s", err.Error())
		}
		if i > 0 {
			switch before := a.new.Conditions[i-1].Type; {
			case before == c.Type:
				a.wrong.add(field+".type", Duplicate, "%q is there already", c.Type)
			case before > c.Type:
				a.wrong.add(field+".type", WrongValue, "%q must stand before %q", c.Type, before)
			}
		}
		if c.Status != True && c.Status != False && c.Status != Unknown {
			a.wrong.add(field+".status", NotSupported, "%q is not one of True, False, Unknown", c.Status)
		}
		a.bounded(field+".message", c.Message, maxMessage)
		a.bounded(field+".reason", c.Reason, maxReason)
	}
}

func (a *admission) waits() {
	for i, w := range a.new.Waits {
		field := fmt.Sprintf("status.waits[%d]", i)
		if w.Controller == "" {
			a.wrong.add(field+".controller", Required, "is required")
		}
		if w.Code == "" {
			a.wrong.add(field+".code", Required, "is required")
		}
		if i > 0 && a.new.Waits[i-1].Controller >= w.Controller {
			a.wrong.add(field+".controller", WrongValue, "waits must be sorted by controller, one each")
		}
		a.bounded(field+".message", w.Message, maxMessage)
	}
}

func (a *admission) bounded(field, text string, most int) {
	if len(text) > most {
		a.wrong.add(field, TooLong, "is %d bytes long, at most %d are allowed", len(text), most)
	}
}
