package server

import "github.com/setpointhq/setpoint/resource"

// surveyed is a plane as the metrics about availability want it.
type surveyed struct{ backend }

func (s surveyed) Position() (resource.Revision, uint64) {
	return s.View().Revision(), s.Store().Info().Incarnation
}
