package api

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// writeQuery is what the URL of a write says.
type writeQuery struct {
	WriteOptions
	validation string // Strict, Warn or Ignore
}

const (
	strict = "Strict"
	warn   = "Warn"
	ignore = "Ignore"
)

// writeQuery reads and judges the parameters. kind is that of the options, as error messages name it.
func (c *call) writeQuery(kind string) (writeQuery, error) {
	q := c.r.URL.Query()
	var wrong field.ErrorList
	w := writeQuery{validation: warn}
	w.DryRun = dryRun(q["dryRun"], &wrong)
	if v := q.Get("fieldValidation"); v != "" {
		w.validation = v
		if v != strict && v != warn && v != ignore {
			wrong = append(wrong, field.NotSupported(field.NewPath("fieldValidation"), v, []string{ignore, warn, strict}))
		}
	}
	fieldManager(q, &wrong)
	return w, invalidOptions(kind, wrong)
}

func invalidOptions(kind string, wrong field.ErrorList) error {
	if len(wrong) == 0 {
		return nil
	}
	return apierrors.NewInvalid(schema.GroupKind{Group: "meta.k8s.io", Kind: kind}, "", wrong)
}

func dryRun(values []string, wrong *field.ErrorList) (is bool) {
	for _, v := range values {
		if v != "All" {
			*wrong = append(*wrong, field.NotSupported(field.NewPath("dryRun"), v, []string{"All"}))
			continue
		}
		is = true
	}
	return is
}

// fieldManager is judged, though nothing is kept of it but who writes.
func fieldManager(q url.Values, wrong *field.ErrorList) {
	name := q.Get("fieldManager")
	if len(name) > 128 {
		*wrong = append(*wrong, field.TooLong(field.NewPath("fieldManager"), name, 128))
	}
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		*wrong = append(*wrong, field.Invalid(field.NewPath("fieldManager"), name, "should only contain printable characters"))
	}
}

// warnings tells the client what was passed over, as the original does: in headers that kubectl shows.
func (c *call) warnings(texts []string) {
	for i, text := range texts {
		if i == 32 {
			return
		}
		c.w.Header().Add("Warning", "299 - "+strconv.QuoteToASCII(text))
	}
}
