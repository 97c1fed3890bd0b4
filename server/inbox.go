package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/api"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/legible"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/postgres"
)

// inbox is where an engine keeps the changes that people have proposed at its own prompt, each until it has a verdict.
type inbox interface {
	// Arrived receives when there may be new ones.
	Arrived() <-chan struct{}
	// Waiting returns the oldest without a verdict.
	Waiting(ctx context.Context) ([]postgres.Proposal, error)
	// Judge writes a verdict down. The first one stays.
	Judge(ctx context.Context, id int64, admitted bool, at resource.Revision, words string) error
}

// AdmitProposals judges what is proposed in the database, until ctx ends: each proposal is written like a request to the API, or refused in words. It returns at
// once when the engine has no inbox.
//
// A proposal is done once. The write is on condition of the revision that the proposal states, and leaves a note in the object's history; if the process ends before
// the verdict is written down, the next one finds the note.
func (d *Doors) AdmitProposals(ctx context.Context) {
	in := inboxOf(d.plane.Store())
	if in == nil {
		return
	}
	select {
	case <-d.loaded:
	case <-ctx.Done():
		return
	}
	c := &clerk{inbox: in, plane: d.plane, api: d.api, log: d.log}
	c.run(ctx)
}

// clerk judges proposals.
type clerk struct {
	inbox inbox
	plane *setpoint.Plane
	api   *api.Handler
	log   *slog.Logger
}

