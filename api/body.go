package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/setpointhq/setpoint/resource"
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

// fromYAML turns one YAML document into JSON. Aliases are refused: a few lines of them can stand for gigabytes.
func fromYAML(text []byte) ([]byte, error) {
	depth, deepest := 0, 0
	for _, b := range text { // flow collections nest by a byte each, and the parser recurses
		switch b {
		case '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ']', '}':
			depth--
		}
	}
	if deepest > resource.MaxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", resource.MaxDepth)
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, errors.New(yaml.FormatError(err, false, false))
	}
	var documents int
	var judge yamlJudge
	for _, d := range file.Docs {
		if d.Body == nil {
			continue
		}
		documents++
		ast.Walk(&judge, d.Body)
	}
	switch {
	case judge.alias:
		return nil, errors.New("aliases (*name) are not accepted: write the value out")
	case documents != 1:
		return nil, fmt.Errorf("want one document, not %d", documents)
	}
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		return nil, errors.New(yaml.FormatError(err, false, false))
	}
	return json.Marshal(value)
}

// yamlJudge looks for aliases.
type yamlJudge struct{ alias bool }

// Visit is for [ast.Walk].
func (j *yamlJudge) Visit(n ast.Node) ast.Visitor {
	if n.Type() == ast.AliasType {
		j.alias = true
	}
	return j
}
