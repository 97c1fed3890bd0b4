package api

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/setpointhq/setpoint/resource"
)

// selector says which objects of a kind a request is about.
type selector struct {
	namespace resource.Namespace
	name      resource.Name // "" for any
	labels    labels.Selector
	fields    fields.Selector
}

// The fields that can be selected by. The first two never change while an object exists.
const (
	fieldName      = "metadata.name"
	fieldNamespace = "metadata.namespace"
	fieldState     = "status.state"
)

// selector reads the selectors of the URL.
func (c *call) selector() (selector, error) {
	q := c.r.URL.Query()
	s := selector{namespace: c.target.namespace, name: c.target.name, labels: labels.Everything(), fields: fields.Everything()}
	var err error
	if text := q.Get("labelSelector"); text != "" {
		if s.labels, err = labels.Parse(text); err != nil {
			return s, apierrors.NewBadRequest(err.Error())
		}
	}
	if text := q.Get("fieldSelector"); text != "" {
		if s.fields, err = fields.ParseSelector(text); err != nil {
			return s, apierrors.NewBadRequest(err.Error())
		}
	}
	for _, r := range s.fields.Requirements() {
		switch r.Field {
		case fieldName, fieldNamespace, fieldState:
		default:
			return s, apierrors.NewBadRequest(fmt.Sprintf("field label not supported: %s: select by %s, %s or %s",
				r.Field, fieldName, fieldNamespace, fieldState))
		}
	}
	return s, nil
}

// matches reports whether an object of the kind is selected.
func (s *selector) matches(o *resource.Object) bool {
	if s.namespace != "" && o.Namespace != s.namespace || s.name != "" && o.Name != s.name {
		return false
	}
	if !s.labels.Empty() && !s.labels.Matches(labels.Set(o.Labels)) {
		return false
	}
	return s.fields.Empty() || s.fields.Matches(fieldsOf{o})
}

// changing reports whether an object can begin and cease to be selected while it exists.
func (s *selector) changing() bool {
	if !s.labels.Empty() {
		return true
	}
	for _, r := range s.fields.Requirements() {
		if r.Field == fieldState {
			return true
		}
	}
	return false
}

// fieldsOf lets a field selector look at an object.
type fieldsOf struct{ o *resource.Object }

// Has is for [fields.Fields].
func (f fieldsOf) Has(field string) bool {
	return field == fieldName || field == fieldNamespace || field == fieldState
}

// Get is for [fields.Fields].
func (f fieldsOf) Get(field string) string {
	switch field {
	case fieldName:
		return string(f.o.Name)
	case fieldNamespace:
		return string(f.o.Namespace)
	case fieldState:
		return string(f.o.State)
	}
	return ""
}
