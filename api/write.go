package api

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// create answers POST to a collection.
func (c *call) create() error {
	w, err := c.writeQuery("CreateOptions")
	if err != nil {
		return err
	}
	body, err := c.objectBody()
	if err != nil {
		return err
	}
	o, err := c.object(body, w.validation)
	if err != nil {
		return err
	}
	if err := c.address(o); err != nil {
		return err
	}
	if o.Revision != 0 {
		return apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	}
	o.Needs = nil
	c.owners(o, nil)
	made, err := c.createNamed(o, generateName(body), w.WriteOptions)
	if err != nil {
		return err
	}
	c.w.Header().Set("Location", c.r.URL.Path+"/"+string(made.Name))
	return c.sendObject(http.StatusCreated, made)
}

// nameAttempts is how many generated names are tried.
const nameAttempts = 8

// createNamed creates an object, making a name for it when it has a prefix only.
func (c *call) createNamed(o *resource.Object, prefix string, w WriteOptions) (*resource.Object, error) {
	if o.Name != "" || prefix == "" {
		c.target.name = o.Name
		if o.Name == "" {
			return nil, required("metadata.name", "name or generateName is required")
		}
		return c.h.Plane.Create(c.ctx, c.user, o, w)
	}
	for range nameAttempts {
		o.Name = resource.Name(prefix[:min(len(prefix), 58)] + randomSuffix())
		c.target.name = o.Name
		made, err := c.h.Plane.Create(c.ctx, c.user, o, w)
		if !errors.Is(err, ErrExists) {
			return made, err
		}
	}
	return nil, apierrors.NewGenerateNameConflict(c.target.resource(), string(o.Name), 1)
}

// randomSuffix is five letters and digits that spell no word.
func randomSuffix() string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	var b [5]byte
	for i := range b {
		b[i] = letters[rand.IntN(len(letters))]
	}
	return string(b[:])
}

// replace answers PUT.
func (c *call) replace() error {
	w, err := c.writeQuery("UpdateOptions")
	if err != nil {
		return err
	}
	body, err := c.objectBody()
	if err != nil {
		return err
	}
	o, err := c.object(body, w.validation)
	if err != nil {
		return err
	}
	if err := c.address(o); err != nil {
		return err
	}
	match, err := c.ifMatch()
	if err != nil {
		return err
	}
	c.reach(max(match, o.Revision))
	return c.update(w.WriteOptions, func(old *resource.Object) (*resource.Object, error) {
		if err := expect(old, match); err != nil {
			return nil, err
		}
		if err := expect(old, o.Revision); err != nil {
			return nil, err
		}
		if o.UID != "" && o.UID != old.UID {
			return nil, apierrors.NewConflict(c.target.resource(), string(old.Name),
				errors.New("Precondition failed: UID in precondition: "+string(o.UID)+", UID in object meta: "+string(old.UID)))
		}
		return c.merge(old, o)
	})
}

// reachPatience is how long a write waits for a revision that its client knows and this server does not.
const reachPatience = time.Second

// reach waits until this server knows a revision that a client names, which it may have from another one: a correct write would be refused otherwise. A revision that there is not
// is waited for in vain, for a moment.
func (c *call) reach(at resource.Revision) {
	if at == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, reachPatience)
	defer cancel()
	if err := c.h.Plane.WaitFor(ctx, at); err != nil {
		c.h.Logger.Debug("a write names a revision that is not known here", "revision", uint64(at), "error", err)
	}
}

// expect refuses a write that was computed from another revision than the present one; 0 accepts any.
func expect(old *resource.Object, at resource.Revision) error {
	if at != 0 && at != old.Revision {
		return &store.CommitError{Err: store.ErrConflict, Key: old.Key, Expected: at, Actual: old.Revision}
	}
	return nil
}

// update writes what change makes of the object, and answers with it.
func (c *call) update(w WriteOptions, change Change) error {
	o, err := c.h.Plane.Update(c.ctx, c.user, c.target.key(), change, w)
	if err != nil {
		return err
	}
	return c.sendObject(http.StatusOK, o)
}

// merge makes the new form of an object from the old one and what a client sent: its status, or everything else. It returns
// old itself when that changes nothing.
func (c *call) merge(old, sent *resource.Object) (*resource.Object, error) {
	next := old.Clone()
	if c.target.subresource == "status" {
		if err := mergeStatus(next, sent); err != nil {
			return nil, err
		}
	} else if err := c.mergeMain(next, old, sent); err != nil {
		return nil, err
	}
	if same(c.target.def, old, next) {
		return old, nil
	}
	return next, nil
}

func (c *call) mergeMain(next, old, sent *resource.Object) error {
	mine := sent.Clone()
	c.owners(mine, old)
	next.Labels, next.Annotations, next.Owners, next.Finalizers = mine.Labels, mine.Annotations, mine.Owners, mine.Finalizers
	next.Spec = mine.Spec
	if err := c.target.def.ApplyDefaults(next); err != nil {
		return err
	}
	if resource.SameJSON(old.Spec, next.Spec) {
		next.Spec = old.Spec
	}
	return nil
}

// mergeStatus takes over the author's part of the status and the conditions. The state is the driver's.
func mergeStatus(next, sent *resource.Object) error {
	sent = sent.Clone()
	sent.KeepPrecision(next)
	if sent.State != "" && sent.State != next.State {
		return resource.StateRefused(next.Key, next.State, sent.State)
	}
	next.Conditions = sent.Conditions
	if sent.Observed != 0 {
		next.Observed = sent.Observed
	}
	if !resource.SameJSON(next.Status, sent.Status) {
		next.Status = sent.Status
	}
	return nil
}

// same compares what is stored of two forms of an object.
func same(d *resource.Definition, a, b *resource.Object) bool {
	return string(resource.AppendJSON(nil, d, a)) == string(resource.AppendJSON(nil, d, b))
}

// ifMatch reads the revision of an If-Match header, 0 for any.
func (c *call) ifMatch() (resource.Revision, error) {
	header := c.r.Header.Get("If-Match")
	if header == "" || header == "*" {
		return 0, nil
	}
	at, err := resource.ParseRevision(strings.Trim(header, `"`))
	if err != nil || at == 0 {
		return 0, apierrors.NewBadRequest("If-Match: want the ETag of an object, which is its resourceVersion in quotes")
	}
	return at, nil
}
