package nodesapi

import (
	"cmp"
	"slices"
	"time"
)

// Severity says whether a finding needs somebody.
type Severity string

// The severities, falling.
const (
	// Critical: work stands still, or may be done wrongly. Look now.
	Critical Severity = "critical"
	// Warning: it goes on, and somebody should look today.
	Warning Severity = "warning"
	// Info: worth knowing, and nothing to do.
	Info Severity = "info"
)

var ranks = map[Severity]int{Critical: 0, Warning: 1, Info: 2}

// Finding is one thing that the doctor has found.
type Finding struct {
	Severity Severity `json:"severity"`
	// Code is a word in CamelCase that stays the same from version to version. Object is what it is about: "node a/1", "shards", "controller gateway".
	Code   string `json:"code"`
	Object string `json:"object"`
	// What is so, Why it matters, and the Remedy, each a sentence or two.
	What   string `json:"what"`
	Why    string `json:"why"`
	Remedy string `json:"remedy"`
	// Since is when it began, zero when that is not known.
	Since time.Time `json:"since,omitzero"`
}

// Diagnosis is the answer to GET /setpoint/v1/doctor.
type Diagnosis struct {
	// Answered is the name of the node that answers, At when, by the database's clock as far as it is known.
	Answered string    `json:"answered"`
	At       time.Time `json:"at"`
	// Well: no finding needs somebody.
	Well     bool      `json:"well"`
	Findings []Finding `json:"findings"`
	// Unasked says which questions had no answer, and why: what they would have found is not known.
	Unasked []string `json:"unasked,omitempty"`
}

// check looks at facts for one thing.
type check func(*Facts) []Finding

// checks in the order in which findings of one severity are told: what stops everything first.
var checks = []check{
	databaseAway, blocked, working, nobodyFit, unowned, silent, inTrouble, clocks, feedBehind, stuck, lagging, overlapping, restarting, moving, versions, schema, cordons, takeUpPaused, troubled,
}

// Diagnose goes through all checks.
func Diagnose(f *Facts) Diagnosis {
	d := Diagnosis{Answered: f.Self.Name, At: f.Now.UTC(), Findings: []Finding{}, Well: true}
	for _, look := range checks {
		d.Findings = append(d.Findings, look(f)...)
	}
	slices.SortStableFunc(d.Findings, func(a, b Finding) int { return cmp.Compare(ranks[a.Severity], ranks[b.Severity]) })
	d.Well = !slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.Severity != Info })
	if f.Err != nil {
		d.Unasked = append(d.Unasked, "nodes and shards, which are those of "+f.At.UTC().Format(time.RFC3339)+": "+f.Err.Error())
	}
	if f.DatabaseErr != nil {
		d.Unasked = append(d.Unasked, "who blocks commits, cordons, the version of the schema: "+f.DatabaseErr.Error())
	}
	return d
}

// found is at most one finding.
func found(f Finding) []Finding { return []Finding{f} }

// span writes a duration as people read it.
func span(d time.Duration) string {
	switch {
	case d >= time.Minute || d <= -time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second || d <= -time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}
