package resource

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Annotations under which the wire form carries what Kubernetes objects have no field for. Clients must not set them.
const (
	// AnnotationChild is the name under which the controlling owner declared the object ([Owner.Child]).
	AnnotationChild = Group + "/child"
	// AnnotationNeeds is the list of siblings it needs, separated by commas ([Attributes.Needs]).
	AnnotationNeeds = Group + "/needs"
)

// AppendJSON appends the object in the shape of the Kubernetes API. Spec and status are copied as they are stored, not decoded. Times that
// Kubernetes knows are written in whole seconds (see [Object.KeepPrecision]); the others as they are.
func AppendJSON(dst []byte, d *Definition, o *Object) []byte {
	w := writer{append(dst, '{')}
	w.key("apiVersion")
	w.apiVersion(d.Group, d.Version)
	w.text("kind", d.Kind)
	w.open("metadata")
	w.meta(d, o)
	w.shut()
	if len(o.Spec) > 0 {
		w.key("spec")
		w.out = append(w.out, o.Spec...)
	}
	w.statusOf(o)
	w.shut()
	return w.out
}

// writer appends JSON. Every method that writes a field puts the comma that it needs.
type writer struct{ out []byte }

func (w *writer) comma() {
	switch w.out[len(w.out)-1] {
	case '{', '[', ':':
	default:
		w.out = append(w.out, ',')
	}
}

func (w *writer) key(k string) {
	w.comma()
	w.out = append(append(append(w.out, '"'), k...), '"', ':')
}

func (w *writer) open(k string) {
	w.key(k)
	w.out = append(w.out, '{')
}

func (w *writer) list(k string) {
	w.key(k)
	w.out = append(w.out, '[')
}

func (w *writer) item() {
	w.comma()
	w.out = append(w.out, '{')
}

func (w *writer) shut()    { w.out = append(w.out, '}') }
func (w *writer) endList() { w.out = append(w.out, ']') }

// text writes a field unless it is empty, and so do the next four.
func (w *writer) text(k, v string) {
	if v != "" {
		w.key(k)
		w.out = appendString(w.out, v)
	}
}

func (w *writer) count(k string, v uint64) {
	if v != 0 {
		w.key(k)
		w.out = strconv.AppendUint(w.out, v, 10)
	}
}

func (w *writer) flag(k string, v bool) {
	if v {
		w.key(k)
		w.out = append(w.out, "true"...)
	}
}

func (w *writer) seconds(k string, t time.Time) { w.time(k, t, time.RFC3339) }
func (w *writer) exact(k string, t time.Time)   { w.time(k, t, time.RFC3339Nano) }

func (w *writer) time(k string, t time.Time, layout string) {
	if !t.IsZero() {
		w.key(k)
		w.out = append(t.UTC().AppendFormat(append(w.out, '"'), layout), '"')
	}
}

func (w *writer) apiVersion(group, version string) {
	if group != "" {
		version = group + "/" + version
	}
	w.out = appendString(w.out, version)
}

func (w *writer) meta(d *Definition, o *Object) {
	w.text("name", string(o.Name))
	w.text("namespace", string(o.Namespace))
	w.text("uid", string(o.UID))
	if o.Revision != 0 {
		w.key("resourceVersion")
		w.out = append(strconv.AppendUint(append(w.out, '"'), uint64(o.Revision), 10), '"')
	}
	w.count("generation", uint64(o.Generation))
	w.seconds("creationTimestamp", o.Created)
	w.seconds("deletionTimestamp", o.Deleted)
	if o.Deleting() {
		w.key("deletionGracePeriodSeconds")
		w.out = append(w.out, '0')
	}
	if len(o.Labels) > 0 {
		w.open("labels")
		w.texts(o.Labels)
		w.shut()
	}
	w.annotations(o)
	if len(o.Owners) > 0 {
		w.list("ownerReferences")
		for i := range o.Owners {
			w.owner(d, &o.Owners[i])
		}
		w.endList()
	}
	if len(o.Finalizers) > 0 {
		w.list("finalizers")
		for _, f := range o.Finalizers {
			w.comma()
			w.out = appendString(w.out, string(f))
		}
		w.endList()
	}
}

