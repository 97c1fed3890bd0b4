package host

import (
	"reflect"
	"time"
)

// Health is how a server is. While it does not answer, what it last said stands.
type Health struct {
	Server  string `json:"server"`
	Address string `json:"address,omitempty"`
	// Running: there is a postmaster. Answering: it has answered within [Options.MissAfter].
	Running   bool       `json:"running"`
	Answering bool       `json:"answering"`
	Role      ServerRole `json:"role,omitempty"`
	// Starts counts how often the host has started it in this life of the host. One that is missed again after a start has been up between, whoever saw it.
	Starts uint64 `json:"starts,omitempty"`
	// Receiving: a standby that streams from Upstream, "host:port".
	Receiving bool   `json:"receiving,omitempty"`
	Upstream  string `json:"upstream,omitempty"`
	// Adrift: a standby that answers, and has received from nobody for [Options.AdriftAfter], though nothing is being done to it.
	Adrift bool `json:"adrift,omitempty"`
	// LSN and Answered are those of the moment of the report: they move all the time, and are no change by themselves.
	LSN      string    `json:"lsn,omitempty"`
	Answered time.Time `json:"answered,omitzero"`
	Timeline uint32    `json:"timeline,omitempty"`
	Fenced   bool      `json:"fenced,omitempty"`
	// PendingRestart names parameters that wait for a restart.
	PendingRestart []string `json:"pendingRestart,omitempty"`
	// Planned says what the host is doing to the server that has it down on purpose: create, start, restart, follow or remove.
	Planned string `json:"planned,omitempty"`
	// Problem is why it does not answer.
	Problem string `json:"problem,omitempty"`
	// Gone: there is no such server any more.
	Gone bool `json:"gone,omitempty"`
}

// Missed says that a server does not answer, and that nothing is under way that will bring it back: a fenced one is missed, because nobody but the caller
// knows whether it is still to be written to. One that is gone, or down for a moment on purpose, is not missed.
func (h Health) Missed() bool {
	return !h.Answering && !h.Gone && h.Planned == ""
}

// Seen says that a server answers.
func (h Health) Seen() bool { return h.Answering && !h.Gone }

// lasting is what makes two reports different.
func (h Health) lasting() Health {
	h.LSN, h.Answered, h.Problem = "", time.Time{}, ""
	return h
}

// changed says whether there is something to report.
func (h Health) changed(from Health) bool { return !reflect.DeepEqual(h.lasting(), from.lasting()) }
