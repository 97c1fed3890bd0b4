package setpointtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// Subsystem is a subsystem for tests that behaves as a good one does: it keeps one effect per natural key, answers a repeated token
// without a second effect, refuses lower epochs and intents, and writes every effect into a ledger. It outlives the planes
// that a test kills, as a real one does.
type Subsystem struct {
	// Answer makes the result of an effect from its request; nil echoes the request. Its error refuses the request: for good, or as a [Refusal] says.
	Answer func(key string, request []byte, effects int) ([]byte, error)
	// Deeds says which requests are for something that is done, and not for something that is there: another token does it again, though the request is the same. Nil: none.
	Deeds func(request []byte) bool
	// Removed is told what is taken away because its absence was asked for. Nil: nobody is.
	Removed func(key string, request []byte)
	// Behind is what the test has behind it, to be found again by who has the subsystem only. Nothing here uses it.
	Behind any
	// Strict lists as redundant every call that asks, under another token, for what is there already: a plane that keeps its tokens never
	// does, unless a wish was withdrawn before it was sent.
	Strict bool
	// Fault, when set, is asked before each call what goes wrong with it.
	Fault func(call command.Call) Fault

	mu      sync.Mutex
	effects map[string]effect
	fences  map[string]fence
	answers map[command.Token]command.Result
	ledger  []LedgerEntry
	calls   int
	extra   []LedgerEntry
	news    chan struct{} // made by the observer, so that it belongs to the bubble of the test
	lost    []command.Loss
}

// Fault is one way in which a call goes wrong.
type Fault int

// The four failures of a command, and none.
const (
	NoFault Fault = iota
	// LostRequest: it never arrives.
	LostRequest
	// RefusedRequest: it is refused, and nothing is done.
	RefusedRequest
	// HalfWay: it fails after a part of it was done.
	HalfWay
	// LostAnswer: it is done, and the acknowledgement is lost.
	LostAnswer
)

type effect struct {
	token   command.Token
	request []byte
	result  []byte
}

type fence struct {
	scope  string
	epoch  resource.Epoch
	intent uint64
}

// LedgerEntry is one effect that a subsystem had.
type LedgerEntry struct {
	Key    string
	Token  command.Token
	Intent uint64
	// Request is nil when the effect was removed.
	Request []byte
}

// NewSubsystem makes an empty subsystem.
func NewSubsystem() *Subsystem {
	return &Subsystem{
		effects: map[string]effect{}, fences: map[string]fence{}, answers: map[command.Token]command.Result{},
	}
}

// Do is one call.
func (s *Subsystem) Do(_ context.Context, call command.Call) command.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	fault := NoFault
	if s.Fault != nil {
		fault = s.Fault(call)
	}
	switch fault {
	case LostRequest:
		return command.Result{Outcome: command.OutcomeUnknown, Message: "no answer"}
	case RefusedRequest:
		return command.Result{Outcome: command.OutcomeRefused, Class: command.Retry, Message: "not now"}
	case HalfWay:
		return command.Result{Outcome: command.OutcomeFailed, Class: command.Retry, Message: "failed half-way"}
	}
	r := s.apply(call)
	if fault == LostAnswer {
		return command.Result{Outcome: command.OutcomeUnknown, Message: "the answer was lost"}
	}
	return r
}

func (s *Subsystem) apply(call command.Call) command.Result {
	if r, known := s.answers[call.Token]; known {
		return r
	}
	f := s.fences[call.Key]
	if c := call.Epoch.Compare(f.epoch); f.scope == call.Scope && c < 0 || (c == 0 || f.scope != call.Scope) && call.Intent < f.intent {
		return command.Result{Outcome: command.OutcomeRefused, Class: command.Stale, Message: fmt.Sprintf("epoch %s or intent %d is over", call.Epoch, call.Intent)}
	}
	s.fences[call.Key] = fence{call.Scope, call.Epoch, call.Intent}
	r := s.effect(call)
	if r.Outcome == command.OutcomeDone || r.Class == command.Terminal {
		s.answers[call.Token] = r
	}
	return r
}

