package resource

import (
	"maps"
	"slices"
	"strings"
)

// Bounds of metadata. They are those of Kubernetes where it has them.
const (
	maxAnnotations = 256 << 10 // bytes in all
	maxMessage     = 32 << 10
	maxReason      = 1024
)

// attributes judges those that this write changes.
func (a *admission) attributes() {
	var old Attributes
	if a.old != nil {
		old = a.old.Attributes
	}
	if !maps.Equal(old.Labels, a.new.Labels) {
		a.labels()
	}
	if !maps.Equal(old.Annotations, a.new.Annotations) {
		a.annotations()
	}
	if !slices.Equal(old.Owners, a.new.Owners) {
		a.owners()
	}
	if !slices.Equal(old.Finalizers, a.new.Finalizers) {
		a.list("metadata.finalizers", len(a.new.Finalizers), a.finalizer)
	}
	if !slices.Equal(old.Needs, a.new.Needs) {
		a.list("metadata.annotations["+AnnotationNeeds+"]", len(a.new.Needs), a.need)
	}
	if !slices.Equal(old.Conditions, a.new.Conditions) {
		a.list("status.conditions", len(a.new.Conditions), a.condition)
	}
	a.list("status.waits", len(a.new.Waits), a.wait)
	if !old.Action.Equal(a.new.Action) {
		a.action(a.new.Action)
	}
}

// action judges the cursor of an action: whoever takes over has to be able to go on from it.
func (a *admission) action(x *Action) {
	if x == nil {
		return
	}
	mark := len(a.wrong)
	a.required(".name", x.Name)
	if x.Phase != ActionRunning && x.Phase != ActionUnwinding {
		a.wrong.add(".phase", NotSupported, "%q is not one of %s, %s", x.Phase, ActionRunning, ActionUnwinding)
	}
	a.bounded(".message", x.Message, maxMessage)
	a.list(".steps", len(x.Steps), func(i int) {
		s := x.Steps[i]
		if a.required(".name", s.Name) && slices.ContainsFunc(x.Steps[:i], func(before ActionStep) bool { return before.Name == s.Name }) {
			a.wrong.add(".name", Duplicate, "%q has begun already", s.Name)
		}
	})
	a.wrong.within(mark, "status.action")
}

// list judges items; judge names fields as seen from its item.
func (a *admission) list(field string, items int, judge func(i int)) {
	start := len(a.wrong)
	for i := range items {
		mark := len(a.wrong)
		judge(i)
		a.wrong.inItem(mark, i)
	}
	a.wrong.within(start, field)
}

func (a *admission) labels() {
	for _, k := range sortedKeys(a.new.Labels) {
		mark := len(a.wrong)
		if err := checkQualified(k); err != nil {
			a.wrong.add("["+k+"]", WrongValue, "the key %s", err.Error())
		}
		if err := checkWord(a.new.Labels[k]); err != nil {
			a.wrong.add("["+k+"]", WrongValue, "the value %s", err.Error())
		}
		a.wrong.within(mark, "metadata.labels")
	}
}

func (a *admission) annotations() {
	total := 0
	for _, k := range sortedKeys(a.new.Annotations) {
		mark := len(a.wrong)
		total += len(k) + len(a.new.Annotations[k])
		if err := checkQualified(strings.ToLower(k)); err != nil {
			a.wrong.add("["+k+"]", WrongValue, "the key %s", err.Error())
		}
		if k == AnnotationChild || k == AnnotationNeeds {
			a.wrong.add("["+k+"]", Forbidden, "is written by the engine")
		}
		a.wrong.within(mark, "metadata.annotations")
	}
	if total > maxAnnotations {
		a.wrong.add("metadata.annotations", TooLong, "are %d bytes in all, at most %d are allowed", total, maxAnnotations)
	}
}

func (a *admission) owners() {
	owners, controllers := a.new.Owners, 0
	a.list("metadata.ownerReferences", len(owners), func(i int) {
		o := owners[i]
		kind, _ := o.Kind.Split()
		a.required(".kind", kind)
		a.required(".name", string(o.Name))
		a.required(".uid", string(o.UID))
		if o.UID != "" && slices.ContainsFunc(owners[:i], func(before Owner) bool { return before.UID == o.UID }) {
			a.wrong.add(".uid", Duplicate, "%s is an owner already", o.UID)
		}
		if o.UID != "" && o.UID == a.new.UID {
			a.wrong.add(".uid", WrongValue, "an object cannot own itself")
		}
		if o.Controls() {
			controllers++
		}
	})
	if controllers > 1 {
		a.wrong.add("metadata.ownerReferences", WrongValue, "%d owners control the object, at most one may", controllers)
	}
}

func (a *admission) finalizer(i int) {
	f := a.new.Finalizers[i]
	if err := checkQualified(string(f)); err != nil {
		a.wrong.add("", WrongValue, "%s", err.Error())
	}
	if slices.Contains(a.new.Finalizers[:i], f) {
		a.wrong.add("", Duplicate, "%q is there already", f)
	}
}

func (a *admission) need(i int) {
	if err := checkSubdomain(a.new.Needs[i]); err != nil {
		a.wrong.add("", WrongValue, "%s", err.Error())
	}
}

func (a *admission) condition(i int) {
	c := a.new.Conditions[i]
	if a.required(".type", c.Type) {
		if err := checkQualified(c.Type); err != nil {
			a.wrong.add(".type", WrongValue, "%s", err.Error())
		}
	}
	if i > 0 {
		switch before := a.new.Conditions[i-1].Type; {
		case before == c.Type:
			a.wrong.add(".type", Duplicate, "%q is there already", c.Type)
		case before > c.Type:
			a.wrong.add(".type", WrongValue, "%q must stand before %q", c.Type, before)
		}
	}
	if c.Status != True && c.Status != False && c.Status != Unknown {
		a.wrong.add(".status", NotSupported, "%q is not one of True, False, Unknown", c.Status)
	}
	a.bounded(".message", c.Message, maxMessage)
	a.bounded(".reason", c.Reason, maxReason)
}

func (a *admission) wait(i int) {
	w := a.new.Waits[i]
	a.required(".controller", w.Controller)
	a.required(".code", w.Code)
	if i > 0 && a.new.Waits[i-1].Controller >= w.Controller {
		a.wrong.add(".controller", WrongValue, "waits must be sorted by controller, one each")
	}
	a.bounded(".message", w.Message, maxMessage)
}

func (a *admission) required(field, value string) bool {
	if value == "" {
		a.wrong.add(field, Required, "is required")
	}
	return value != ""
}

func (a *admission) bounded(field, text string, most int) {
	if len(text) > most {
		a.wrong.add(field, TooLong, "is %d bytes long, at most %d are allowed", len(text), most)
	}
}
