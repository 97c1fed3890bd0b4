package adopt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
)

// Step is one look at one row: the latest copy, and the means to write it. It belongs to one call of Reconcile.
type Step[ID comparable, Row any] struct {
	// Row is the step's own copy. Change it and call Save.
	Row Row

	id         ID
	attempts   int
	stored     Row // what the source has, as far as the step knows
	version    Version
	controller *Controller[ID, Row]
	failed     error // the first save that failed: the step is over
}

// ID identifies the row.
func (s *Step[ID, Row]) ID() ID { return s.id }

// Attempts counts the failed turns of this row since the last one that was Done.
func (s *Step[ID, Row]) Attempts() int { return s.attempts }

// Save writes Row if nobody has changed it since the step began. After an error the step is over: return, with whatever outcome.
// On [ErrConflict] a new step begins at once with the latest row, on [ErrGone] the row is forgotten, and any other
// error counts as the turn's failure. The save itself does not wake the row, so go on with what the new state asks for.
func (s *Step[ID, Row]) Save(ctx context.Context) error {
	if s.failed != nil {
		return s.failed
	}
	c := s.controller
	version, err := c.options.Source.Save(ctx, s.id, s.Row, s.version)
	c.options.Meter.Commit(err)
	if err == nil && version == s.version {
		err = Terminal(fmt.Errorf("the source returned the version %q that the row had before; a save has to change it", version))
	}
	if err != nil {
		s.failed = fmt.Errorf("controller %s: save row %v at version %s: %w", c.options.Name, s.id, s.version, err)
		return s.failed
	}
	s.version, s.stored = version, s.Row
	c.memory.saved(s.id, version)
	return nil
}

// Token returns the idempotency token of one effect of this row, from the field that the function points out, and makes sure
// that it is stored before anybody is sent it. An empty field gets a new token, and the row is saved and read back: a
// token that the source does not keep is an error, not a second effect. Call it before the effect, send the token with every
// attempt, and clear the field only to intend the effect once more.
//
// What the request says should not change while the field holds a token; services refuse a token that comes back with another
// request. A new token is derived from the controller's name, the row's ID and its version, so that nothing random is
// in it, and two processes that meet at one row make the same one.
func (s *Step[ID, Row]) Token(ctx context.Context, field func(*Row) *Token) (Token, error) {
	if s.failed != nil {
		return "", s.failed
	}
	if have := *field(&s.Row); have != "" && *field(&s.stored) == have {
		return have, nil
	}
	if *field(&s.Row) == "" {
		*field(&s.Row) = s.newToken()
	}
	token := *field(&s.Row)
	if err := s.Save(ctx); err != nil {
		return "", err
	}
	if err := s.kept(ctx, field, token); err != nil {
		s.failed = err
		return "", err
	}
	return token, nil
}

// kept reads the row back and compares the token.
func (s *Step[ID, Row]) kept(ctx context.Context, field func(*Row) *Token, token Token) error {
	row, version, err := s.controller.options.Source.Load(ctx, s.id)
	switch {
	case err != nil:
	case version != s.version:
		err = ErrConflict
	case *field(&row) != token:
		err = Terminal(errors.New("the source has not stored it; Save has to write the field, and Load to read it"))
	}
	if err != nil {
		return fmt.Errorf("controller %s: read the token of row %v back: %w", s.controller.options.Name, s.id, err)
	}
	s.Row, s.stored = row, row
	return nil
}

func (s *Step[ID, Row]) newToken() Token {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %T %#v %q", s.controller.options.Name, s.id, s.id, s.version))
	return Token(hex.EncodeToString(sum[:16]))
}

var (
	errNoOutcome = errors.New("the controller returned the zero Outcome; return Done, After, Await or Fail")
	errUnsaved   = errors.New("the controller changed the row and did not save it; call Save before returning")
)

// finish says what the step amounts to. again asks for another step on the latest row.
func (s *Step[ID, Row]) finish(o Outcome) (outcome Outcome, again bool) {
	switch {
	case errors.Is(s.failed, ErrConflict):
		return o, true
	case errors.Is(s.failed, ErrGone):
		return Done(), false
	case s.failed != nil:
		return Fail(s.failed), false
	case o.Kind() == "invalid":
		return Fail(Terminal(errNoOutcome)), false
	case o.Kind() != "fail" && s.unsaved():
		return Fail(Terminal(errUnsaved)), false
	}
	return o, false
}

// unsaved reports changes that would be lost, where rows can be compared.
func (s *Step[ID, Row]) unsaved() bool {
	row, stored := reflect.ValueOf(&s.Row).Elem(), reflect.ValueOf(&s.stored).Elem()
	return row.Comparable() && stored.Comparable() && stored.Equal(stored) && !row.Equal(stored)
}
