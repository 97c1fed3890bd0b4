package postgres

import (
	"context"
	"errors"
	"testing"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// TestAnAdministratorReadsWhileOthersWait: slow readers have all places but one.
func TestAnAdministratorReadsWhileOthersWait(t *testing.T) {
	s := open(t, nil)
	for range cap(s.readers) {
		s.readers <- struct{}{}
	}
	defer func() {
		for range cap(s.readers) {
			<-s.readers
		}
	}()
	nobody := resource.Key{Kind: "Note.test.example", Namespace: "default", Name: "nobody"}
	if _, err := s.Object(store.AsAdministrator(t.Context()), nobody); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an administrator's read says %v, want that there is no such object", err)
	}
	waiting, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Object(waiting, nobody); !errors.Is(err, context.Canceled) {
		t.Errorf("another read says %v, want that it has waited", err)
	}
}
