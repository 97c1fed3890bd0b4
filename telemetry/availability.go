package telemetry

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/setpointhq/setpoint/availability"
	"github.com/setpointhq/setpoint/availability/survey"
	"github.com/setpointhq/setpoint/resource"
)

// What is served about the availability of objects.
var (
	availabilityRatio = Metric{
		Name: "setpoint_availability_ratio", Kind: Gauge, Help: "User-uptime of the objects of a kind in a namespace over the window: their time in healthy states, over all time that counts.",
		Labels: []Label{label("kind"), label("namespace")},
		Use:    "Compare it with what was promised. A namespace without time that counts is left out.",
	}
	recoverySeconds = Metric{
		Name: "setpoint_recovery_seconds", Kind: Gauge, Help: "Time to recovery of the outages of a kind that ended within the window, by quantile (nearest rank).",
		Labels: []Label{label("kind"), label("quantile", "0.5", "0.99")},
		Use:    "What a customer waits for when something breaks. Left out while nothing has recovered.",
	}
	availabilityLeftOut = Metric{
		Name: "setpoint_availability_left_out", Kind: Gauge, Help: "Objects of a kind that are in neither figure, because there were too many, or too many transitions.",
		Labels: []Label{label("kind")},
		Use:    "Above zero: the figures of the kind are those of a part, or missing. Ask for one namespace: setpoint availability KIND -n NAMESPACE.",
	}
)

// AvailabilityDefinitions are the metrics about availability, in the order of the reference.
func AvailabilityDefinitions() []Metric {
	return []Metric{availabilityRatio, recoverySeconds, availabilityLeftOut}
}

// How often the figures are computed at most, however often they are read, and how soon again after a history that was too much; how long reading one may take; and how many
// namespaces of a kind are served.
const (
	availabilityAge        = time.Minute
	availabilityPause      = time.Hour
	availabilityTimeout    = 10 * time.Second
	availabilityNamespaces = 500
)

// Surveyed is a plane whose availability can be asked for.
type Surveyed interface {
	survey.Plane
	Registry() *resource.Registry
	// Position is the last revision that List shows, and the incarnation of the database that it is one of.
	Position() (resource.Revision, uint64)
}

// AvailabilityOptions configure [Metrics.WatchAvailability].
type AvailabilityOptions struct {
	// Window is the length of the period up to now that the figures are about. Default: [survey.DefaultLength].
	Window time.Duration
	Limits survey.Limits
	// Logger hears of histories that cannot be read. Nil discards it.
	Logger *slog.Logger
	// Now is the clock: time.Now when nil.
	Now func() time.Time
}

// WatchAvailability exports how available the objects of every kind with a lifecycle are. The figures are computed when the metrics are read, and at most once a minute. What has
// happened is read from the database once, and then only what has been added since; when nothing has, nothing is read.
func (m *Metrics) WatchAvailability(p Surveyed, o AvailabilityOptions) {
	o.Window = cmp.Or(o.Window, survey.DefaultLength)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m.registry.MustRegister(&availabilityCollector{
		plane: p, options: o, ratio: availabilityRatio.desc(), recovery: recoverySeconds.desc(), leftOut: availabilityLeftOut.desc(),
		kinds: map[resource.KindID]*kindAvailability{},
	})
}

// availabilityCollector computes at a scrape.
type availabilityCollector struct {
	plane                    Surveyed
	options                  AvailabilityOptions
	ratio, recovery, leftOut *prometheus.Desc

	mu          sync.Mutex
	computed    time.Time
	incarnation uint64
	kinds       map[resource.KindID]*kindAvailability
}

// kindAvailability is what is known of a kind.
type kindAvailability struct {
	book *survey.Book
	// at is the revision up to which the book has been read; lives are those of then.
	at    resource.Revision
	lives []availability.Life

	// again is when a history that was too much is asked for again.
	again time.Time

	namespaces availability.Groups
	all        availability.Groups // one, or none
	leftOut    int
}

// Describe lists what Collect may send.
func (c *availabilityCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.ratio
	ch <- c.recovery
	ch <- c.leftOut
}

