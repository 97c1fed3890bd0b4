package subsystem

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/setpointhq/setpoint/command"
)

// ErrNoAnswer is returned by [Server.Apply] when the caller must not get an answer: by a fault, a crash of the handler, or
// because the effect could not be recorded. It may have happened.
var ErrNoAnswer = errors.New("subsystem: no answer")

const maxKey, maxToken = 1024, 128

// Apply is POST /v1/apply without the network. It goes on when the caller has gone away.
func (s *Server) Apply(request ApplyRequest) (ApplyAnswer, error) {
	if answer, bad := refuseMalformed(request); bad {
		return answer, nil
	}
	request.Request, request.Previous = absent(request.Request), absent(request.Previous)
	mishap := s.faults.Draw()
	if mishap.LoseRequest {
		return ApplyAnswer{}, fmt.Errorf("%w: told to lose the request", ErrNoAnswer)
	}
	if mishap.Refuse {
		return refused(command.Retry, "told to refuse"), nil
	}
	if mishap.Forget && !s.blank() {
		if err := s.Forget(); err != nil {
			return ApplyAnswer{}, errors.Join(ErrNoAnswer, err)
		}
	}
	if err := s.begin(); err != nil {
		return refused(command.Retry, err.Error()), nil
	}
	defer s.calls.Done()
	answer, err := s.inTurn(request, mishap)
	if err == nil && mishap.LoseAnswer {
		err = fmt.Errorf("%w: told to lose the answer", ErrNoAnswer)
	}
	return answer, err
}

// blank reports whether there is nothing to forget: a memory that was erased again and again before it is taught could never be taught.
func (s *Server) blank() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.memory.blank
}

func refuseMalformed(r ApplyRequest) (ApplyAnswer, bool) {
	switch {
	case r.Token == "" || len(r.Token) > maxToken:
		return refused(command.Terminal, fmt.Sprintf("token of %d bytes: want 1 to %d", len(r.Token), maxToken)), true
	case r.Key == "" || len(r.Key) > maxKey:
		return refused(command.Terminal, fmt.Sprintf("key of %d bytes: want 1 to %d", len(r.Key), maxKey)), true
	}
	return ApplyAnswer{}, false
}

func refused(class command.Class, message string) ApplyAnswer {
	return ApplyAnswer{Outcome: command.OutcomeRefused, Class: class, Message: message}
}

func throttled(message string, after time.Duration) ApplyAnswer {
	a := refused(command.Throttled, message)
	a.RetryAfterMillis = after.Milliseconds()
	return a
}

// inTurn waits for the key's turn, and then for the delay, if there is to be one.
func (s *Server) inTurn(request ApplyRequest, mishap Mishap) (ApplyAnswer, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return throttled(fmt.Sprintf("%d calls are under way", cap(s.slots)), 100*time.Millisecond), nil
	}
	s.takeOff(request.Token)
	defer s.land(request.Token)
	leave, ok := s.lanes.enter(request.Key)
	if !ok {
		return throttled(fmt.Sprintf("%d calls for key %q wait already", s.lanes.depth, request.Key), 100*time.Millisecond), nil
	}
	defer leave()
	if mishap.Delay > 0 {
		timer := time.NewTimer(mishap.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.ctx.Done():
			return ApplyAnswer{}, fmt.Errorf("%w: %w", ErrNoAnswer, ErrClosed)
		}
	}
	s.gate.RLock()
	defer s.gate.RUnlock()
	change, answer, err := s.admit(request)
	if change == nil {
		return answer, err
	}
	change.StopHalfway = mishap.Halfway
	return s.act(request, *change)
}

// scopeOf is what a call's epoch is of.
func (s *Server) scopeOf(r ApplyRequest) string {
	if s.options.Scope != nil {
		return s.options.Scope(r.Object)
	}
	return r.Scope
}

// admit checks blankness, fence and token. A nil change means that answer, or err, is the end of it.
func (s *Server) admit(r ApplyRequest) (*Change, ApplyAnswer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return nil, ApplyAnswer{}, errors.Join(ErrNoAnswer, s.broken)
	}
	if s.memory.blank {
		return nil, throttled("recovering: this memory has not been taught yet what it should have", 250*time.Millisecond), nil
	}
	scope := s.scopeOf(r)
	if highest := s.memory.epochs[scope]; r.Epoch.Compare(highest) < 0 {
		return nil, refused(command.Stale, fmt.Sprintf("epoch %s is over: %s was seen", r.Epoch, highest)), nil
	}
	wanted := fence{scope, r.Epoch, r.Intent}
	p := s.memory.places[r.Key]
	if p != nil && wanted.compare(p.fence) < 0 {
		return nil, refused(command.Stale, fmt.Sprintf("intent %d of epoch %s is over for key %q: intent %d of epoch %s was seen",
			r.Intent, r.Epoch, r.Key, p.fence.Intent, p.fence.Epoch)), nil
	}
	if p == nil || wanted.compare(p.fence) > 0 {
		_, err := s.commit(record{
			Seen:  &scopeEpoch{Scope: scope, Epoch: r.Epoch},
			Fence: &keyFence{Key: r.Key, Scope: scope, Epoch: r.Epoch, Intent: r.Intent},
		})
		if err != nil {
			return nil, ApplyAnswer{}, errors.Join(ErrNoAnswer, err)
		}
	}
	change := &Change{
		Key: r.Key, Token: r.Token, Scope: scope, Epoch: r.Epoch, Intent: r.Intent, Request: r.Request,
		Previous: r.Previous, Handle: r.Handle, Object: r.Object,
	}
	if p == nil || p.entry == nil {
		return change, ApplyAnswer{}, nil
	}
	standing := *p.entry
	change.Standing = &standing
	if standing.Token != r.Token {
		return change, ApplyAnswer{}, nil
	}
	return s.repeat(r, change)
}