// texts writes a map's entries in the order of their keys.
func (w *writer) texts(m map[string]string) {
	for _, k := range sortedKeys(m) {
		w.comma()
		w.out = append(appendString(w.out, k), ':')
		w.out = appendString(w.out, m[k])
	}
}

func (w *writer) annotations(o *Object) {
	child := ""
	for i := range o.Owners {
		if o.Owners[i].Child != "" {
			child = o.Owners[i].Child
			break
		}
	}
	if len(o.Annotations) == 0 && child == "" && len(o.Needs) == 0 {
		return
	}
	w.open("annotations")
	w.texts(o.Annotations)
	w.text(AnnotationChild, child)
	w.text(AnnotationNeeds, strings.Join(o.Needs, ","))
	w.shut()
}

func (w *writer) owner(d *Definition, o *Owner) {
	kind, group := o.Kind.Split()
	version := o.Version
	if version == "" {
		version = d.Version
	}
	w.item()
	w.key("apiVersion")
	w.apiVersion(group, version)
	w.text("kind", kind)
	w.text("name", string(o.Name))
	w.text("uid", string(o.UID))
	w.flag("controller", o.Controls())
	w.flag("blockOwnerDeletion", o.Block)
	w.shut()
}

// statusOf writes what the engine knows, then the author's fields as they are stored.
func (w *writer) statusOf(o *Object) {
	author := inside(o.Status)
	if len(author) == 0 && o.State == "" && o.Observed == 0 && len(o.Conditions) == 0 && len(o.Waits) == 0 &&
		o.Action == nil && o.Last == nil && len(o.Signals) == 0 {
		return
	}
	w.open("status")
	if o.State != "" { // kinds without a lifecycle have nothing to say here
		w.text("state", string(o.State))
		w.exact("stateSince", o.StateSince)
	}
	w.count("observedGeneration", uint64(o.Observed))
	if len(o.Conditions) > 0 {
		w.list("conditions")
		for i := range o.Conditions {
			w.condition(&o.Conditions[i])
		}
		w.endList()
	}
	if len(o.Waits) > 0 {
		w.list("waits")
		for i := range o.Waits {
			w.wait(&o.Waits[i])
		}
		w.endList()
	}
	w.actionOf(o)
	if len(author) > 0 {
		w.comma()
		w.out = append(w.out, author...)
	}
	w.shut()
}

// inside is what stands between the braces of a JSON object.
func inside(body json.RawMessage) []byte {
	body = bytes.TrimSpace(body)
	if len(body) < 2 || body[0] != '{' {
		return nil
	}
	return bytes.TrimSpace(body[1 : len(body)-1])
}

func (w *writer) condition(c *Condition) {
	w.item()
	w.text("type", c.Type)
	w.text("status", string(c.Status))
	w.key("reason")
	w.out = appendString(w.out, c.Reason)
	w.key("message")
	w.out = appendString(w.out, c.Message)
	w.count("observedGeneration", uint64(c.Observed))
	w.seconds("lastTransitionTime", c.Since)
	w.shut()
}

func (w *writer) wait(a *Wait) {
	w.item()
	w.text("controller", a.Controller)
	w.text("code", a.Code)
	w.text("message", a.Message)
	if len(a.On) > 0 {
		w.list("on")
		for i := range a.On {
			w.ref(&a.On[i])
		}
		w.endList()
	}
	w.exact("until", a.Until)
	w.text("class", a.Class)
	w.exact("since", a.Since)
	w.shut()
}

func (w *writer) ref(r *Ref) {
	w.item()
	if !r.Object.IsZero() {
		w.open("object")
		w.text("kind", string(r.Object.Kind))
		w.text("namespace", string(r.Object.Namespace))
		w.text("name", string(r.Object.Name))
		w.shut()
	}
	w.text("command", r.Command)
	w.shut()
}
