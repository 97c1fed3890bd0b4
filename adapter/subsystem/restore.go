package subsystem

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// maxReason bounds the reason of a loss, in bytes.
const maxReason = 400

// Lose announces that the effect of token no longer holds. It is ignored when another token has replaced it, or when
// it was announced before.
func (s *Server) Lose(key string, token command.Token, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.memory.places[key]
	if p != nil && p.entry != nil && p.entry.Token == token && p.entry.Outcome == command.OutcomeDone {
		if p.entry.Lost != "" {
			return nil
		}
		return s.announce(*p.entry, reason)
	}
	if f := s.flying[token]; f != nil {
		f.lost = reason
	}
	return nil
}

// announce records a loss and wakes the pollers. The caller holds mu.
func (s *Server) announce(e Entry, reason string) error {
	if len(reason) > maxReason {
		reason = reason[:maxReason] + "…"
	}
	r := record{Lost: &LossEvent{Sequence: s.memory.sequence + 1, Key: e.Key, Token: e.Token, Reason: reason}}
	if p := s.memory.places[e.Key]; p == nil || p.entry == nil || p.entry.Lost == "" {
		r.Line = s.line(e, LostEffect, reason)
	}
	if _, err := s.commit(r); err != nil {
		return fmt.Errorf("announce the loss of key %q: %w", e.Key, err)
	}
	s.wake()
	return nil
}

// Forget erases handler and memory, as when a machine is replaced. The ledger stays.
func (s *Server) Forget() error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.calls.Done()
	s.gate.Lock()
	defer s.gate.Unlock()
	if err := s.options.Handler.Forget(s.ctx); err != nil {
		return fmt.Errorf("subsystem: the handler cannot forget: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.commitSync(record{Line: s.line(Entry{}, Forgot, "")}); err != nil {
		return err
	}
	if err := s.ledger.Sync(); err != nil {
		s.fail(err)
		return err
	}
	s.memory.reset(rand.Text())
	if err := s.journal.Rewrite(s.memory.snapshot); err != nil {
		s.fail(err)
		return err
	}
	s.records = 1
	s.wake()
	return nil
}

// Restore is POST /v1/restore without the network. It may be repeated. A memory that has been taught is taught nothing more: what comes late is from a plane's process that was held up, and knows of
// nothing that has been done since. [ErrMemory] says that the memory has changed since.
func (s *Server) Restore(request RestoreRequest) (RestoreAnswer, error) {
	if err := s.begin(); err != nil {
		return RestoreAnswer{}, err
	}
	defer s.calls.Done()
	s.gate.Lock()
	defer s.gate.Unlock()
	if id := s.Memory(); id != request.Memory {
		return RestoreAnswer{}, fmt.Errorf("%w: %s, and this is %s", ErrMemory, request.Memory, id)
	}
	answer := RestoreAnswer{Memory: request.Memory}
	if !s.blank() {
		return answer, nil
	}
	for _, item := range request.Items {
		item.Request, item.Result = absent(item.Request), absent(item.Result)
		lost, err := s.restoreOne(item, request.Epoch)
		if err != nil {
			return RestoreAnswer{}, err
		}
		if lost == "" {
			answer.Restored++
		} else {
			answer.Lost = append(answer.Lost, LossEvent{Key: item.Key, Token: item.Token, Reason: lost})
		}
	}
	return answer, s.taught(request)
}

// taught ends blankness with the last page, and makes all of it durable.
func (s *Server) taught(request RestoreRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := record{Taught: !request.More}
	if s.options.Scope == nil && request.Epoch != (resource.Epoch{}) {
		end.Seen = &scopeEpoch{Epoch: request.Epoch}
	}
	if err := s.commitSync(end); err != nil {
		return err
	}
	s.wake()
	return nil
}

// restoreOne teaches one item. What stands already under the same or a higher intent is left alone.
func (s *Server) restoreOne(item RestoreItem, epoch resource.Epoch) (lost string, err error) {
	s.mu.Lock()
	p := s.memory.places[item.Key]
	known := p != nil && p.entry != nil && (p.entry.Token == item.Token || p.entry.Intent >= item.Intent)
	s.mu.Unlock()
	if known {
		return "", nil
	}
	if s.options.Scope != nil {
		epoch = resource.Epoch{}
	}
	entry := Entry{
		Key: item.Key, Token: item.Token, Epoch: epoch, Intent: item.Intent, Request: item.Request,
		Result: item.Result, Object: item.Object, Outcome: command.OutcomeDone,
	}
	refusal := s.restoreHandler(item)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := record{Entry: &entry}
	if refusal == nil && item.Request != nil {
		r.Line = s.line(entry, Restored, "")
	}
	if _, err := s.commit(r); err != nil {
		return "", err
	}
	if refusal != nil {
		lost = refusal.Error()
		err = s.announce(entry, lost)
	}
	return lost, err
}

func (s *Server) restoreHandler(item RestoreItem) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("cannot be restored: the handler panicked: %v", r)
		}
	}()
	if item.Request == nil {
		return nil // absent, and nothing is here
	}
	if err := s.options.Handler.Restore(s.ctx, item); err != nil {
		return errors.Join(err)
	}
	return nil
}
