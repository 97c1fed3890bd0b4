package survey

import (
	"context"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/availability"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Question is what is to be known.
type Question struct {
	Kind *resource.Definition
	// Namespace is empty for kinds without one, and for all.
	Namespace resource.Namespace
	// Name is that of one object, with its former namesakes; empty for all of the kind.
	Name   resource.Name
	Window availability.Window
	// By says how objects are put together; empty is [availability.ByAll]. Worst is how many of the worst objects each group names.
	By    availability.Grouping
	Worst int
	// Sizes are the windows of the curve, those of [availability.Sizes] when there are none.
	Sizes  []time.Duration
	Limits Limits
}

// Answer is what is known. Its JSON is what the API answers.
type Answer struct {
	Window availability.Window `json:"window"`
	// Reports are those of the object that was named, and of its former namesakes within the window, the oldest first.
	Reports []availability.Report `json:"reports,omitempty"`
	// Groups are those of a kind.
	Groups availability.Groups `json:"groups,omitempty"`
	// Curve is that of all objects together.
	Curve availability.Curve `json:"curve"`
	// Objects is how many have been looked at, LeftOut how many were too many to be.
	Objects int `json:"objects"`
	LeftOut int `json:"leftOut,omitempty"`
}

// Ask answers a question. It fails with [ErrNoLifecycle], [ErrTooMuch], [availability.ErrGrouping], [store.ErrNotFound] when there never was an object of the name as far as is known,
// and with what the plane fails with.
func Ask(ctx context.Context, p Plane, q Question) (Answer, error) {
	lives, err := q.lives(ctx, p)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Window: q.Window}
	lives, a.LeftOut = q.Limits.Cut(Within(lives, q.Window))
	reports := make([]availability.Report, len(lives))
	for i := range lives {
		reports[i] = lives[i].Report(q.Window)
	}
	a.Objects, a.Curve = len(lives), availability.CurveOf(lives, q.Window, q.Sizes...)
	if q.Name != "" {
		a.Reports = reports
		return a, nil
	}
	by := q.By
	if by == "" {
		by = availability.ByAll
	}
	a.Groups, err = availability.GroupBy(reports, by, q.Worst)
	return a, err
}

// lives are those that the question is about.
func (q *Question) lives(ctx context.Context, p Plane) ([]availability.Life, error) {
	book, err := NewBook(q.Kind, q.Namespace, q.Window.From, q.Limits)
	if err != nil {
		return nil, err
	}
	if q.Name == "" {
		return book.Read(ctx, p)
	}
	h := availability.History{Key: q.Kind.Key(q.Namespace, q.Name)}
	o, exists := p.Get(h.Key)
	if exists {
		h.UID, h.Now = o.UID, presentOf(o)
	}
	kept, err := horizon(ctx, p, q.Kind.ID())
	if err != nil {
		return nil, err
	}
	if h.Changes, h.Kept, err = readOne(ctx, p, h.Key, "", kept); err != nil {
		return nil, err
	}
	if !exists && len(h.Changes) == 0 {
		return nil, fmt.Errorf("availability of %s: %w", h.Key, store.ErrNotFound)
	}
	return availability.Lives(h, book.rules), nil
}

// Within leaves out who did not exist in the window.
func Within(lives []availability.Life, w availability.Window) []availability.Life {
	var found []availability.Life
	for _, l := range lives {
		n := len(l.Moments)
		switch {
		case n == 0:
		case l.Before == availability.Absent && !l.Moments[0].At.Before(w.To): // not yet
		case !l.Moments[n-1].Exists && !l.Moments[n-1].At.After(w.From): // not any more
		default:
			found = append(found, l)
		}
	}
	return found
}
