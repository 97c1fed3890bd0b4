package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// Version is a position in the server's order of changes. Compare for equality only; "" is none.
type Version string

// Object is one resource as the API serves it.
type Object struct {
	APIVersion string
	Kind       string
	Metadata   Metadata
	// Spec and Status are JSON objects, nil when there is none. Decode them into types of your own.
	Spec, Status json.RawMessage
	// Other holds the further top-level fields of kinds that have some, such as the data of a ConfigMap.
	Other map[string]json.RawMessage
	// Raw is what the server sent, for printing. It is not kept up to date, and not sent.
	Raw json.RawMessage
}

// Metadata is what every object has.
type Metadata struct {
	Name         resource.Name      `json:"name,omitempty"`
	GenerateName string             `json:"generateName,omitempty"`
	Namespace    resource.Namespace `json:"namespace,omitempty"`
	UID          resource.UID       `json:"uid,omitempty"`
	// ResourceVersion is the object's revision. In an update it is the version that is to be replaced; without it, any is.
	ResourceVersion   Version              `json:"resourceVersion,omitempty"`
	Generation        resource.Generation  `json:"generation,omitempty"`
	CreationTimestamp time.Time            `json:"creationTimestamp,omitzero"`
	DeletionTimestamp time.Time            `json:"deletionTimestamp,omitzero"`
	Labels            map[string]string    `json:"labels,omitempty"`
	Annotations       map[string]string    `json:"annotations,omitempty"`
	Owners            []Owner              `json:"ownerReferences,omitempty"`
	Finalizers        []resource.Finalizer `json:"finalizers,omitempty"`
}

// Owner is an object that another belongs to. The owner is meant by UID.
type Owner struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Name       resource.Name `json:"name"`
	UID        resource.UID  `json:"uid"`
	Controller bool          `json:"controller,omitempty"`
	Block      bool          `json:"blockOwnerDeletion,omitempty"`
}

// EngineStatus is the part of a status that Setpoint itself writes.
type EngineStatus struct {
	State              lifecycle.State      `json:"state,omitempty"`
	StateSince         time.Time            `json:"stateSince,omitzero"`
	ObservedGeneration resource.Generation  `json:"observedGeneration,omitempty"`
	Conditions         []resource.Condition `json:"conditions,omitempty"`
	Waits              []resource.Wait      `json:"waits,omitempty"`
	// Action is the action under way, nil when there is none; Last is how the one before it ended.
	Action *resource.Action    `json:"action,omitempty"`
	Last   *resource.ActionEnd `json:"lastAction,omitempty"`
	// Signals are those that stand, as the driver's last turn left them.
	Signals []resource.StandingSignal `json:"signals,omitempty"`
}

// Condition returns the condition of a type, and whether there is one.
func (s EngineStatus) Condition(kind string) (resource.Condition, bool) {
	for _, c := range s.Conditions {
		if c.Type == kind {
			return c, true
		}
	}
	return resource.Condition{}, false
}

// Ref addresses the object.
func (o *Object) Ref() Ref { return Ref{Namespace: o.Metadata.Namespace, Name: o.Metadata.Name} }

// Engine decodes the engine's part of the status; it is zero for kinds that have none.
func (o *Object) Engine() (EngineStatus, error) {
	var s EngineStatus
	err := o.DecodeStatus(&s)
	return s, err
}

// Deleting reports whether deletion has been asked for.
func (o *Object) Deleting() bool { return !o.Metadata.DeletionTimestamp.IsZero() }

// DecodeSpec decodes the spec; without one it leaves into as it is.
func (o *Object) DecodeSpec(into any) error { return o.decode("spec", o.Spec, into) }

// DecodeStatus decodes the status; without one it leaves into as it is.
func (o *Object) DecodeStatus(into any) error { return o.decode("status", o.Status, into) }

func (o *Object) decode(what string, body json.RawMessage, into any) error {
	if len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s %s: the %s cannot be decoded: %w", o.Kind, o.Ref(), what, err)
	}
	return nil
}

// SetSpec replaces the spec by the JSON of v.
func (o *Object) SetSpec(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s %s: the spec cannot be encoded: %w", o.Kind, o.Ref(), err)
	}
	o.Spec = body
	return nil
}

// UnmarshalJSON reads an object, and keeps a copy of the text in Raw.
func (o *Object) UnmarshalJSON(text []byte) error {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	*o = Object{Raw: bytes.Clone(text)}
	for _, f := range []struct {
		name string
		into any
	}{{"apiVersion", &o.APIVersion}, {"kind", &o.Kind}, {"metadata", &o.Metadata}, {"spec", &o.Spec}, {"status", &o.Status}} {
		if body, ok := fields[f.name]; ok {
			if err := json.Unmarshal(body, f.into); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			delete(fields, f.name)
		}
	}
	if len(fields) > 0 {
		o.Other = fields
	}
	return nil
}

// MarshalJSON writes the fields, not Raw.
func (o *Object) MarshalJSON() ([]byte, error) {
	fields := make(map[string]any, 5+len(o.Other))
	for name, body := range o.Other {
		fields[name] = body
	}
	fields["apiVersion"], fields["kind"], fields["metadata"] = o.APIVersion, o.Kind, o.Metadata
	if len(o.Spec) > 0 {
		fields["spec"] = o.Spec
	}
	if len(o.Status) > 0 {
		fields["status"] = o.Status
	}
	return json.Marshal(fields)
}

// List is one page of a list.
type List struct {
	// Version is the position that the list shows; watch from it.
	Version Version
	// Continue asks for the next page; "" on the last.
	Continue string
	Items    []*Object
}

// wireList is a list as it is served. Its items may come without apiVersion and kind.
type wireList struct {
	Metadata listMeta  `json:"metadata"`
	Items    []*Object `json:"items"`
}

type listMeta struct {
	ResourceVersion Version `json:"resourceVersion"`
	Continue        string  `json:"continue"`
}
