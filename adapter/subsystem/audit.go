package subsystem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// restore teaches a blank server, in pages. What does not fit into any page is left out, and holds up nothing else: the audit misses it, and its
// owner asks for it again.
//
// What it teaches is at least as new as the moment at which it met this memory. A blank server does nothing, so that nothing which was withdrawn or replaced since can be over: its command is open
// still, and comes after the lesson. However long the lesson takes to arrive, and whoever teaches beside, it teaches nothing that is not wanted any more.
func (w *watch) restore(ctx context.Context, base, memory string) error {
	if desk, ok := w.desk.(Current); ok {
		if err := desk.Current(ctx); err != nil {
			return fmt.Errorf("restore %s: what it should have is not known for sure: %w", base, err)
		}
	}
	page := RestoreRequest{Memory: memory, Epoch: w.epoch(), Items: []RestoreItem{}}
	size := 0
	for _, e := range w.expected() {
		item := RestoreItem{
			Key: e.Key, Token: e.Token, Intent: e.Intent, Request: validOrNothing(e.Request), Result: validOrNothing(e.Result),
			Object: Object{Kind: e.Object.Kind, Namespace: e.Object.Namespace, Name: e.Object.Name},
		}
		text, err := json.Marshal(item) // escaping makes it larger than what it holds
		if err != nil {
			return fmt.Errorf("restore key %q of %s: %w", e.Key, base, err)
		}
		if len(text) > MaxBody-pageFrame {
			w.client.options.Log.Warn("an effect is too large to be restored", "destination", w.destination, "key", e.Key, "bytes", len(text))
			continue
		}
		if size > 0 && size+len(text) > pageBytes {
			if err := w.teach(ctx, base, page, true); err != nil {
				return err
			}
			page.Items, size = page.Items[:0], 0
		}
		page.Items = append(page.Items, item)
		size += len(text) + 1
	}
	return w.teach(ctx, base, page, false)
}

// pageFrame is more than a page takes beside its items, in bytes.
const pageFrame = 1024

// teach sends one page.
func (w *watch) teach(ctx context.Context, base string, page RestoreRequest, more bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	page.More = more
	var answer RestoreAnswer
	if err := w.client.post(ctx, base, "/v1/restore", page, &answer); err != nil {
		return fmt.Errorf("restore %s: %w", base, err)
	}
	return nil
}

// epoch is the plane's, as far as it is known here, and zero when it has one for each of several scopes.
func (w *watch) epoch() resource.Epoch {
	if desk, ok := w.desk.(Fenced); ok {
		return w.client.raise(desk.Epoch())
	}
	return w.client.raise(resource.Epoch{})
}

// auditDue reports whether it is time; the zero auditAt is due.
func (w *watch) auditDue() bool { return !time.Now().Before(w.auditAt) }

// scheduleAudit plans the next one.
func (w *watch) scheduleAudit() {
	pause := w.client.options.Audit
	switch {
	case len(w.again) > 0:
		pause, w.again = w.again[0], w.again[1:]
	case pause <= 0:
		pause = math.MaxInt64 // only after another change of memory
	default:
		pause = max(pause, time.Second)
	}
	w.auditAt = time.Now().Add(pause)
}

// audit compares what is expected, taken first, with the inventory. Something that was acknowledged and is not there is
// lost; what was replaced in between the desk sorts out by its token.
func (w *watch) audit(ctx context.Context, base string) error {
	expected := w.expected()
	after := ""
	for {
		page, err := w.page(ctx, base, after)
		if err != nil {
			return fmt.Errorf("compare with the inventory of %s: %w", base, err)
		}
		if page.Memory != w.memory {
			return errors.New("the subsystem lost its memory while its inventory was read")
		}
		for _, item := range page.Items {
			if e, ok := expected[item.Key]; ok && e.Token == item.Token && item.Lost == "" {
				delete(expected, item.Key)
			}
		}
		if page.Next == "" {
			break
		}
		if page.Next <= after {
			return fmt.Errorf("the inventory of %s goes in circles: the page after %q announces one after %q", base, after, page.Next)
		}
		after = page.Next
	}
	for _, e := range expected {
		if _, known := w.pending[e.Token]; e.Request != nil && !known {
			w.pending[e.Token] = &pendingLoss{loss: command.Loss{Key: e.Key, Token: e.Token, Reason: "not in the subsystem's inventory"}}
		}
	}
	w.scheduleAudit()
	return nil
}

// page reads one page of the inventory.
func (w *watch) page(ctx context.Context, base, after string) (page Inventory, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = w.client.get(ctx, base, "/v1/inventory?after="+url.QueryEscape(after), &page)
	return page, err
}

// report tells the desk of the pending losses that it can judge.
func (w *watch) report(ctx context.Context) error {
	if len(w.pending) == 0 {
		return nil
	}
	expected, now := w.expected(), time.Now()
	var losses []command.Loss
	for token, p := range w.pending {
		switch {
		case expected[p.loss.Key].Token == token:
			losses = append(losses, p.loss)
		case now.Before(p.next):
		case p.tries >= lossTries:
			delete(w.pending, token)
		default:
			p.tries++
			p.next = now.Add(min(50*time.Millisecond<<p.tries, 5*time.Second))
		}
	}
	if len(losses) == 0 {
		return nil
	}
	if err := w.desk.Lost(ctx, losses); err != nil {
		return fmt.Errorf("report %d losses: %w", len(losses), err)
	}
	for _, l := range losses {
		delete(w.pending, l.Token)
	}
	return nil
}