// Collect sends the newest figures. Readings at the same time share them.
func (c *availabilityCollector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	revision, incarnation := c.plane.Position()
	if now := c.options.Now(); revision > 0 && (c.computed.IsZero() || now.Sub(c.computed) >= availabilityAge) { // 0: nothing is loaded yet
		c.compute(now, revision, incarnation)
		c.computed = now
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for id, k := range c.kinds {
		gauge(c.leftOut, float64(k.leftOut), string(id))
		for _, g := range k.namespaces {
			if ratio, known := g.Uptime.Value(); known {
				gauge(c.ratio, ratio, string(id), g.Name)
			}
		}
		for _, g := range k.all {
			if g.Recovery.Count > 0 {
				gauge(c.recovery, g.Recovery.P50.Duration().Seconds(), string(id), "0.5")
				gauge(c.recovery, g.Recovery.P99.Duration().Seconds(), string(id), "0.99")
			}
		}
	}
}

// compute makes all figures anew.
func (c *availabilityCollector) compute(now time.Time, revision resource.Revision, incarnation uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), availabilityTimeout)
	defer cancel()
	window, err := survey.Period{Length: c.options.Window}.Window(now)
	if err != nil {
		c.options.Logger.Error("availability: no such window", "window", c.options.Window, "cause", err)
		return
	}
	if incarnation != c.incarnation { // a restored database gives the same revisions to other commits
		clear(c.kinds)
		c.incarnation = incarnation
	}
	known := map[resource.KindID]bool{}
	for _, kind := range c.plane.Registry().List() {
		if len(kind.Lifecycle) > 0 {
			known[kind.ID()] = true
			c.kind(ctx, kind, window, revision)
		}
	}
	for id := range c.kinds {
		if !known[id] {
			delete(c.kinds, id)
		}
	}
}

// kind makes the figures of one kind anew. One whose history cannot be read has none until it can; one that has too much is asked for again after an hour.
func (c *availabilityCollector) kind(ctx context.Context, kind *resource.Definition, w availability.Window, revision resource.Revision) {
	k := c.kinds[kind.ID()]
	if k == nil {
		k = &kindAvailability{}
		c.kinds[kind.ID()] = k
	}
	if w.To.Before(k.again) {
		return
	}
	err := k.read(ctx, c.plane, kind, w, revision, c.options.Limits)
	if err == nil {
		k.figures(w, c.options.Limits)
		return
	}
	c.options.Logger.Warn("availability: no figures this time", "kind", kind.ID(), "cause", err)
	objects, _ := c.plane.List(kind.ID(), "")
	k.namespaces, k.all, k.leftOut = nil, nil, len(objects)
	if errors.Is(err, survey.ErrTooMuch) {
		k.book, k.lives, k.again = nil, nil, w.To.Add(availabilityPause)
	}
}

// read brings the book up to a revision, unless it is.
func (k *kindAvailability) read(ctx context.Context, p survey.Plane, kind *resource.Definition, w availability.Window, revision resource.Revision, l survey.Limits) (err error) {
	if k.book == nil {
		if k.book, err = survey.NewBook(kind, "", w.From, l); err != nil {
			return err
		}
	} else if k.at == revision {
		return nil
	}
	k.book.Forget(w.From)
	lives, err := k.book.Read(ctx, p)
	if err == nil {
		k.lives, k.at = lives, revision
	}
	return err
}

// figures computes what is served, of at most so many objects and namespaces: of the latter those that were down for the longest time.
func (k *kindAvailability) figures(w availability.Window, l survey.Limits) {
	lives, leftOut := l.Cut(survey.Within(k.lives, w))
	k.leftOut = leftOut
	reports := make([]availability.Report, len(lives))
	for i := range lives {
		reports[i] = lives[i].Report(w)
	}
	k.namespaces, k.all = group(reports, availability.ByNamespace), group(reports, availability.ByAll)
	if len(k.namespaces) > availabilityNamespaces {
		slices.SortStableFunc(k.namespaces, func(a, b availability.Group) int { return b.Down.Compare(a.Down) })
		k.namespaces = k.namespaces[:availabilityNamespaces]
	}
}

func group(reports []availability.Report, by availability.Grouping) availability.Groups {
	groups, err := availability.GroupBy(reports, by, 0)
	if err != nil {
		panic("telemetry: a grouping of package availability is not known to it: " + err.Error())
	}
	return groups
}
