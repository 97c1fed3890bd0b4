package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	jsonpatch "github.com/evanphx/json-patch/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

const (
	mergePatch     = "application/merge-patch+json"
	jsonPatch      = "application/json-patch+json"
	strategicPatch = "application/strategic-merge-patch+json"
	applyPatch     = "application/apply-patch+yaml"
	// maxOperations bounds a JSON patch, as the original does.
	maxOperations = 10_000
)

// patch answers PATCH: the patch is applied to the object as it is served, and what comes out is written like a replacement.
func (c *call) patch() error {
	w, err := c.writeQuery("PatchOptions")
	if err != nil {
		return err
	}
	media := c.bodyType()
	switch media {
	case mergePatch, jsonPatch:
	case applyPatch:
		return apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, "", schema.GroupResource{}, "",
			"server-side apply is not supported by this server - accepted media types include: "+jsonPatch+", "+mergePatch, 0, false)
	default:
		return unsupported(jsonPatch, mergePatch)
	}
	body, err := c.body()
	if err != nil {
		return err
	}
	apply, err := patcher(media, body)
	if err != nil {
		return err
	}
	match, err := c.ifMatch()
	if err != nil {
		return err
	}
	return c.update(w.WriteOptions, func(old *resource.Object) (*resource.Object, error) {
		if err := expect(old, match); err != nil {
			return nil, err
		}
		return c.patched(old, apply, w.validation)
	})
}

// patched is an object with a patch applied to it as it is served.
func (c *call) patched(old *resource.Object, apply func([]byte) ([]byte, error), validation string) (*resource.Object, error) {
	text, err := apply(resource.AppendJSON(nil, c.target.def, old))
	if err != nil {
		return nil, err
	}
	o, err := c.object(text, validation)
	if err != nil {
		return nil, err
	}
	o.KeepPrecision(old)
	if o.Namespace == "" {
		o.Namespace = old.Namespace
	}
	if err := c.immutable(old, o); err != nil {
		return nil, err
	}
	if err := expect(old, o.Revision); err != nil {
		return nil, err
	}
	return c.merge(old, o)
}

// MergePatch is the change that a JSON merge patch makes, made for an object at a revision: what PATCH does, for those who come by another door. It is
// strict: a field that the kind does not have is refused, and so is a status, which PATCH would pass over. The errors of the change are those that
// a client would be told, in words that name the field; a newer revision is store.ErrConflict.
func (h *Handler) MergePatch(key resource.Key, at resource.Revision, patch []byte) (Change, error) {
	def, ok := h.Plane.Registry().Kind(key.Kind)
	if !ok {
		return nil, fmt.Errorf("%s: %w: %s", key, resource.ErrUnknownKind, key.Kind)
	}
	apply, err := patcher(mergePatch, patch)
	if err != nil {
		return nil, err
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(patch, &parts); err != nil {
		return nil, apierrors.NewBadRequest("the merge patch is no JSON object: " + err.Error())
	}
	if _, there := parts["status"]; there {
		return nil, &resource.Invalid{Key: key, Causes: []resource.Cause{{
			Field: "status", Type: resource.Forbidden, Message: "it is what controllers report; change the spec, or raise a signal",
		}}}
	}
	c := &call{h: h, target: target{def: def, namespace: key.Namespace, name: key.Name}}
	return func(old *resource.Object) (*resource.Object, error) {
		if old.Revision != at {
			return nil, &store.CommitError{Err: store.ErrConflict, Key: old.Key, Expected: at, Actual: old.Revision}
		}
		return c.patched(old, apply, strict)
	}, nil
}

// patcher reads a patch once, to be applied as often as it takes.
func patcher(media string, body []byte) (func(text []byte) ([]byte, error), error) {
	if media == mergePatch {
		return func(text []byte) ([]byte, error) {
			out, err := jsonpatch.MergePatch(text, body)
			if err != nil {
				return nil, apierrors.NewBadRequest("the merge patch cannot be applied: " + err.Error())
			}
			return out, nil
		}, nil
	}
	operations, err := jsonpatch.DecodePatch(body)
	if err != nil {
		return nil, apierrors.NewBadRequest("error decoding patch: " + err.Error())
	}
	if len(operations) > maxOperations {
		return nil, apierrors.NewRequestEntityTooLargeError("The allowed maximum operations in a JSON patch is 10000")
	}
	return func(text []byte) ([]byte, error) {
		options := jsonpatch.NewApplyOptions()
		options.AccumulatedCopySizeLimit = resource.MaxBytes
		out, err := operations.ApplyWithOptions(text, options)
		var large *jsonpatch.AccumulatedCopySizeError
		switch {
		case errors.As(err, &large):
			return nil, apierrors.NewRequestEntityTooLargeError(err.Error())
		case err != nil:
			return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
		}
		return out, nil
	}, nil
}
