package telemetry

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Kind is the kind of a metric, in Prometheus's words.
type Kind string

// The kinds of metrics.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Metric defines one metric.
type Metric struct {
	Name string
	Kind Kind
	// Help is a sentence. It is also what Prometheus serves.
	Help   string
	Labels []Label
	// Buckets are the upper bounds of a histogram.
	Buckets []float64
	// Use says what one looks at it for, and what is worth an alert.
	Use string
}

// Label is a dimension of a metric.
type Label struct {
	Name string
	// Values lists all that there are; empty for names that a plane's author has chosen.
	Values []string
}

func label(name string, values ...string) Label { return Label{name, values} }

var (
	quick       = prometheus.ExponentialBuckets(0.00001, 4, 10) // 10 µs to 2.6 s
	slow        = prometheus.ExponentialBuckets(0.001, 4, 9)    // 1 ms to 65 s
	queueStates = []string{"ready", "delayed", "working"}
)

var (
	turns = Metric{
		Name: "setpoint_turns_total", Kind: Counter, Help: "Turns that ended, by outcome and error class.",
		Labels: []Label{label("controller"), label("outcome", "done", "after", "await", "fail"), label("class", "", "Retry", "Throttled", "Terminal", "Ambiguous", "Stale")},
		Use:    `A rate of outcome="fail" above zero for long is a bug of the controller or of its input; class="Terminal" waits for a person.`,
	}
	turnTime = Metric{
		Name: "setpoint_turn_seconds", Kind: Histogram, Help: "Time from the beginning of a turn to its being committed and visible.",
		Labels: []Label{label("controller")}, Buckets: quick,
		Use: "Turns call nothing, so this is compute and commit. When it grows with setpoint_commit_group_seconds, it is the disk.",
	}
	conflicts = Metric{
		Name: "setpoint_turn_conflicts_total", Kind: Counter, Help: "Turns that met a newer version and were run again.",
		Labels: []Label{label("controller")},
		Use:    "Some are normal. Many mean that two writers change the same objects all the time.",
	}
	commits = Metric{
		Name: "setpoint_commits_total", Kind: Counter, Help: "Commits of turns and of command results, by result.",
		Labels: []Label{label("result", "ok", "conflict", "rule", "fenced", "too_large", "unavailable", "unknown", "other")},
		Use:    "Everything but ok and conflict deserves a look: rule is a bug of a controller, unavailable and unknown are the database, fenced means that another process has taken over.",
	}
	calls = Metric{
		Name: "setpoint_calls_total", Kind: Counter, Help: "Attempts of commands, by outcome.",
		Labels: []Label{label("adapter"), label("outcome", "done", "accepted", "refused", "failed", "unknown")},
		Use:    "The share of done is the health of a subsystem as seen from here.",
	}
	callTime = Metric{
		Name: "setpoint_call_seconds", Kind: Histogram, Help: "Time of one attempt of a command.",
		Labels: []Label{label("adapter")}, Buckets: slow,
		Use: "The latency of a subsystem as seen from here.",
	}
	lag = Metric{
		Name: "setpoint_event_lag_seconds", Kind: Histogram, Help: "Time from a commit to its being visible in the view.", Buckets: quick,
		Use: "How stale reads are. Microseconds in one process; growing means that the process does not keep up.",
	}
	groups = Metric{
		Name: "setpoint_commit_group_size", Kind: Histogram, Help: "Transactions that shared one database transaction.",
		Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		Use:     "1 when there is little to do; larger under load, where one fsync serves many.",
	}
	groupTime = Metric{
		Name: "setpoint_commit_group_seconds", Kind: Histogram, Help: "Time of one database transaction.", Buckets: quick,
		Use: "Mostly the fsync of the disk.",
	}
	depth = Metric{
		Name: "setpoint_queue_depth", Kind: Gauge, Help: "Objects in the queue of a controller, by state.",
		Labels: []Label{label("controller"), label("state", queueStates...)},
		Use:    "ready is work that waits for a worker, delayed waits for a backoff or a timer, working is in a turn.",
	}
	oldest = Metric{
		Name: "setpoint_queue_oldest_seconds", Kind: Gauge, Help: "How long the oldest ready object of a controller has waited.",
		Labels: []Label{label("controller")},
		Use:    "Above a few seconds: too few workers, or a controller that computes too much.",
	}
	wakeups = Metric{
		Name: "setpoint_queue_wakes_total", Kind: Counter, Help: "Wake-ups of a controller's objects.",
		Labels: []Label{label("controller")},
		Use:    "A controller at rest is not woken. One that is woken all the time reads something that changes all the time, or writes what wakes it.",
	}
	stuck = Metric{
		Name: "setpoint_turns_stuck", Kind: Gauge, Help: "Turns of a controller that have overstayed their deadline.",
		Labels: []Label{label("controller")},
		Use:    "Alert on any: a turn that does not return is a bug. The process reports not ready, and asks to be restarted when the workers run out.",
	}
	outbox = Metric{
		Name: "setpoint_command_queue_depth", Kind: Gauge, Help: "Units of order in the queue of an adapter, by state.",
		Labels: []Label{label("adapter"), label("state", queueStates...)},
		Use:    "ready waits for the adapter's concurrency, delayed for a backoff, working is a call under way.",
	}
	waiting = Metric{
		Name: "setpoint_takeup_objects", Kind: Gauge, Help: "Objects that this node has gained, by a start or from another node, and that have not been given the turn for that yet.",
		Use: "It rises when nodes come and go, and falls to 0 at the pace of the turns. One that stands still is paused, or its controllers are busy.",
	}
	paused = Metric{
		Name: "setpoint_takeup_paused_seconds", Kind: Gauge, Help: "For how long the take-up of what was gained stands still yet, if nobody says otherwise; 0 when it goes on.",
		Use: "Above zero an operator has paused it (setpoint takeup). Alert on more than a few hours: somebody makes it longer again and again.",
	}
	revision = Metric{
		Name: "setpoint_view_revision", Kind: Gauge, Help: "The last revision that the view has applied.",
		Use: "Its rate is the rate of commits, of clients as well as of controllers.",
	}
)

// Definitions are all metrics of a plane, in the order of the reference. Those of the Go runtime and of the process are served beside them.
func Definitions() []Metric {
	return []Metric{
		turns, turnTime, conflicts, commits, calls, callTime, lag, groups, groupTime,
		depth, oldest, wakeups, stuck, outbox, waiting, paused, revision,
	}
}

func (m Metric) labelNames() []string {
	names := make([]string, len(m.Labels))
	for i, l := range m.Labels {
		names[i] = l.Name
	}
	return slices.Clip(names)
}

func (m Metric) counter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.labelNames())
}

func (m Metric) histogram() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.Name, Help: m.Help, Buckets: m.Buckets}, m.labelNames())
}

func (m Metric) desc() *prometheus.Desc {
	return prometheus.NewDesc(m.Name, m.Help, m.labelNames(), nil)
}
