package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
)

// Group is the API group of Setpoint's own kinds, and the prefix of annotations that are its own.
const Group = "setpoint.dev"

// Scope says whether the objects of a kind belong to namespaces.
type Scope string

// The two scopes.
const (
	Namespaced Scope = "Namespaced"
	Cluster    Scope = "Cluster"
)

// Definition is a kind as data. [Define] derives one from Go types; one that was read from a file is filled in field by field. It must
// not be copied, nor changed once it has been used.
//
// There is one version of a kind. Further versions will be a list of conversions beside Version, and rules in CEL
// will be keywords of the schemas: neither changes what is here.
type Definition struct {
	// Group is a DNS name, "edge.example"; empty only for kinds of the Kubernetes core group.
	Group string
	// Version is "v1", "v1beta2", "v2alpha1".
	Version string
	// Kind is CamelCase, Plural and Singular are its lower-case forms in URLs and on the command line.
	Kind, Plural, Singular string
	// ShortNames are abbreviations, Categories groups of kinds, for people who type.
	ShortNames, Categories []string
	// Scope is Namespaced when empty.
	Scope       Scope
	Description string
	// Spec and Status describe the author's part of an object; nil allows any fields. An object schema with properties
	// is closed: other fields are unknown, unless it says additionalProperties.
	Spec, Status *jsonschema.Schema
	// Lifecycle is nil for a kind without states.
	Lifecycle lifecycle.Table
	// Decisions is the kind's decision table; the zero Table decides nothing.
	Decisions decide.Table
	// Columns are what lists show beside name and age.
	Columns []Column
	// Default fills in what a client left out. It may replace Spec and metadata of the object it is given, and
	// must come to the same result when it is called again. It may be nil.
	Default func(*Object) error
	// Validate judges a specification that has passed the schema, when an object is made (old is nil) and when its specification
	// changes. It returns a [Cause], several joined, or any other error. It may be nil.
	Validate func(old, new *Object) error

	once         sync.Once
	err          error
	spec, status *rule
	// decodes tells whether an object fits the kind's Go types; nil when it has none.
	decodes func(*Object) error
}

// ID names the kind across versions.
func (d *Definition) ID() KindID { return MakeKindID(d.Kind, d.Group) }

// APIVersion is "<group>/<version>", or "<version>" in the core group.
func (d *Definition) APIVersion() string {
	if d.Group == "" {
		return d.Version
	}
	return d.Group + "/" + d.Version
}

// Namespaced reports whether objects of the kind belong to a namespace.
func (d *Definition) Namespaced() bool { return d.Scope != Cluster }

// Key addresses an object of this kind.
func (d *Definition) Key(ns Namespace, name Name) Key {
	return Key{Kind: d.ID(), Namespace: ns, Name: name}
}

// Check reports everything that is wrong with the definition, in words. It does its work once; [Registry.Register] calls it.
func (d *Definition) Check() error {
	d.once.Do(func() { d.err = d.check() })
	return d.err
}

func (d *Definition) check() error {
	errs := d.checkNames()
	if err := lifecycle.Check(d.Lifecycle); err != nil {
		errs = append(errs, err)
	} else if err := decide.Check(d.Lifecycle, d.Decisions); err != nil {
		errs = append(errs, err)
	}
	var err error
	if d.spec, err = compile("spec", d.Spec); err != nil {
		errs = append(errs, err)
	}
	if d.status, err = compile("status", d.Status); err != nil {
		errs = append(errs, err)
	}
	if d.Status != nil {
		for _, field := range engineStatus {
			if _, taken := d.Status.Properties[field]; taken {
				errs = append(errs, fmt.Errorf("the status has a field %q: that name is the engine's (%s)", field, strings.Join(engineStatus, ", ")))
			}
		}
	}
	for _, c := range d.Columns {
		if err := c.check(); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("kind %s: %w", d.ID(), errors.Join(errs...))
}

// engineStatus are the fields of a status that the engine writes.
var engineStatus = []string{"state", "stateSince", "observedGeneration", "conditions", "waits", "action", "lastAction", "signals"}

func (d *Definition) checkNames() (errs []error) {
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if d.Group != "" {
		if err := checkSubdomain(d.Group); err != nil {
			refuse("the group %w", err)
		}
	}
	if !isVersion(d.Version) {
		refuse(`the version %q is not one: want "v1", "v1beta2" or the like`, d.Version)
	}
	if !isCamelCase(d.Kind) {
		refuse("the kind %q must begin with a capital letter and consist of at most 63 letters and digits", d.Kind)
	}
	if d.Scope != "" && d.Scope != Namespaced && d.Scope != Cluster {
		refuse("the scope %q is neither %s nor %s", d.Scope, Namespaced, Cluster)
	}
	words := map[string][]string{"plural": {d.Plural}, "singular": {d.Singular}, "short name": d.ShortNames, "category": d.Categories}
	for _, what := range []string{"plural", "singular", "short name", "category"} {
		for _, w := range words[what] {
			if err := checkLabel(w); err != nil {
				refuse("the %s %w", what, err)
			}
		}
	}
	return errs
}

// isVersion accepts v<n>, v<n>alpha<n> and v<n>beta<n>.
func isVersion(s string) bool {
	rest, ok := strings.CutPrefix(s, "v")
	if !ok {
		return false
	}
	for _, stage := range []string{"alpha", "beta"} {
		if major, minor, found := strings.Cut(rest, stage); found {
			return isCount(major) && isCount(minor)
		}
	}
	return isCount(rest)
}

func isCount(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != "" && s[0] != '0'
}

// names lists all words a person may type for the kind, without its group.
func (d *Definition) names() []string {
	return append([]string{d.Plural, d.Singular, strings.ToLower(d.Kind)}, slices.Sorted(slices.Values(d.ShortNames))...)
}

var emptyObject = json.RawMessage("{}")
