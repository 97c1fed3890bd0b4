package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// getObject answers GET of one object.
func (c *call) getObject() error {
	q := c.r.URL.Query()
	if at, err := revisionParameter(q.Get("resourceVersion")); err != nil {
		return err
	} else if err := c.fresh(at); err != nil {
		return err
	}
	o, ok := c.h.Plane.Get(c.target.key())
	if !ok {
		return fmt.Errorf("%s: %w", c.target.key(), store.ErrNotFound)
	}
	if c.r.Header.Get("If-None-Match") == etag(o) {
		c.w.Header().Set("ETag", etag(o))
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return c.sendObject(http.StatusOK, o)
}

func etag(o *resource.Object) string { return `"` + o.Revision.String() + `"` }

func revisionParameter(text string) (resource.Revision, error) {
	if text == "" {
		return 0, nil
	}
	at, err := resource.ParseRevision(text)
	if err != nil {
		return 0, apierrors.NewBadRequest(fmt.Sprintf("Invalid value: %q: resourceVersion: must be a number that this server has returned", text))
	}
	return at, nil
}

// fresh waits until reads show a revision, for as long as a client may reasonably wait.
func (c *call) fresh(at resource.Revision) error {
	if at == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.h.FreshTimeout)
	defer cancel()
	err := c.h.Plane.WaitFor(ctx, at)
	if err == nil || c.ctx.Err() != nil {
		return err
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	_, now := c.h.Plane.List(c.target.def.ID(), c.target.namespace)
	return tooLarge(at, now)
}

// tooLarge is the answer to a revision that does not exist yet. Clients recognise it by its cause.
func tooLarge(at, now resource.Revision) error {
	e := apierrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %d, current: %d", at, now), 1)
	e.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version"}}
	return e
}

// sendObject answers with one object in the shape asked for.
func (c *call) sendObject(code int, o *resource.Object) error {
	s, err := c.shape()
	if err != nil {
		return err
	}
	if o.Revision != 0 {
		c.w.Header().Set("ETag", etag(o))
	}
	switch s {
	case asTable:
		t, err := c.table()
		if err != nil {
			return err
		}
		c.send(code, t.append(nil, []*resource.Object{o}, listMeta{at: o.Revision}))
	case asMetadata:
		c.send(code, appendMetadata(nil, c.target.def, o))
	default:
		c.send(code, resource.AppendJSON(make([]byte, 0, 1024+len(o.Spec)+len(o.Status)), c.target.def, o))
	}
	return nil
}

// list answers GET of a collection.
func (c *call) list() error {
	s, err := c.selector()
	if err != nil {
		return err
	}
	p, err := c.pageQuery()
	if err != nil {
		return err
	}
	if err := c.fresh(p.notOlder); err != nil {
		return err
	}
	cut, err := c.h.cuts.find(c, p)
	if err != nil {
		return err
	}
	objects, more := p.pick(cut, &s)
	meta := listMeta{at: cut.at}
	if more {
		meta.next = c.h.cuts.keep(c, cut, objects[len(objects)-1])
	}
	return c.answerList(objects, meta)
}

func (c *call) answerList(objects []*resource.Object, meta listMeta) error {
	s, err := c.shape()
	if err != nil {
		return err
	}
	switch s {
	case asTable:
		t, err := c.table()
		if err != nil {
			return err
		}
		c.send(http.StatusOK, t.append(nil, objects, meta))
	case asMetadata:
		c.send(http.StatusOK, appendList(nil, "meta.k8s.io/v1", "PartialObjectMetadataList", meta, objects, c.appendMetadata))
	default:
		c.sendList(objects, meta)
	}
	return nil
}

func (c *call) sendList(objects []*resource.Object, meta listMeta) {
	size := 256
	for _, o := range objects {
		size += 1024 + len(o.Spec) + len(o.Status)
	}
	d := c.target.def
	c.send(http.StatusOK, appendList(make([]byte, 0, size), d.APIVersion(), d.Kind+"List", meta, objects, c.appendWhole))
}

// listMeta is the metadata of a list.
type listMeta struct {
	at   resource.Revision
	next string // the token to continue with
}

func (m listMeta) append(out []byte) []byte {
	out = append(out, `"metadata":{"resourceVersion":"`...)
	out = append(strconv.AppendUint(out, uint64(m.at), 10), '"')
	if m.next != "" {
		out = append(append(append(out, `,"continue":"`...), m.next...), '"')
	}
	return append(out, '}')
}

type appender func(out []byte, o *resource.Object) []byte

func (c *call) appendWhole(out []byte, o *resource.Object) []byte {
	return resource.AppendJSON(out, c.target.def, o)
}

func (c *call) appendMetadata(out []byte, o *resource.Object) []byte {
	return appendMetadata(out, c.target.def, o)
}

func appendList(out []byte, apiVersion, kind string, m listMeta, objects []*resource.Object, one appender) []byte {
	out = append(append(append(out, `{"kind":"`...), kind...), `","apiVersion":"`...)
	out = append(append(out, apiVersion...), `",`...)
	out = append(m.append(out), `,"items":[`...)
	for i, o := range objects {
		if i > 0 {
			out = append(out, ',')
		}
		out = one(out, o)
	}
	return append(out, "]}\n"...)
}

// appendMetadata appends an object as a PartialObjectMetadata.
func appendMetadata(out []byte, d *resource.Definition, o *resource.Object) []byte {
	bare := &resource.Object{Meta: o.Meta}
	bare.State, bare.StateSince, bare.Observed, bare.Conditions, bare.Waits = "", time.Time{}, 0, nil, nil
	bare.Action, bare.Last, bare.Signals = nil, nil, nil
	text := string(resource.AppendJSON(nil, d, bare))
	at := strings.Index(text, `"metadata":`)
	out = append(out, `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",`...)
	return append(out, text[at:]...)
}
