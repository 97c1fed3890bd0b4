package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/view"
)

// Raise raises what a sensor has noticed. Notices that cannot be raised hold up no others.
func (k desk) Raise(ctx context.Context, notices []command.Notice) error {
	for len(notices) > 0 {
		n := min(noticeBatch, len(notices))
		if err := k.d.raise(ctx, notices[:n]); err != nil {
			return err
		}
		notices = notices[n:]
	}
	return nil
}

// noticeBatch bounds how many notices one commit raises.
const noticeBatch = 64

// raise commits what is new among some notices in one transaction, and, when others keep getting in its way, each by itself.
func (d *dispatcher) raise(ctx context.Context, notices []command.Notice) error {
	for attempt := 1; ; attempt++ {
		seen := d.engine.view.Revision()
		tx, about := d.noticed(notices)
		if empty(&tx) {
			return nil
		}
		r, err := d.engine.commit(ctx, tx, about...)
		switch {
		case err == nil:
			return d.engine.view.WaitFor(ctx, r.Revision)
		case !errors.Is(err, store.ErrConflict):
			return fmt.Errorf("adapter %s: raise %d signals: %w", d.name, len(tx.Raise), err)
		case attempt >= conflictLimit && len(notices) > 1:
			for i := range notices {
				if err := d.raise(ctx, notices[i:i+1]); err != nil {
					return err
				}
			}
			return nil
		case attempt == raiseAttempts:
			return fmt.Errorf("adapter %s: raise %s on %s: %w", d.name, notices[0].Signal, notices[0].Object, err)
		}
		if !d.engine.catchUp(ctx, err, seen) {
			if err := d.engine.view.WaitFor(ctx, seen+1); err != nil {
				return err
			}
		}
	}
}

// noticed is the transaction for those of the notices that say something new, and whom it is about. What is worked on elsewhere is noticed there.
func (d *dispatcher) noticed(notices []command.Notice) (tx store.Transaction, about []resource.Key) {
	e := d.engine
	snapshot := e.view.Snapshot()
	defer snapshot.Close()
	tx = store.Transaction{Writer: store.Writer{Name: "adapter/" + string(d.name)}, Cause: store.Cause{Text: "a sensor's notice"}}
	for _, n := range notices {
		o, ok := snapshot.Get(n.Object)
		def, known := e.registry.Kind(n.Object.Kind)
		if !ok || !known || n.UID != "" && n.UID != o.UID || o.Deleting() || !e.shards.mine(n.Object) {
			continue
		}
		s := store.Signal{
			Object: o.Key, UID: o.UID, Name: n.Signal, Payload: n.Payload, By: tx.Writer.Name, Why: clip(n.Why), Dedupe: n.Dedupe,
			At: e.now(), Seen: snapshot.Revision(),
		}
		if s.Dedupe == "" {
			s.Dedupe = string(d.name)
		}
		if n.For > 0 {
			s.Expires = stored(s.At.Add(n.For))
		}
		d.notice(&tx, snapshot, def, o, s)
		about = append(about, o.Key)
	}
	return tx, about
}

func (d *dispatcher) notice(tx *store.Transaction, snapshot *view.Snapshot, def *resource.Definition, o *resource.Object, s store.Signal) {
	standing := slices.Clone(snapshot.Signals(o.UID))
	for _, r := range tx.Raise {
		if r.UID == o.UID {
			r.ID = 1
			standing = append(standing, r)
		}
	}
	j := judgeOf(def, o, standing, s.At)
	have, err := j.judge(&s)
	switch {
	case err != nil:
		tx.Events = append(tx.Events, store.Event{Object: o.Key, UID: o.UID, Kind: "Warning", Reason: "SignalRefused", Message: clip(err.Error())})
	case have == 0:
		tx.Raise = append(tx.Raise, s)
		read := store.Read{Key: o.Key, Revision: o.Revision}
		if j.stateful(s.Name) && !slices.Contains(tx.Reads, read) {
			tx.Reads = append(tx.Reads, read)
		}
	}
}
