package api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// body reads the request's body, bounded.
func (c *call) body() ([]byte, error) {
	text, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, c.h.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", large.Limit))
	case err != nil:
		return nil, apierrors.NewBadRequest("the body could not be read: " + err.Error())
	}
	return text, nil
}

// bodyType is the media type of the body, JSON when it is not said.
func (c *call) bodyType() string {
	header := c.r.Header.Get("Content-Type")
	if header == "" {
		return "application/json"
	}
	media, _, err := mime.ParseMediaType(header)
	if err != nil {
		return header
	}
	return media
}

// objectBody reads a body that is one object, as JSON, whichever way it was written.
func (c *call) objectBody() ([]byte, error) {
	media := c.bodyType()
	if !anyYAML(media) && media != "application/json" {
		return nil, unsupported("application/json", "application/yaml")
	}
	text, err := c.body()
	if err != nil || !anyYAML(media) {
		return text, err
	}
	if text, err = fromYAML(text); err != nil {
		return nil, apierrors.NewBadRequest("error decoding the YAML body: " + err.Error())
	}
	return text, nil
}

func unsupported(media ...string) error {
	return apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, "", schema.GroupResource{}, "",
		"the body of the request was in an unknown format - accepted media types include: "+strings.Join(media, ", "), 0, false)
}
