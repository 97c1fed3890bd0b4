package resource

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Parse reads an object in the shape of the Kubernetes API: the inverse of [AppendJSON]. Fields of metadata that Setpoint does not keep
// (managedFields, selfLink, generateName …) are passed over; any other that is not known, a wrong type and a duplicate are refused with a *[Malformed]
// that lists them. Fields inside of spec and status are judged by [Definition.Admit]. A body above [MaxBytes] fails with [ErrTooLarge].
func Parse(d *Definition, body []byte) (*Object, error) {
	o, unknown, err := parse(d, body)
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		return nil, &Malformed{Key: o.Key, Causes: unknown}
	}
	return o, nil
}

// ParseLenient is [Parse] for clients that ask not to be refused for fields that are not known: it drops them, in spec and status
// too, and lists them.
func ParseLenient(d *Definition, body []byte) (*Object, []Cause, error) {
	o, unknown, err := parse(d, body)
	if err != nil {
		return nil, nil, err
	}
	more, err := d.Prune(o)
	return o, append(unknown, more...), err
}

// Prune drops the fields of spec and status that the kind's schema does not know, and lists them.
func (d *Definition) Prune(o *Object) ([]Cause, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	var dropped causes
	for _, part := range []struct {
		name string
		body *json.RawMessage
		rule *rule
	}{{"spec", &o.Spec, d.spec}, {"status", &o.Status, d.status}} {
		n, err := parseOptional(*part.body)
		if err != nil {
			return nil, &Malformed{Key: o.Key, Causes: []Cause{{Field: part.name, Type: WrongValue, Message: err.Error()}}}
		}
		before := len(dropped)
		if part.rule.prune(part.name, &n, &dropped); len(dropped) > before {
			*part.body = n.render(nil)
		}
	}
	return dropped, nil
}

func parse(d *Definition, body []byte) (*Object, []Cause, error) {
	o := &Object{Meta: Meta{Key: Key{Kind: d.ID()}}}
	if len(body) > MaxBytes {
		return nil, nil, fmt.Errorf("%s: %d bytes: %w", d.Kind, len(body), ErrTooLarge)
	}
	root, err := parseJSON(body)
	if err != nil {
		e := err.(*jsonError)
		line, column := position(body, e.offset)
		return nil, nil, &Malformed{Key: o.Key, Causes: []Cause{{
			Field: e.path, Type: WrongValue, Message: fmt.Sprintf("%s (line %d, column %d)", e.reason, line, column),
		}}}
	}
	r := reader{d: d, o: o}
	r.object("", &root, map[string]func(string, *node){
		"apiVersion": r.apiVersion,
		"kind":       r.kind,
		"metadata":   r.metadata,
		"spec":       r.spec,
		"status":     r.status,
	})
	if len(r.wrong) > 0 {
		return nil, nil, &Malformed{Key: o.Key, Causes: r.wrong}
	}
	return o, r.unknown, nil
}

// position counts lines and columns from 1.
func position(text []byte, offset int) (line, column int) {
	before := string(text[:min(offset, len(text))])
	return 1 + strings.Count(before, "\n"), len(before) - strings.LastIndexByte(before, '\n')
}

func (r *reader) apiVersion(path string, n *node) {
	if want := r.d.APIVersion(); r.is(path, n, jsonString) && n.str != want {
		r.wrong.add(path, WrongValue, "is %q, want %q", n.str, want)
	}
}

func (r *reader) kind(path string, n *node) {
	if r.is(path, n, jsonString) && n.str != r.d.Kind {
		r.wrong.add(path, WrongValue, "is %q, want %q", n.str, r.d.Kind)
	}
}

func (r *reader) metadata(path string, n *node) {
	o := r.o
	r.object(path, n, map[string]func(string, *node){
		"name":              readText(r, &o.Name),
		"namespace":         readText(r, &o.Namespace),
		"uid":               readText(r, &o.UID),
		"resourceVersion":   r.revision,
		"generation":        readCount(r, &o.Generation),
		"creationTimestamp": r.readTime(&o.Created),
		"deletionTimestamp": r.readTime(&o.Deleted),
		"labels":            r.readTexts(&o.Labels),
		"annotations":       r.readTexts(&o.Annotations),
		"ownerReferences":   r.each(r.owner),
		"finalizers": r.each(func(path string, n *node) {
			if r.is(path, n, jsonString) {
				o.Finalizers = append(o.Finalizers, Finalizer(n.str))
			}
		}),
		// What Kubernetes has and Setpoint does not keep.
		"managedFields": nil, "selfLink": nil, "generateName": nil, "deletionGracePeriodSeconds": nil,
	})
	r.ownAnnotations(path)
}