// repeat answers a token that was seen before. The caller holds mu.
func (s *Server) repeat(r ApplyRequest, change *Change) (*Change, ApplyAnswer, error) {
	standing := change.Standing
	if !sameJSON(standing.Request, r.Request) {
		return nil, refused(command.Terminal, fmt.Sprintf("token %s was used for another request: a new wish needs a new token", r.Token)), nil
	}
	if standing.Outcome != command.OutcomeDone {
		return change, ApplyAnswer{}, nil
	}
	if standing.Lost != "" {
		// The caller may have been told of the loss before it knew of the effect, so it is told again.
		if err := s.announce(*standing, standing.Lost); err != nil {
			return nil, ApplyAnswer{}, errors.Join(ErrNoAnswer, err)
		}
	}
	return nil, ApplyAnswer{Outcome: command.OutcomeDone, Result: standing.Result, Repeated: true}, nil
}

// act calls the handler and records what it says before anyone else hears of it.
func (s *Server) act(r ApplyRequest, change Change) (ApplyAnswer, error) {
	answer, err := s.call(change)
	if err != nil {
		return ApplyAnswer{}, errors.Join(ErrNoAnswer, err)
	}
	wire := ApplyAnswer{
		Outcome: answer.Outcome, Class: answer.Class, Result: answer.Result, Handle: answer.Handle,
		Message: answer.Message, RetryAfterMillis: answer.RetryAfter.Milliseconds(),
	}
	if answer.Outcome == command.OutcomeRefused {
		return wire, nil
	}
	if answer.Outcome == command.OutcomeFailed {
		wire.Result = nil
	}
	entry := Entry{
		Key: r.Key, Token: r.Token, Scope: change.Scope, Epoch: r.Epoch, Intent: r.Intent, Request: r.Request,
		Result: answer.Result, Object: r.Object, Outcome: answer.Outcome,
	}
	position, err := s.enter(entry, answer)
	if err == nil {
		err = s.journal.Sync(position)
	}
	if err != nil {
		s.mu.Lock()
		s.fail(err)
		s.mu.Unlock()
		return ApplyAnswer{}, errors.Join(ErrNoAnswer, err)
	}
	return wire, nil
}

func (s *Server) enter(entry Entry, answer Answer) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := record{Entry: &entry}
	if answer.Effect != NoEffect {
		r.Line = s.line(entry, answer.Effect, answer.Detail)
	}
	position, err := s.commit(r)
	if err != nil {
		return 0, err
	}
	if f := s.flying[entry.Token]; f != nil && f.lost != "" {
		reason := f.lost
		f.lost = ""
		return position, s.announce(entry, reason)
	}
	return position, nil
}

// call turns a panic of the handler into an error.
func (s *Server) call(change Change) (answer Answer, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the handler panicked for key %q: %v", change.Key, r)
			s.options.Log.Error("handler panicked", "key", change.Key, "panic", r, "stack", string(debug.Stack()))
		}
	}()
	answer = s.options.Handler.Apply(s.ctx, change)
	switch answer.Outcome {
	case command.OutcomeDone, command.OutcomeAccepted, command.OutcomeRefused, command.OutcomeFailed:
		return answer, nil
	}
	return answer, fmt.Errorf("the handler gave outcome %q for key %q", answer.Outcome, change.Key)
}

func (s *Server) takeOff(token command.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.flying[token]
	if f == nil {
		f = &flight{}
		s.flying[token] = f
	}
	f.calls++
}

func (s *Server) land(token command.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.flying[token]
	if f.calls--; f.calls == 0 {
		delete(s.flying, token)
	}
}

// LookUp is GET /v1/tokens/T without the network.
func (s *Server) LookUp(token command.Token) TokenAnswer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flying[token] != nil {
		return TokenAnswer{Known: true, ApplyAnswer: ApplyAnswer{
			Outcome: command.OutcomeAccepted, Message: "under way", RetryAfterMillis: 100,
		}}
	}
	key, ok := s.memory.tokens[token]
	if !ok {
		return TokenAnswer{}
	}
	e := s.memory.places[key].entry
	a := ApplyAnswer{Outcome: e.Outcome, Repeated: true}
	switch e.Outcome {
	case command.OutcomeDone:
		a.Result = e.Result
	case command.OutcomeFailed:
		a.Class, a.Message = command.Retry, "failed half-way; the same token finishes it"
	}
	return TokenAnswer{Known: true, ApplyAnswer: a}
}