// await returns true when this process is the one that judges: another one that judged beside it would refuse what this one has just written. It is false when ctx ends before.
func (c *clerk) await(ctx context.Context) bool {
	for {
		now, changed := c.plane.InCharge()
		if now {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// run looks once, and then whenever something may have arrived.
func (c *clerk) run(ctx context.Context) {
	for attempt := 0; ctx.Err() == nil; {
		if !c.await(ctx) {
			return
		}
		err := c.look(ctx)
		if err == nil {
			attempt = 0
			select {
			case <-ctx.Done():
			case <-c.inbox.Arrived():
			}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		c.log.Warn("proposals have to wait", "error", err)
		pause(ctx, attempt)
		attempt++
	}
}

// pause waits after so many failures (from 0): between a half and all of a window that doubles from 50 ms up to 10 s.
func pause(ctx context.Context, attempt int) {
	most := command.Window(50*time.Millisecond, 10*time.Second, attempt+1)
	timer := time.NewTimer(most/2 + rand.N(most/2))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// look judges all that wait. An error is the database's: all that has no verdict yet is looked at again.
func (c *clerk) look(ctx context.Context) error {
	for {
		waiting, err := c.inbox.Waiting(ctx)
		if err != nil || len(waiting) == 0 {
			return err
		}
		for _, p := range waiting {
			v, err := c.decide(ctx, p)
			if err != nil {
				return fmt.Errorf("proposal %d of %s about %s: %w", p.ID, p.By, p.Key, err)
			}
			if err := c.inbox.Judge(ctx, p.ID, v.admitted, v.at, v.words); err != nil {
				return err
			}
			c.log.Info("a proposal was judged", "proposal", p.ID, "by", p.By, "object", p.Key, "admitted", v.admitted, "verdict", v.words)
		}
	}
}

// verdict is what becomes of a proposal.
type verdict struct {
	admitted bool
	at       resource.Revision
	words    string
}

func refused(format string, args ...any) verdict {
	return verdict{words: "refused: " + clipped(fmt.Sprintf(format, args...))}
}

// clipped is a text no longer than people want to read, and such as the database can keep: what was proposed is quoted in it.
func clipped(s string) string {
	return legible.Clip(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '\uFFFD'
		}
		return r
	}, s), 2000)
}

// decide judges one proposal. It contains panics of the kind's rules: a proposal must not end the server, and the next one, and the next.
func (c *clerk) decide(ctx context.Context, p postgres.Proposal) (v verdict, err error) {
	defer func() {
		if r := recover(); r != nil {
			c.log.Error("the rules of a kind panicked", "proposal", p.ID, "kind", p.Key.Kind, "panic", r, "stack", string(debug.Stack()))
			v, err = refused("the rules of kind %s panicked, which is a bug in them: %v", p.Key.Kind, r), nil
		}
	}()
	if _, known := c.plane.Registry().Kind(p.Key.Kind); !known {
		return refused("%s: there is no kind %s; the kinds are %s", p.Key, p.Key.Kind, c.kinds()), nil
	}
	stored, err := c.plane.Store().Object(ctx, p.Key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return c.overtaken(ctx, p, 0)
	case err != nil:
		return verdict{}, err
	case stored.Revision != p.Expected:
		return c.overtaken(ctx, p, stored.Revision)
	}
	if err := c.plane.View().WaitFor(ctx, p.Expected); err != nil {
		return verdict{}, err
	}
	return c.admit(ctx, p)
}

// admit writes what a proposal asks for.
func (c *clerk) admit(ctx context.Context, p postgres.Proposal) (verdict, error) {
	change, err := c.api.MergePatch(p.Key, p.Expected, p.Patch)
	if err != nil {
		return refused("%v", err), nil
	}
	o, err := c.plane.UpdateNoted(ctx, writer(p), p.Key, setpoint.Change(change), note(p))
	var conflict *store.CommitError
	switch {
	case err == nil && o.Revision == p.Expected:
		return verdict{true, o.Revision, fmt.Sprintf("admitted: it changes nothing, %s stays at revision %d", p.Key, o.Revision)}, nil
	case err == nil:
		return admitted(o.Revision), nil
	case errors.Is(err, store.ErrNotFound):
		return c.overtaken(ctx, p, 0)
	case errors.Is(err, store.ErrConflict) && errors.As(err, &conflict):
		return c.overtaken(ctx, p, conflict.Actual)
	case passing(err):
		return verdict{}, err
	}
	return refused("%v", err), nil
}

// passing are errors that say nothing about the proposal.
func passing(err error) bool {
	for _, e := range []error{store.ErrUnavailable, store.ErrUnknown, store.ErrClosed, store.ErrFenced, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// overtaken judges a proposal whose object is not, or not any more, at the revision that it states: because it was done already, by a process that did not
// live to say so, or because somebody else came first.
func (c *clerk) overtaken(ctx context.Context, p postgres.Proposal, at resource.Revision) (verdict, error) {
	entries, err := c.plane.History(ctx, store.HistoryQuery{Key: p.Key, Limit: historyDepth})
	if err != nil {
		return verdict{}, err
	}
	n := note(p)
	for _, e := range slices.Backward(entries) {
		if e.Type == store.EntryEvent && e.Reason == n.Reason && e.Message == n.Message && e.Writer.Name == writer(p) {
			return admitted(e.Revision), nil
		}
	}
	if at == 0 {
		return refused("there is no %s", p.Key), nil
	}
	return verdict{words: fmt.Sprintf("conflict: %s was expected at revision %d and is at %d; read it again and propose anew", p.Key, p.Expected, at)}, nil
}

// historyDepth is how far back the note of a proposal is looked for. What lies further back was judged by a server that lived through thousands of commits of one object, and
// said so; were it not, the answer would be "conflict", and still nothing would be done twice.
const historyDepth = 10_000

func admitted(at resource.Revision) verdict {
	return verdict{true, at, fmt.Sprintf("admitted at revision %d", at)}
}

// writer is the name under which a proposal is written.
func writer(p postgres.Proposal) string { return "sql:" + p.By }

// note tells the commit of a proposal from all others.
func note(p postgres.Proposal) setpoint.Note {
	return setpoint.Note{Reason: "Proposed", Message: fmt.Sprintf("proposal %d by %s", p.ID, p.By)}
}

// kinds lists what there is.
func (c *clerk) kinds() string {
	var names []string
	for _, d := range c.plane.Registry().List() {
		names = append(names, string(d.ID()))
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
