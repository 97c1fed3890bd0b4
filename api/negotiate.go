package api

import (
	"mime"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// accepted is one media type of an Accept header: the client's order counts, quality values do not.
type accepted struct {
	media string
	// as, group and version are the parameters by which Kubernetes asks for another shape.
	as, group, version string
}

// accepts reads the Accept header.
func accepts(r *http.Request) (list []accepted) {
	for _, line := range r.Header.Values("Accept") {
		for _, one := range strings.Split(line, ",") {
			media, params, err := mime.ParseMediaType(one)
			if err != nil {
				continue // what cannot be read is not asked for
			}
			list = append(list, accepted{media, params["as"], params["g"], params["v"]})
		}
	}
	return list
}

// shape is how objects are served.
type shape string

const (
	whole   shape = ""
	asTable shape = "Table"
	// asMetadata also stands for PartialObjectMetadataList, which says the same of lists.
	asMetadata shape = "PartialObjectMetadata"
)

// shape finds the first shape that is asked for and that we have.
func (c *call) shape() (shape, error) {
	list := accepts(c.r)
	for _, a := range list {
		ours := a.group == "meta.k8s.io" && a.version == "v1"
		switch {
		case a.as == "" && anyJSON(a.media), a.as == "" && anyYAML(a.media), a.media == eventStream, a.media == problemJSON:
			return whole, nil
		case a.as == "Table" && ours && anyJSON(a.media):
			return asTable, nil
		case (a.as == "PartialObjectMetadata" || a.as == "PartialObjectMetadataList") && ours && anyJSON(a.media):
			return asMetadata, nil
		}
	}
	if len(list) == 0 {
		return whole, nil
	}
	return whole, apierrors.NewGenericServerResponse(http.StatusNotAcceptable, "", schema.GroupResource{}, "",
		"only the following media types are accepted: application/json, application/yaml", 0, false)
}

const (
	eventStream = "text/event-stream"
	problemJSON = "application/problem+json"
)

func anyJSON(media string) bool {
	return media == "application/json" || media == "*/*" || media == "application/*"
}

func anyYAML(media string) bool { return media == "application/yaml" || media == "application/x-yaml" }

// wantsYAML: YAML is asked for, and JSON is not asked for before it.
func wantsYAML(r *http.Request) bool {
	for _, a := range accepts(r) {
		if anyJSON(a.media) {
			return false
		}
		if anyYAML(a.media) {
			return true
		}
	}
	return false
}

func wantsProblem(r *http.Request) bool {
	for _, a := range accepts(r) {
		if a.media == problemJSON {
			return true
		}
	}
	return false
}

// wantsEvents: server-sent events are asked for, which only a watch can answer.
func wantsEvents(r *http.Request) bool {
	list := accepts(r)
	return len(list) > 0 && list[0].media == eventStream
}

// send answers with a JSON text, in YAML when the client prefers it.
func (c *call) send(code int, body []byte) {
	media := "application/json"
	if wantsYAML(c.r) {
		text, err := toYAML(body)
		if err == nil { // and JSON, which is YAML too, otherwise
			media, body = "application/yaml", text
		}
	}
	c.w.Header().Set("Content-Type", media)
	c.w.WriteHeader(code)
	c.write(body)
}
