package cluster

import (
	"time"

	"github.com/setpointhq/setpoint/command"
)

// fitness judges whether a node should have work. A node that beats is alive, and that is not progress: its workers may hang all the same. Both ways take time, so that a moment moves
// nothing: patience before a node is ill, and, ever longer for one that keeps falling ill, recovery before it is well again.
type fitness struct {
	patience, recovery time.Duration

	bad, good time.Time // since when there have been complaints, or none; one of them is zero
	why       string    // the last complaint
	since     time.Time // when it fell ill, zero when it is not
	episodes  int
}

// recoveries bounds how often recovery doubles; after so many times patience without complaint the former episodes are forgotten.
const recoveries = 16

func (f *fitness) ill() bool { return !f.since.IsZero() }

// look notes what Health says at a time.
func (f *fitness) look(now time.Time, complaint error) {
	if complaint != nil {
		f.good, f.why = time.Time{}, complaint.Error()
		if f.bad.IsZero() {
			f.bad = now
		}
		if !f.ill() && now.Sub(f.bad) >= f.patience {
			f.since = now
			f.episodes++
		}
		return
	}
	f.bad = time.Time{}
	if f.good.IsZero() {
		f.good = now
	}
	switch calm := now.Sub(f.good); {
	case f.ill() && calm >= command.Window(f.recovery, recoveries*f.recovery, f.episodes):
		f.since = time.Time{}
	case !f.ill() && calm >= recoveries*f.patience:
		f.episodes = 0
	}
}

// excuse forgets for how long there have been complaints: the database has not answered either, and no other node would do better.
func (f *fitness) excuse() { f.bad = time.Time{} }
