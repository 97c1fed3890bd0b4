package api

import (
	"encoding/json"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/setpointhq/setpoint/resource"
)

// object reads an object of the target's kind as strictly as the client asks for, and warns of what it passes over.
func (c *call) object(body []byte, validation string) (*resource.Object, error) {
	o, unknown, err := resource.ParseLenient(c.target.def, body)
	if err != nil {
		return nil, err
	}
	if len(unknown) == 0 || validation == ignore {
		return o, nil
	}
	texts := make([]string, len(unknown))
	for i, u := range unknown {
		texts[i] = fmt.Sprintf("unknown field %q", u.Field)
		if _, hint, found := strings.Cut(u.Message, "unknown field"); found {
			texts[i] += hint
		}
	}
	if validation == strict {
		return nil, c.badBody("strict decoding error: " + strings.Join(texts, ", "))
	}
	c.warnings(texts)
	return o, nil
}

// address holds an object against the URL it was sent to. Where it says nothing, it gets what the URL says.
func (c *call) address(o *resource.Object) error {
	t := c.target
	if o.Namespace == "" {
		o.Namespace = t.namespace
	}
	if o.Namespace != t.namespace {
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	if t.name == "" {
		return nil
	}
	if o.Name == "" {
		return apierrors.NewBadRequest("the name of the object must be set to " + string(t.name) + ", the name on the URL")
	}
	if o.Name != t.name {
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", o.Name, t.name))
	}
	return nil
}

// generateName reads the prefix of a name that the server is to make.
func generateName(body []byte) string {
	var b struct {
		Metadata struct{ GenerateName string }
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return "" // the object itself has been read: no name is asked for in a form we know
	}
	return b.Metadata.GenerateName
}

// owners completes the owners that a client has named: their namespaces follow from their kinds, and what the engine keeps of them, from
// the object as it was.
func (c *call) owners(o, old *resource.Object) {
	for i := range o.Owners {
		owner := &o.Owners[i]
		owner.Child = ""
		if old != nil {
			if was, ok := ownerByUID(old, owner.UID); ok {
				owner.Namespace, owner.Child = was.Namespace, was.Child
				if owner.Controls() == was.Controls() {
					owner.Controller = was.Controller
				}
				continue
			}
		}
		if d, ok := c.h.Plane.Registry().Kind(owner.Kind); ok && d.Namespaced() {
			owner.Namespace = o.Namespace
		}
	}
}

func ownerByUID(o *resource.Object, uid resource.UID) (resource.Owner, bool) {
	for _, owner := range o.Owners {
		if owner.UID == uid {
			return owner, true
		}
	}
	return resource.Owner{}, false
}

// immutable refuses what a patch has changed and nobody may. What it has removed stays as it was.
func (c *call) immutable(old, o *resource.Object) error {
	var wrong field.ErrorList
	judge := func(name string, ok bool, value any) {
		if !ok {
			wrong = append(wrong, field.Invalid(field.NewPath("metadata", name), value, "field is immutable"))
		}
	}
	judge("name", o.Name == old.Name, string(o.Name))
	judge("namespace", o.Namespace == old.Namespace, string(o.Namespace))
	judge("uid", o.UID == "" || o.UID == old.UID, string(o.UID))
	judge("creationTimestamp", o.Created.IsZero() || o.Created.Equal(old.Created), o.Created)
	judge("deletionTimestamp", o.Deleted.IsZero() || o.Deleted.Equal(old.Deleted), o.Deleted)
	if len(wrong) > 0 {
		return apierrors.NewInvalid(c.target.groupKind(), string(old.Name), wrong)
	}
	return nil
}

func required(path, detail string) error {
	return &resource.Invalid{Causes: []resource.Cause{{Field: path, Type: resource.Required, Message: detail}}}
}
