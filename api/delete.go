package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// delete answers DELETE of one object.
func (c *call) delete() error {
	d, err := c.deleteOptions()
	if err != nil {
		return err
	}
	c.reach(d.Revision)
	o, removed, err := c.h.Plane.Delete(c.ctx, c.user, c.target.key(), d)
	if err != nil {
		return err
	}
	if !removed {
		return c.sendObject(http.StatusOK, o)
	}
	gr := c.target.resource()
	c.send(http.StatusOK, encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusSuccess,
		Details:  &metav1.StatusDetails{Name: string(o.Name), Group: gr.Group, Kind: gr.Resource, UID: types.UID(o.UID)},
	}))
	return nil
}

// deleteCollection deletes what the selectors match, one by one, and answers with the list of it.
func (c *call) deleteCollection() error {
	d, err := c.deleteOptions()
	if err != nil {
		return err
	}
	s, err := c.selector()
	if err != nil {
		return err
	}
	all, at := c.h.Plane.List(c.target.def.ID(), c.target.namespace)
	var deleted []*resource.Object
	for _, o := range all {
		if !s.matches(o) {
			continue
		}
		one := d
		one.UID = o.UID // a namesake made meanwhile is not meant
		last, _, err := c.h.Plane.Delete(c.ctx, c.user, o.Key, one)
		switch {
		case errors.Is(err, store.ErrNotFound), errors.Is(err, ErrPrecondition):
			continue // gone already
		case err != nil:
			c.target.name = o.Name
			return err
		}
		deleted = append(deleted, last)
	}
	c.sendList(deleted, listMeta{at: at})
	return nil
}

// deleteOptions reads them from the body or, when there is none, from the URL.
func (c *call) deleteOptions() (DeleteOptions, error) {
	body, err := c.body()
	if err != nil {
		return DeleteOptions{}, err
	}
	var o metav1.DeleteOptions
	if len(body) > 0 {
		media := c.bodyType()
		switch {
		case anyYAML(media):
			if body, err = fromYAML(body); err != nil {
				return DeleteOptions{}, apierrors.NewBadRequest("error decoding the YAML body: " + err.Error())
			}
		case media != "application/json":
			return DeleteOptions{}, unsupported("application/json", "application/yaml")
		}
		if err := json.Unmarshal(body, &o); err != nil {
			return DeleteOptions{}, apierrors.NewBadRequest("the body is no DeleteOptions: " + err.Error())
		}
		if o.Kind != "" && o.Kind != "DeleteOptions" {
			return DeleteOptions{}, apierrors.NewBadRequest("the body is a " + o.Kind + ", and not DeleteOptions")
		}
	} else if err := c.deleteQuery(&o); err != nil {
		return DeleteOptions{}, err
	}
	return c.judgeDelete(&o)
}

func (c *call) deleteQuery(o *metav1.DeleteOptions) error {
	q := c.r.URL.Query()
	o.DryRun = q["dryRun"]
	if v := q.Get("propagationPolicy"); v != "" {
		p := metav1.DeletionPropagation(v)
		o.PropagationPolicy = &p
	}
	if v := q.Get("orphanDependents"); v != "" {
		orphan, err := strconv.ParseBool(v)
		if err != nil {
			return apierrors.NewBadRequest("orphanDependents: want true or false, not " + strconv.Quote(v))
		}
		//lint:ignore SA1019 clients still send it
		o.OrphanDependents = &orphan
	}
	return nil
}

func (c *call) judgeDelete(o *metav1.DeleteOptions) (d DeleteOptions, err error) {
	var wrong field.ErrorList
	d.DryRun = dryRun(o.DryRun, &wrong)
	orphan := o.OrphanDependents //lint:ignore SA1019 clients still send it
	if orphan != nil {
		d.Propagation = Background
		if *orphan {
			d.Propagation = Orphan
		}
	}
	if p := o.PropagationPolicy; p != nil {
		if orphan != nil {
			wrong = append(wrong, field.Invalid(field.NewPath("propagationPolicy"), *p, "orphanDependents and deletionPropagation cannot be both set"))
		}
		d.Propagation = Propagation(*p)
		switch d.Propagation {
		case Background, Foreground, Orphan, "":
		default:
			wrong = append(wrong, field.NotSupported(field.NewPath("propagationPolicy"), *p, []string{string(Foreground), string(Background), string(Orphan), "nil"}))
		}
	}
	if d.Revision, err = c.ifMatch(); err != nil {
		return d, err
	}
	if p := o.Preconditions; p != nil {
		if p.UID != nil {
			d.UID = resource.UID(*p.UID)
		}
		if p.ResourceVersion != nil && *p.ResourceVersion != "" {
			if d.Revision, err = resource.ParseRevision(*p.ResourceVersion); err != nil {
				wrong = append(wrong, field.Invalid(field.NewPath("preconditions", "resourceVersion"), *p.ResourceVersion, "must be a resourceVersion"))
			}
		}
	}
	return d, invalidOptions("DeleteOptions", wrong)
}