func (r *reader) revision(path string, n *node) {
	if !r.is(path, n, jsonString) || n.str == "" {
		return
	}
	v, err := ParseRevision(n.str)
	if err != nil {
		r.wrong.add(path, WrongValue, "%s", err.Error())
		return
	}
	r.o.Revision = v
}

func (r *reader) owner(path string, n *node) {
	var o Owner
	var apiVersion, kind string
	r.object(path, n, map[string]func(string, *node){
		"apiVersion":         readText(r, &apiVersion),
		"kind":               readText(r, &kind),
		"name":               readText(r, &o.Name),
		"uid":                readText(r, &o.UID),
		"controller":         r.readFlag(&o.Controller),
		"blockOwnerDeletion": r.readFlag(&o.Block),
	})
	group, version, found := strings.Cut(apiVersion, "/")
	if !found {
		group, version = "", apiVersion
	}
	o.Kind, o.Version = MakeKindID(kind, group), version
	// Owners are of the same namespace, or of none; which, the kind of the owner decides and not the reference.
	r.o.Owners = append(r.o.Owners, o)
}

// ownAnnotations takes the engine's fields out of the annotations.
func (r *reader) ownAnnotations(path string) {
	o := r.o
	if needs := o.Annotations[AnnotationNeeds]; needs != "" {
		o.Needs = strings.Split(needs, ",")
	}
	if child := o.Annotations[AnnotationChild]; child != "" {
		at := slices.IndexFunc(o.Owners, Owner.Controls)
		if at < 0 {
			r.wrong.add(path+".annotations["+AnnotationChild+"]", Forbidden, "names a child, but the object has no controlling owner")
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

func (r *reader) spec(path string, n *node) {
	if r.is(path, n, jsonObject) {
		r.o.Spec = n.render(nil)
	}
}

func (r *reader) status(path string, n *node) {
	if !r.is(path, n, jsonObject) {
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
	r.object(path, &engine, map[string]func(string, *node){
		"state":              readText(r, &o.State),
		"stateSince":         r.readTime(&o.StateSince),
		"observedGeneration": readCount(r, &o.Observed),
		"conditions":         r.each(r.condition),
		"waits":              r.each(r.wait),
	})
	slices.SortStableFunc(o.Conditions, func(a, b Condition) int { return strings.Compare(a.Type, b.Type) })
	slices.SortStableFunc(o.Waits, func(a, b Wait) int { return strings.Compare(a.Controller, b.Controller) })
}

func (r *reader) condition(path string, n *node) {
	var c Condition
	r.object(path, n, map[string]func(string, *node){
		"type":               readText(r, &c.Type),
		"status":             readText(r, &c.Status),
		"reason":             readText(r, &c.Reason),
		"message":            readText(r, &c.Message),
		"observedGeneration": readCount(r, &c.Observed),
		"lastTransitionTime": r.readTime(&c.Since),
	})
	r.o.Conditions = append(r.o.Conditions, c)
}

func (r *reader) wait(path string, n *node) {
	var a Wait
	r.object(path, n, map[string]func(string, *node){
		"controller": readText(r, &a.Controller),
		"code":       readText(r, &a.Code),
		"message":    readText(r, &a.Message),
		"class":      readText(r, &a.Class),
		"until":      r.readTime(&a.Until),
		"since":      r.readTime(&a.Since),
		"on": r.each(func(path string, n *node) {
			var ref Ref
			r.object(path, n, map[string]func(string, *node){
				"command": readText(r, &ref.Command),
				"object": func(path string, n *node) {
					r.object(path, n, map[string]func(string, *node){
						"kind":      readText(r, &ref.Object.Kind),
						"namespace": readText(r, &ref.Object.Namespace),
						"name":      readText(r, &ref.Object.Name),
					})
				},
			})
			a.On = append(a.On, ref)
		}),
	})
	r.o.Waits = append(r.o.Waits, a)
}

// KeepPrecision gives an object that a client sent back the exact times that its wire form had cut to seconds: where a time of
// old begins with the second that o has, o gets old's.
func (o *Object) KeepPrecision(old *Object) {
	keep := func(into *time.Time, exact time.Time) {
		if !into.IsZero() && into.Equal(exact.Truncate(time.Second)) {
			*into = exact
		}
	}
	keep(&o.Created, old.Created)
	keep(&o.Deleted, old.Deleted)
	for i := range o.Conditions {
		if was, ok := old.Condition(o.Conditions[i].Type); ok {
			keep(&o.Conditions[i].Since, was.Since)
		}
	}
}
