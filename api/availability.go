package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/setpointhq/setpoint/availability"
	"github.com/setpointhq/setpoint/availability/survey"
)

// everyName stands in a URL where an object's name would, and for all of them. No object can have that name.
const everyName = "-"

// The bounds of what may be asked for, and what is answered when nothing is.
const (
	maxSizes     = 64
	maxWorst     = 1000
	defaultWorst = 10
)

// availabilityReport is the answer to GET …/availability.
type availabilityReport struct {
	Kind       string   `json:"kind"`
	APIVersion string   `json:"apiVersion"`
	Metadata   struct{} `json:"metadata"`
	survey.Answer
}

// availability answers GET …/<name>/availability and, for all objects of a collection, GET …/-/availability.
func (c *call) availability() error {
	q, err := availabilityQuery(c.r.URL.Query(), time.Now())
	if err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	q.Kind, q.Namespace, q.Name = c.target.def, c.target.namespace, c.target.name
	answer, err := survey.Ask(c.ctx, c.h.Plane, q)
	switch {
	case errors.Is(err, survey.ErrTooMuch), errors.Is(err, survey.ErrNoLifecycle), errors.Is(err, availability.ErrGrouping):
		return apierrors.NewBadRequest(err.Error())
	case err != nil:
		return err
	}
	c.send(http.StatusOK, encode(availabilityReport{Kind: "AvailabilityReport", APIVersion: ownVersion, Answer: answer}))
	return nil
}

// availabilityParameters read one parameter each. One that is not known is refused: with a slip of the pen the figures would be those of another window.
var availabilityParameters = map[string]func(value string, p *survey.Period, q *survey.Question) error{
	"from": func(v string, p *survey.Period, _ *survey.Question) error { return moment(v, &p.From) },
	"to":   func(v string, p *survey.Period, _ *survey.Question) error { return moment(v, &p.To) },
	"window": func(v string, p *survey.Period, _ *survey.Question) (err error) {
		p.Length, err = survey.ParseLength(v)
		return err
	},
	"by": func(v string, _ *survey.Period, q *survey.Question) error {
		q.By = availability.Grouping(v)
		return nil
	},
	"sizes": func(v string, _ *survey.Period, q *survey.Question) error {
		for text := range strings.SplitSeq(v, ",") {
			size, err := survey.ParseLength(text)
			if err != nil {
				return err
			}
			if q.Sizes = append(q.Sizes, size); len(q.Sizes) > maxSizes {
				return fmt.Errorf("want at most %d", maxSizes)
			}
		}
		return nil
	},
	"worst": func(v string, _ *survey.Period, q *survey.Question) (err error) {
		if q.Worst, err = strconv.Atoi(v); err != nil || q.Worst < 0 || q.Worst > maxWorst {
			return fmt.Errorf("want a number from 0 to %d, not %q", maxWorst, v)
		}
		return nil
	},
}

// availabilityQuery reads the parameters.
func availabilityQuery(values url.Values, now time.Time) (survey.Question, error) {
	var period survey.Period
	q := survey.Question{Worst: defaultWorst}
	for name, list := range values {
		read, known := availabilityParameters[name]
		if !known {
			return q, fmt.Errorf("there is no parameter %q; want some of %s", name, strings.Join(availabilityParameterNames(), ", "))
		}
		for _, v := range list {
			if err := read(v, &period, &q); err != nil {
				return q, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	var err error
	q.Window, err = period.Window(now)
	return q, err
}

func availabilityParameterNames() (names []string) {
	for name := range availabilityParameters {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// moment reads a time.
func moment(text string, into *time.Time) (err error) {
	if *into, err = time.Parse(time.RFC3339, text); err != nil {
		return fmt.Errorf("want a time as in %s, not %.40q", time.RFC3339, text)
	}
	return nil
}