// effect makes the key what the call asks for; when it is that already, nothing happens.
func (s *Subsystem) effect(call command.Call) command.Result {
	have, exists := s.effects[call.Key]
	if call.Request == nil {
		if exists {
			delete(s.effects, call.Key)
			s.record(call)
			if s.Removed != nil {
				s.Removed(call.Key, have.request)
			}
		}
		return command.Result{Outcome: command.OutcomeDone}
	}
	if exists && bytes.Equal(have.request, call.Request) && (s.Deeds == nil || !s.Deeds(call.Request)) {
		if s.Strict {
			s.extra = append(s.extra, entry(call))
		}
		have.token = call.Token
		s.effects[call.Key] = have
		return command.Result{Outcome: command.OutcomeDone, Body: have.result}
	}
	result := call.Request
	if s.Answer != nil {
		var err error
		if result, err = s.Answer(call.Key, call.Request, len(s.ledger)); err != nil {
			return refusal(err)
		}
	}
	s.effects[call.Key] = effect{call.Token, call.Request, result}
	s.record(call)
	return command.Result{Outcome: command.OutcomeDone, Body: result}
}

// Refusal is an error of [Subsystem].Answer that says whether to ask again can help.
type Refusal struct {
	Class   command.Class
	Message string
}

func (r *Refusal) Error() string { return r.Message }

func refusal(err error) command.Result {
	r := command.Result{Outcome: command.OutcomeRefused, Class: command.Terminal, Message: err.Error()}
	if refused := (*Refusal)(nil); errors.As(err, &refused) {
		r.Class = refused.Class
	}
	return r
}

func (s *Subsystem) record(call command.Call) { s.ledger = append(s.ledger, entry(call)) }

func entry(call command.Call) LedgerEntry {
	return LedgerEntry{Key: call.Key, Token: call.Token, Intent: call.Intent, Request: slices.Clone(call.Request)}
}

// Redundant returns the calls that asked, under another token, for what was there already, if the subsystem is Strict.
func (s *Subsystem) Redundant() []LedgerEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.extra)
}

// LookUp says what became of a token.
func (s *Subsystem) LookUp(_ context.Context, call command.Call) (command.Result, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, known := s.answers[call.Token]
	return r, known, nil
}

// Observe reports the effects that [Subsystem.Lose] took away, and at its start whatever should be there and is not.
func (s *Subsystem) Observe(ctx context.Context, desk command.Desk) error {
	news := make(chan struct{}, 1)
	s.mu.Lock()
	s.news = news
	for _, x := range desk.Expected("") {
		if _, ok := s.effects[x.Key]; !ok {
			s.lost = append(s.lost, command.Loss{Key: x.Key, Token: x.Token, Reason: "it is not there"})
		}
	}
	s.announce()
	s.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-news:
		}
		s.mu.Lock()
		lost := s.lost
		s.lost = nil
		s.mu.Unlock()
		if err := desk.Lost(ctx, lost); err != nil {
			s.mu.Lock()
			s.lost = append(lost, s.lost...)
			s.announce()
			s.mu.Unlock()
			return err
		}
	}
}

func (s *Subsystem) announce() {
	if len(s.lost) == 0 || s.news == nil {
		return
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// Lose takes an effect away, as a crash of what was made would, and tells the observer.
func (s *Subsystem) Lose(key, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.effects[key]; ok {
		delete(s.effects, key)
		delete(s.answers, e.token)
		s.lost = append(s.lost, command.Loss{Key: key, Token: e.token, Reason: reason})
		s.announce()
	}
}

// Effects returns what is there now: the request by natural key.
func (s *Subsystem) Effects() map[string]json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]json.RawMessage{}
	for k, e := range s.effects {
		out[k] = e.request
	}
	return out
}

// Effect returns the request of what is there for a natural key, nil when there is nothing.
func (s *Subsystem) Effect(key string) json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.effects[key].request
}

// Keys returns the natural keys of what is there now, sorted.
func (s *Subsystem) Keys() []string {
	return slices.Sorted(maps.Keys(s.Effects()))
}

// Ledger returns every effect there ever was, in order.
func (s *Subsystem) Ledger() []LedgerEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ledger)
}

// Calls counts the calls that arrived.
func (s *Subsystem) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}
