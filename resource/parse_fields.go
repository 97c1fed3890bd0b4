package resource

import (
	"slices"
	"strings"
)

// The fields of the wire form.
var (
	rootFields     = []string{"apiVersion", "kind", "metadata", "spec", "status"}
	metadataFields = []string{
		"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
		"labels", "annotations", "ownerReferences", "finalizers",
		// What Kubernetes has and Setpoint does not keep.
		"managedFields", "selfLink", "generateName", "deletionGracePeriodSeconds",
	}
	ownerFields     = []string{"apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"}
	conditionFields = []string{"type", "status", "reason", "message", "observedGeneration", "lastTransitionTime"}
	waitFields      = []string{"controller", "code", "message", "class", "until", "since", "on"}
	refFields       = []string{"object", "command"}
	keyFields       = []string{"kind", "namespace", "name"}
)

func (r *reader) root(n *node) {
	r.object(n, rootFields, func(field string, v *node) {
		switch field {
		case "apiVersion":
			r.mustBe(v, r.d.APIVersion())
		case "kind":
			r.mustBe(v, r.d.Kind)
		case "metadata":
			r.metadata(v)
		case "spec":
			if r.is(v, jsonObject) {
				r.o.Spec = v.render(nil)
			}
		case "status":
			r.status(v)
		}
	})
}

func (r *reader) mustBe(n *node, want string) {
	if r.is(n, jsonString) && n.str != want {
		r.found.add("", WrongValue, "is %q, want %q", n.str, want)
	}
}

func (r *reader) metadata(n *node) {
	o := r.o
	r.object(n, metadataFields, func(field string, v *node) {
		switch field {
		case "name":
			readText(r, v, &o.Name)
		case "namespace":
			readText(r, v, &o.Namespace)
		case "uid":
			readText(r, v, &o.UID)
		case "resourceVersion":
			r.revision(v)
		case "generation":
			readCount(r, v, &o.Generation)
		case "creationTimestamp":
			r.time(v, &o.Created)
		case "deletionTimestamp":
			r.time(v, &o.Deleted)
		case "labels":
			r.texts(v, &o.Labels)
		case "annotations":
			r.texts(v, &o.Annotations)
		case "ownerReferences":
			r.list(v, r.owner)
		case "finalizers":
			r.list(v, func(item *node) {
				var f Finalizer
				readText(r, item, &f)
				o.Finalizers = append(o.Finalizers, f)
			})
		}
	})
	r.ownAnnotations()
}

func (r *reader) revision(n *node) {
	if !r.is(n, jsonString) || n.str == "" {
		return
	}
	v, err := ParseRevision(n.str)
	if err != nil {
		r.found.add("", WrongValue, "%s", err.Error())
		return
	}
	r.o.Revision = v
}

func (r *reader) owner(n *node) {
	var o Owner
	var apiVersion, kind string
	r.object(n, ownerFields, func(field string, v *node) {
		switch field {
		case "apiVersion":
			readText(r, v, &apiVersion)
		case "kind":
			readText(r, v, &kind)
		case "name":
			readText(r, v, &o.Name)
		case "uid":
			readText(r, v, &o.UID)
		case "controller":
			r.flag(v, &o.Controller)
		case "blockOwnerDeletion":
			r.flag(v, &o.Block)
		}
	})
	group, version, found := strings.Cut(apiVersion, "/")
	if !found {
		group, version = "", apiVersion
	}
	o.Kind, o.Version = MakeKindID(kind, group), version
	r.o.Owners = append(r.o.Owners, o)
}

// ownAnnotations takes the engine's fields out of the annotations.
func (r *reader) ownAnnotations() {
	o := r.o
	if needs := o.Annotations[AnnotationNeeds]; needs != "" {
		o.Needs = strings.Split(needs, ",")
	}
	if child := o.Annotations[AnnotationChild]; child != "" {
		at := slices.IndexFunc(o.Owners, Owner.Controls)
		if at < 0 {
			r.found.add(".annotations["+AnnotationChild+"]", Forbidden, "names a child, but the object has no controlling owner")
		} else {
			o.Owners[at].Child = child
		}
	}
	delete(o.Annotations, AnnotationNeeds)
	delete(o.Annotations, AnnotationChild)
	if len(o.Annotations) == 0 {
		o.Annotations = nil
	}
}

// status takes the engine's part and the author's apart.
func (r *reader) status(n *node) {
	if !r.is(n, jsonObject) {
		return
	}
	author, engine := node{kind: jsonObject}, node{kind: jsonObject}
	for _, m := range n.members {
		if slices.Contains(engineStatus, m.key) {
			engine.members = append(engine.members, m)
		} else {
			author.members = append(author.members, m)
		}
	}
	if len(author.members) > 0 {
		r.o.Status = author.render(nil)
	}
	o := r.o
	r.object(&engine, engineStatus, func(field string, v *node) {
		switch field {
		case "state":
			readText(r, v, &o.State)
		case "stateSince":
			r.time(v, &o.StateSince)
		case "observedGeneration":
			readCount(r, v, &o.Observed)
		case "conditions":
			r.list(v, r.condition)
		case "waits":
			r.list(v, r.wait)
		case "action":
			r.action(v)
		case "lastAction":
			r.lastAction(v)
		case "signals":
			r.list(v, r.signal)
		}
	})
	slices.SortStableFunc(o.Conditions, func(a, b Condition) int { return strings.Compare(a.Type, b.Type) })
	slices.SortStableFunc(o.Waits, func(a, b Wait) int { return strings.Compare(a.Controller, b.Controller) })
}

func (r *reader) condition(n *node) {
	var c Condition
	r.object(n, conditionFields, func(field string, v *node) {
		switch field {
		case "type":
			readText(r, v, &c.Type)
		case "status":
			readText(r, v, &c.Status)
		case "reason":
			readText(r, v, &c.Reason)
		case "message":
			readText(r, v, &c.Message)
		case "observedGeneration":
			readCount(r, v, &c.Observed)
		case "lastTransitionTime":
			r.time(v, &c.Since)
		}
	})
	r.o.Conditions = append(r.o.Conditions, c)
}

func (r *reader) wait(n *node) {
	var w Wait
	r.object(n, waitFields, func(field string, v *node) {
		switch field {
		case "controller":
			readText(r, v, &w.Controller)
		case "code":
			readText(r, v, &w.Code)
		case "message":
			readText(r, v, &w.Message)
		case "class":
			readText(r, v, &w.Class)
		case "until":
			r.time(v, &w.Until)
		case "since":
			r.time(v, &w.Since)
		case "on":
			r.list(v, func(item *node) { w.On = append(w.On, r.ref(item)) })
		}
	})
	r.o.Waits = append(r.o.Waits, w)
}

func (r *reader) ref(n *node) (ref Ref) {
	r.object(n, refFields, func(field string, v *node) {
		switch field {
		case "command":
			readText(r, v, &ref.Command)
		case "object":
			r.object(v, keyFields, func(field string, v *node) {
				switch field {
				case "kind":
					readText(r, v, &ref.Object.Kind)
				case "namespace":
					readText(r, v, &ref.Object.Namespace)
				case "name":
					readText(r, v, &ref.Object.Name)
				}
			})
		}
	})
	return ref
}
